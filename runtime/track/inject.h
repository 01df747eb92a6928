/* System calls made by a stopped thread of another process, at our word.
 *
 * inject_begin() keeps the thread's registers and signal mask and blocks all signals for it; inject_call() as often as wanted; inject_end() puts all
 * back, at a stop of the same kind as the first, so that the kernel takes up the call that was broken off. */
#pragma once
#include <signal.h>
#include <stdint.h>
#include "base/err.h"
#include "runtime/track/stop.h"

struct inject {
	pid_t tid;
	uint64_t code, mask;
	struct regs saved;
	int64_t until; /* ns of CLOCK_MONOTONIC */
};

/* 0 or -1 (ERR_UNSUPPORTED: a thread of another machine, or one whose calls are redirected). */
int inject_begin(struct inject *i, const struct stop *s, int timeout_ms, struct err *e);
/* *result: what it gave, or -errno. */
int inject_call(struct inject *i, long nr, uint64_t a, uint64_t b, long *result, struct err *e);
int inject_end(struct inject *i, struct err *e);
