/* Incoming moves: one struct target (migrate/target.h) for each, found by its id while its connections or its own thread are at work. */
#pragma once
#include "agent/agent.h"
#include "migrate/handover.h"

struct target;
struct move;

struct move_table *move_table_new(struct agent *a, struct err *e);
/* The move of this id, made if it is new; `peer` is the caller's name. One of at most two connections: move_close() for each. NULL on error. */
struct move *move_open(struct agent *a, const char *id, const char *peer, struct err *e);
/* A connection ended: the target is told. */
void move_close(struct agent *a, struct move *m);
struct target *move_target(const struct move *m);
int move_cancel(struct agent *a, const char *id, struct err *e);

/* Takes up one incoming move after a restart, holding its container until it is settled. 0 (also if nothing was left to do) or -1. */
int move_take_up(struct agent *a, const char *id, const char *container, struct err *e);
/* At start, before anything is served: every journal of a move that is not settled is taken up, outgoing ones by a job, incoming ones by a target of
 * their own, each holding its container. Old settled ones are removed. 0 or -1. */
int move_recover_all(struct agent *a, struct err *e);
