/* The clocks of a checkpoint, and what a restored container's clocks shall be. */
#pragma once
#include <stdbool.h>
#include "base/err.h"
#include "runtime/timens.h"

/* Writes IMAGES/clock.pb (a ClockSample of init, taken when CRIU had read all timers) and takes CRIU's own record of the clocks out of the images,
 * since criu would set them by it. own_timens: the container has a time namespace. */
int clocks_record(int images_dirfd, const Davit__ClockSample *sample, bool own_timens, struct err *e);
/* What a restore is to do. wanted: offsets asked for, or NULL: both clocks go on from where the images' stand. *make: a time namespace with *off is
 * to be made; else criu stays in the caller's. hide: whether the images hold a record of CRIU's that it must not see (name, or ""). */
struct clocks_plan {
	bool make;
	struct timens_offsets off;
	struct timens_offsets
	    elapsed; /* how far the container's clocks are beyond those of the dump, now; less than 0: before; 0 where that is not known */
	char hide[64];
};
int clocks_plan(int images_dirfd, const struct timens_offsets *wanted, bool own_timens, struct clocks_plan *out, struct err *e);
