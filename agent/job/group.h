/* Groups of outgoing moves (migrate/group.h): who belongs to one, and when all are as far.
 *
 * In memory only: a group ends with davitd, whose movers then abort or, once the word is written, go on by it. A member is a job; it joins before its
 * mover starts, tells where its mover waits, and leaves when its move is settled. */
#pragma once
#include <pthread.h>
#include "base/err.h"
#include "migrate/mover.h"

struct agent;

struct group_table {
	pthread_mutex_t lock;
	struct group *first;
};
struct group_member;

void group_table_init(struct group_table *t);
/* Joins the group of this id, which the first to come makes. id of 32 hex digits; size 2 to GROUP_MAX; target as in the request. Owned, or NULL:
 * ERR_INVALID (another size or target than the others'), ERR_STATE (it is complete, or was given up). Strings are copied. */
struct group_member *group_join(struct group_table *t, const char *id, unsigned size, const char *target, const char *container, struct err *e);
/* The mover waits, for the stage-th time; m is borrowed until group_leave. The last one that comes lets all go on. */
void group_arrive(struct group_member *x, const struct mover *m, unsigned stage);
/* Whether the group was given up (*why: by whom and for what; untouched if not): also when not all came in time. */
bool group_failed(struct group_member *x, struct err *why);
/* This member's mover waits no more. why: it did not move, for this reason; NULL: it did. */
void group_leave(struct group_member **x, const struct err *why);
