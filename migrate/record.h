/* The record of a move: made, and its time line written, by either side. */
#pragma once
#include <stdint.h>
#include "base/err.h"
#include "stream.pb-c.h"

struct record {
	Davit__MoveRecord *m; /* owned */
	int64_t started;      /* CLOCK_BOOTTIME, ns */
};

/* A new record, begun now. Strings are copied; peer may be NULL. 0 or -1. */
int record_init(struct record *r, const char *id, const char *container, const char *role, const char *peer, struct err *e);
void record_free(struct record *r);
int record_state(struct record *r, const char *state, struct err *e);
/* A phase begins, or ends with these bytes (0: it has none). A phase that never began has no end; lack of memory loses a line, no more. */
void record_phase(struct record *r, const char *name);
void record_phase_end(struct record *r, const char *name, uint64_t bytes);
/* Duration of an ended phase in µs, 0 if there is none. */
int64_t record_phase_us(const struct record *r, const char *name);
/* Finishes: finished_at, total, rate; error (may be NULL) with its detail (may be NULL). */
void record_finish(struct record *r, const struct err *error, const Davit__Error *detail);
