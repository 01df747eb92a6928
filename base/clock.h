/* Clocks and time spans, in nanoseconds as int64_t (292 years either way).
 *
 * Names as clock_gettime(2). "host": the initial time namespace's clocks as far as the caller can know them:
 * a caller inside a time namespace adds its own offsets back. */
#pragma once
#include <stdint.h>
#include <time.h>
#include "base/err.h"

#define NSEC_PER_SEC 1000000000LL
#define NSEC_PER_MSEC 1000000LL
#define NSEC_PER_USEC 1000LL

/* The clock now, in ns. Never fails for the clocks we use. */
int64_t clock_now_ns(clockid_t id);
/* This host's clocks, read together, in ns. The difference of boottime and monotonic is the time in suspend: however long the caller was kept from
 * running between two of the readings, it is wrong by no more than the quickest of a few attempts took. */
struct clock_reading {
	int64_t boottime, monotonic, realtime;
};
struct clock_reading clock_read(void);
struct timespec clock_timespec_of_ns(int64_t ns); /* tv_nsec in 0..999999999, also for negative ns */
int64_t clock_ns_of_timespec(struct timespec t);
/* "300ms", "1.5s", "2h30m", "7d", plain number = seconds. 0 or -1 (ERR_INVALID, field = what). */
int clock_span_parse(const char *s, int64_t *ns, const char *what, struct err *e);
/* RFC 3339 in UTC with microseconds, and back. out has 32 bytes. */
char *clock_rfc3339(int64_t realtime_ns, char out[32]);
int clock_rfc3339_parse(const char *s, int64_t *realtime_ns, const char *what, struct err *e);
