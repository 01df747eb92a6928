/* What a container's clocks shall show when it goes on elsewhere or later.
 *
 * `continue`: both clocks advance by the time that really went by. `suspend`: monotonic stands still, boottime advances. `freeze`: both stand still.
 *
 * The offsets are chosen before the restore (a time namespace takes none afterwards), the container goes on a little later. So a clock that is
 * to stand still stands until the choice and then runs: it shows a little more, never less. A clock that advances shows the elapsed time as the
 * clock map tells it. An error of the map could make that time negative if almost nothing went by; it is then taken as zero, which adds
 * at most the map's bound. Hence for every clock, policy, skew and number of moves: what the container reads at the thaw ≥ its value at the
 * choice ≥ its value at the freeze. */
#pragma once
#include "base/err.h"
#include "migrate/clock_map.h"
#include "stream.pb-c.h"

enum clock_policy { CLOCK_CONTINUE, CLOCK_SUSPEND, CLOCK_FREEZE };
const char *clock_policy_name(enum clock_policy p);
/* ERR_INVALID, field clockPolicy. */
int clock_policy_of(const char *name, enum clock_policy *out, struct err *e);

/* Time from the sample at the freeze to `now` on this host, by a move's map; and for a snapshot, without one: by the boot clock within the
 * same boot, else by the wall clocks. Never negative. */
int64_t clock_elapsed(const Davit__ClockSample *frozen, int64_t delta_boottime, const struct clock_reading *now);
int64_t clock_elapsed_local(const Davit__ClockSample *frozen, const char *boot_id, const struct clock_reading *now);

/* The container's offsets against this host's clocks `now`. ERR_INVALID: the sample lacks the container's clocks; ERR_RANGE. */
int clock_policy_offsets(enum clock_policy p, const Davit__ClockSample *frozen, int64_t elapsed, const struct clock_reading *now, int64_t *monotonic,
			 int64_t *boottime, struct err *e);

/* How it came out. `thawed`: this host's boottime at the thaw; `after`: a sample of the running container. r->before, offsets, policy and
 * bound are there already; fills errors, backwards, downtime (not `after`, which the caller owns). */
void clock_policy_judge(enum clock_policy p, int64_t delta_boottime, int64_t thawed, const Davit__ClockSample *after, Davit__ClockResult *r);
