/* Init's own time namespace. unshare(2) puts only later children into it, so its offsets can be set while nobody is in it; then init, which has a
 * single thread, enters it by setns(2). Offsets in /proc/self/timens_offsets are absolute, against the first time namespace: those of the caller's
 * are there already and are added to. Source: time_namespaces(7). */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "runtime/init/init.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#define OFFSETS_FILE "self/timens_offsets"

static int read_inherited(int proc, struct timens_offsets *out, struct err *e)
{
	auto_free char *text = file_read(proc, OFFSETS_FILE, 512, NULL, e);
	int64_t secs[2], nsecs[2];

	if (!text)
		return -1;
	if (sscanf(text, "%*s %" SCNd64 " %" SCNd64 " %*s %" SCNd64 " %" SCNd64, &secs[0], &nsecs[0], &secs[1], &nsecs[1]) != 4)
		return err_set(e, ERR_UNSUPPORTED, 0, "/proc/self/timens_offsets has an unknown form");
	out->monotonic = secs[0] * NSEC_PER_SEC + nsecs[0];
	out->boottime = secs[1] * NSEC_PER_SEC + nsecs[1];
	return 0;
}

static int write_offsets(int proc, const struct timens_offsets *add, struct err *e)
{
	struct timens_offsets sum = { 0 };
	char text[128];

	if (read_inherited(proc, &sum, e) < 0)
		return -1;
	struct timespec m = clock_timespec_of_ns(sum.monotonic + add->monotonic), b = clock_timespec_of_ns(sum.boottime + add->boottime);
	snprintf(text, sizeof(text), "monotonic %lld %ld\nboottime %lld %ld\n", (long long)m.tv_sec, m.tv_nsec, (long long)b.tv_sec, b.tv_nsec);
	if (file_write_pseudo(proc, OFFSETS_FILE, text, e) == 0)
		return 0;
	err_prefix(e, "linux.timeOffsets");
	return err_remedy(e, "no clock of the container may be negative or beyond 146 years");
}

int init_clocks(int proc, const struct timens_offsets *offsets, struct err *e)
{
	if (unshare(CLONE_NEWTIME) < 0)
		return err_sys(e, errno, "make the time namespace");
	if ((offsets->monotonic || offsets->boottime) && write_offsets(proc, offsets, e) < 0)
		return -1;
	auto_close int fd = openat(proc, "self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "open the time namespace");
	return timens_enter(fd) < 0 ? err_sys(e, errno, "enter the time namespace") : 0;
}
