/* A container's own network over a checkpoint: CRIU leaves it out (empty_ns), we make it anew. What the spec says is made as for a new container;
 * this is the rest: IMAGES/network.pb (runtime/net/inside.h), and sysctls of the spec. */
#pragma once
#include <stdbool.h>
#include "oci.pb-c.h"
#include "runtime/criu/obstacle.h"
#include "runtime/net/inside.h"

/* Whether the container can have changed its network: it has one of its own and CAP_NET_ADMIN. All else costs nothing. */
bool network_may_differ(const Davit__OciSpec *spec);
/* Ends what inside_read_begin() began and writes it. ERR_OBSTACLE: part of it cannot be taken along, see list. 0 or -1. */
int network_record(struct inside_reader *r, int images_dirfd, Davit__ObstacleList *list, struct err *e);
/* The spec's sysctls, into the fresh namespace of `init`: before its links come, as in a new container. 0 or -1. */
int network_restore_settings(const Davit__OciSpec *spec, pid_t init, struct err *e);
/* What was recorded, if anything was; the links are there already. 0 or -1. */
int network_restore(int images_dirfd, const Davit__OciSpec *spec, pid_t init, const Davit__RuntimeNetwork *n, struct err *e);
