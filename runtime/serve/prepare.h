/* A container's place on this host: made in steps by create, restore and start, undone by one function. Call with the container's lock held. */
#pragma once
#include "base/err.h"
#include "runtime/serve/place.h"

/* Checks policy and the other containers, then makes the folders with spec.pb and record.pb (phase "creating" or "restoring"). without ready. The
 * leftovers of a create that died are removed first. ERR_EXISTS. layer_kept: the place must hold a kept layer, which becomes the container's. */
int prepare_place(const struct core *c, const Davit__ContainerSpec *s, const Davit__IdRange *ids, const struct place *p, const char *phase,
		  bool layer_kept, struct err *e);
/* Mounts the root file system and the allowed host paths. */
int prepare_mounts(const struct core *c, const Davit__ContainerSpec *s, const Davit__IdRange *ids, const struct place *p, struct err *e);
/* Writes config.json and network.pb; `fresh`: also the files in /etc. held: packets wait until resume. */
int prepare_bundle(const struct core *c, const Davit__ContainerSpec *s, const Davit__IdRange *ids, const struct place *p, bool fresh, bool held,
		   struct err *e);
/* Writes network.pb alone; nothing for a container in the host's network. */
int prepare_network(const struct core *c, const Davit__ContainerSpec *s, const struct place *p, bool held, const Davit__CoreRestoreRun *run,
		    struct err *e);

/* Ends what runs and removes all of it: runtime state, network, mounts, folders, logs; with keep_layer the layer stays, and the folder with it. Goes
 * on after failures and tells the first. Idempotent. */
int prepare_undo(const struct core *c, const char *name, const struct place *p, bool keep_layer, struct err *e);
/* The part of it that a stopped container can do without: runtime state, network, mounts. */
int prepare_put_away(const struct core *c, const char *name, const struct place *p, bool force, struct err *e);
/* The ids by which the container's files are shifted, NULL in the host's user namespace. */
const Davit__IdRange *prepare_shift(const Davit__ContainerSpec *s, const Davit__IdRange *ids);
