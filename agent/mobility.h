/* What would keep a container from moving, watched while it runs: a container that stopped being movable is news to its operator, and better than
 * a refusal on the day of the move.
 *
 * Every mobilityCheckS seconds each running container is looked at (without stopping it). An event "container.immobile" with the obstacles tells
 * when there are some that were not there before, "container.mobile" when the last has gone. */
#pragma once
#include "agent/agent.h"
#include "api.pb-c.h"

/* Starts the thread, unless the configuration switches it off. 0 or -1. */
int mobility_start(struct agent *a, struct err *e);
/* Obstacles, sizes, and what a move to each peer would take, by the last one there. core: of the caller's own. Owned, or NULL. */
Davit__Mobility *mobility_of(struct agent *a, struct core *core, const char *name, struct err *e);
