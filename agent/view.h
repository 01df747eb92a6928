/* A container as the API tells it: what the database promises and what the core sees, in one message. */
#pragma once
#include "agent/agent.h"
#include "api.pb-c.h"

/* Owned, or NULL (ERR_NOT_FOUND). */
Davit__Container *view_container(struct agent *a, const char *name, struct err *e);
/* All containers, by name. Owned. */
Davit__ContainerList *view_containers(struct agent *a, struct err *e);
/* Puts the core's status (NULL: it knows none) into a container of the database. */
int view_merge(struct agent *a, Davit__Container *c, const Davit__ContainerStatus *s, struct err *e);
/* Tells an event about a container, with its view unless it is gone. */
void view_tell(struct agent *a, const char *type, const char *name);
