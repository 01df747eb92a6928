/* Incoming moves: one struct target (migrate/target.h) for each, found by its id while its connections or its own thread are at work. */
#pragma once
#include "agent/agent.h"
#include "migrate/handover.h"

struct target;
struct move;

struct move_table *move_table_new(struct agent *a, struct err *e);
/* Incoming moves at once. */
#define MOVES_MAX 16

/* A move's two connections. */
enum move_stream { MOVE_UP, MOVE_DOWN };

/* One stream of the move of this id, made if it is new; `peer` is the caller's name, whose the move is from then on. move_close() for each.
 * NULL: ERR_DENIED for another peer, ERR_BUSY while this stream is open. */
struct move *move_open(struct agent *a, const char *id, const char *peer, enum move_stream stream, struct err *e);
/* A connection ended: the target is told. */
void move_close(struct agent *a, struct move *m, enum move_stream stream);
struct target *move_target(const struct move *m);
int move_cancel(struct agent *a, const char *id, struct err *e);
/* An operator's decision (migrate/resolve.h), and: ask the source now. 0 or -1 (ERR_STATE). */
int move_force(struct agent *a, const char *id, enum handover_event forced, struct err *e);
int move_hurry(struct agent *a, const char *id, struct err *e);

/* Takes a recovered target into the table, which owns it from now on. 0 or -1 (then it stays the caller's). */
int move_adopt(struct agent *a, const char *id, const char *peer, struct target *target, struct err *e);
/* At start, before anything is served: every journal of a move that is not settled is taken up, outgoing ones by a job, incoming ones by a target of
 * their own, each holding its container. Old settled ones are removed. 0 or -1. */
int move_recover_all(struct agent *a, struct err *e);
