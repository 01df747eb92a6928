/* Holds: who may change a container at a moment.
 *
 * A long job (a move, a snapshot, a restore, making, deleting) holds its container alone; a short change (start, kill, pause, resume) shares. So
 * nothing can thaw a container in the middle of its move. In memory only: after a restart, recovery takes the holds of unfinished moves again
 * before the first request is served. */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include "base/err.h"

struct hold;
struct hold_table {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct hold *first;
};

void hold_table_init(struct hold_table *t);
/* Alone, for `what` ("migrate", "snapshot", …, a static string). Waits up to 5 s for short changes to end. 0 or -1 (ERR_BUSY tells what it is busy
 * with). */
int hold_take(struct hold_table *t, const char *name, const char *what, struct err *e);
/* Together with other short changes. 0 or -1 (ERR_BUSY). */
int hold_share(struct hold_table *t, const char *name, struct err *e);
/* Ends either. */
void hold_drop(struct hold_table *t, const char *name);
/* What a container is held alone for, or NULL. */
const char *hold_reason(struct hold_table *t, const char *name);
