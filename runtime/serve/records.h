/* A container's records on disk, and what they and the kernel together say of it. */
#pragma once
#include "runtime/serve/place.h"
#include "runtime/serve/serve.h"
#include "state.pb-c.h"

/* Owned messages, or NULL (ERR_NOT_FOUND: "there is no container NAME"). */
Davit__ContainerSpec *record_spec(const struct place *p, struct err *e);
Davit__ContainerRecord *record_load(const struct place *p, struct err *e);
int record_save(const struct place *p, const Davit__ContainerRecord *r, bool durable, struct err *e);
/* The runtime's own state; NULL with ERR_NOT_FOUND once a container was put away. */
Davit__RuntimeState *record_runtime(const struct core *c, const char *name, struct err *e);

/* The container is whole from record_ready() until record_unready(). Both durable. */
int record_ready(const struct place *p, struct err *e);
int record_unready(const struct place *p, struct err *e);
bool record_is_ready(const struct place *p);
/* The folder holds the layer of a container that was deleted with keep_layer. The marker holds the name of its image, on which it comes back. */
bool record_is_kept(const struct place *p);
int record_keep(const struct place *p, struct err *e);
/* The image that a container, or a layer kept from one, lies on. Owned; NULL: nobody knows. */
char *record_image(const struct place *p, struct err *e);

/* Sees ERR_NOT_FOUND for names without a container. Owned. */
Davit__ContainerStatus *record_status(const struct core *c, const char *name, struct err *e);
/* The status must be one of `states` ("running paused"), else ERR_STATE with `what` ("pause web"). Returns the owned status, or NULL. */
Davit__ContainerStatus *record_require(const struct core *c, const char *name, const char *states, struct err *e);

/* Calls f for each name in containers/ in no order; stops at -1. */
int record_each(const struct core *c, int (*f)(void *arg, const char *name, struct err *e), void *arg, struct err *e);
/* Not the name of a container: held while a container's place is chosen and images are removed. */
#define RECORD_CREATE_LOCK ".create"
/* The container's lock. ERR_BUSY after wait_ms. Owned fd. */
int record_lock(const struct core *c, const char *name, int wait_ms, struct err *e);
