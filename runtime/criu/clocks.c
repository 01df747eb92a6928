/* Clocks over a checkpoint.
 *
 * criu runs inside the container's time namespace on both sides and so sees the container's clocks as its own: it has nothing to set. What it
 * writes all the same (timens-0.img) would make it set clocks once more on the restore, and is removed; clock.pb keeps what we need.
 *
 * Images that another program made have timens-N.img and no clock.pb. Its values stand for the clocks of the dump then, and it is hidden from criu.
 *
 * A container whose spec has no time namespace uses the host's clocks. Restored after a reboot or elsewhere these might have gone back, which no
 * program bears; then it gets a time namespace in which they go on from the dump, as CRIU itself does it. */
#include "runtime/criu/clocks.h"
#include <errno.h>
#include <string.h>
#include "base/file.h"
#include "base/fd.h"
#include "proto/pb.h"
#include "runtime/criu/images.h"

#define RECORD "clock.pb"
#define RECORD_MAX 4096
/* Another program's clocks of the dump may have been read so long before its timers were. */
#define ALLOWANCE (50 * NSEC_PER_MSEC)

int clocks_record(int images_dirfd, const Davit__ClockSample *sample, bool own_timens, struct err *e)
{
	if (pb_write_file(images_dirfd, RECORD, &sample->base, 0644, false, e) < 0)
		return -1;
	/* Without a time namespace of its own the record is left to other programs that may restore these images. */
	if (own_timens && unlinkat(images_dirfd, "timens-0.img", 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "remove timens-0.img");
	return 0;
}

static int64_t ns_of(const Criu__TimeSpec *t)
{
	return (int64_t)t->tv_sec * NSEC_PER_SEC + (int64_t)t->tv_nsec;
}

/* The container's clocks at the dump. 1, 0: the images tell none, -1. */
static int clocks_of_images(int dirfd, const char *image, struct timens_offsets *clocks, struct err *e)
{
	if (file_exists(dirfd, RECORD)) {
		auto_pb(Davit__ClockSample) *s = pb_read_file(dirfd, RECORD, &davit__clock_sample__descriptor, RECORD_MAX, e);
		if (!s)
			return -1;
		*clocks = (struct timens_offsets){ s->container_monotonic, s->container_boottime };
		return s->has_container_monotonic && s->has_container_boottime;
	}
	if (!image[0])
		return 0;
	auto_pb(Criu__TimensEntry) *t = criu_image_read(dirfd, image, &criu__timens_entry__descriptor, e);
	if (!t)
		return -1;
	*clocks = (struct timens_offsets){ ns_of(t->monotonic), ns_of(t->boottime) };
	return 1;
}

static void note_elapsed(struct clocks_plan *p, const struct timens_offsets *dumped)
{
	int64_t allowance = p->hide[0] ? ALLOWANCE : 0;
	p->elapsed.monotonic = clock_now_ns(CLOCK_MONOTONIC) + p->off.monotonic - dumped->monotonic - allowance;
	p->elapsed.boottime = clock_now_ns(CLOCK_BOOTTIME) + p->off.boottime - dumped->boottime - allowance;
}

int clocks_plan(int images_dirfd, const struct timens_offsets *wanted, bool own_timens, struct clocks_plan *out, struct err *e)
{
	struct timens_offsets clocks;

	*out = (struct clocks_plan){ 0 };
	if (criu_image_find(images_dirfd, "timens", out->hide, e) < 0)
		return -1;
	int known = clocks_of_images(images_dirfd, out->hide, &clocks, e);
	if (known < 0)
		return -1;
	if (wanted) {
		out->make = own_timens || wanted->monotonic || wanted->boottime;
		out->off = *wanted;
		if (known)
			note_elapsed(out, &clocks);
		return 0;
	}
	if (known) {
		out->off.monotonic = clocks.monotonic - clock_now_ns(CLOCK_MONOTONIC);
		out->off.boottime = clocks.boottime - clock_now_ns(CLOCK_BOOTTIME);
	}
	if (!own_timens) {
		out->off.monotonic = MAX(out->off.monotonic, 0);
		out->off.boottime = MAX(out->off.boottime, 0);
	}
	if (known)
		note_elapsed(out, &clocks);
	out->make = own_timens || out->off.monotonic > 0 || out->off.boottime > 0;
	return 0;
}
