/* See timerfds.h. Sources: proc(5) (fdinfo of a timerfd), timerfd_create(2) (TFD_IOC_SET_TICKS), kernel fs/timerfd.c (setting a timer empties its
 * count; an absolute time is one of the caller's time namespace). */
#include "runtime/criu/timerfds.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "proto/pb.h"
#include "runtime/timens.h"
#include "state.pb-c.h"

#define RECORD "timers.pb"
#define RECORD_MAX (4 << 20)
/* <linux/timerfd.h>, which does not go together with <sys/timerfd.h>. */
#define TFD_IOC_SET_TICKS _IOW('T', 0, uint64_t)

/* Container clock minus the caller's. */
static int64_t offset_of(clockid_t clock, const struct timens_offsets *off)
{
	if (clock == CLOCK_MONOTONIC)
		return off->monotonic;
	return clock == CLOCK_BOOTTIME || clock == CLOCK_BOOTTIME_ALARM ? off->boottime : 0;
}

static bool read_fdinfo(pid_t pid, const char *fd, Davit__TimerRecord *t, int64_t *left)
{
	char path[64];
	unsigned long long ticks;
	long long sec, nsec, every_sec, every_nsec;
	int clock, flags;
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%.16s", pid, fd);
	auto_free char *text = file_read(AT_FDCWD, path, 4096, NULL, NULL);
	const char *at = text ? strstr(text, "clockid:") : NULL;
	if (!at || sscanf(at, "clockid: %d ticks: %llu settime flags: %o it_value: (%lld, %lld) it_interval: (%lld, %lld)", &clock, &ticks,
			  (unsigned *)&flags, &sec, &nsec, &every_sec, &every_nsec) != 7)
		return false;
	t->has_ticks = t->has_flags = t->has_interval = true;
	*left = sec * NSEC_PER_SEC + nsec;
	t->clock = clock;
	t->ticks = ticks;
	t->flags = (uint32_t)flags;
	t->interval = every_sec * NSEC_PER_SEC + every_nsec;
	return true;
}

/* What is left of it is told at some moment of reading, and the clock is read right after: we are seldom kept from running just there, then once
 * more. */
#define READINGS 8
#define READING_QUICK_NS (50 * NSEC_PER_USEC)
static bool read_timer(pid_t pid, const char *fd, Davit__TimerRecord *t, int64_t *left, int64_t *now)
{
	for (int i = 0; i < READINGS; i++) {
		int64_t before = clock_now_ns(CLOCK_MONOTONIC);
		if (!read_fdinfo(pid, fd, t, left))
			return false;
		bool relative = t->clock == CLOCK_REALTIME && !(t->flags & TFD_TIMER_ABSTIME);
		*now = clock_now_ns(relative ? CLOCK_MONOTONIC : t->clock);
		if (clock_now_ns(CLOCK_MONOTONIC) - before < READING_QUICK_NS)
			break;
	}
	return true;
}

static int record_one(pid_t pid, pid_t inner, const char *fd, const struct timens_offsets *off, Davit__TimerRecords *out, struct err *e)
{
	auto_pb(Davit__TimerRecord) *t = pb_new(&davit__timer_record__descriptor, e);
	int64_t left, now;
	if (!t)
		return -1;
	/* One that is not armed, or has expired for good, is as CRIU makes it. */
	if (!read_timer(pid, fd, t, &left, &now) || left <= 0)
		return 0;
	if (t->clock == CLOCK_REALTIME && !(t->flags & TFD_TIMER_ABSTIME))
		t->clock = CLOCK_MONOTONIC;
	else
		t->flags |= TFD_TIMER_ABSTIME; /* so that a period stays in step, and what fell due meanwhile is counted */
	t->pid = inner;
	t->fd = atoi(fd);
	t->expires = now + offset_of(t->clock, off) + left;
	return pb_push(&out->n_timers, &out->timers, steal_ptr(&t), e);
}

static int record_process(pid_t pid, const struct timens_offsets *off, Davit__TimerRecords *out, struct err *e)
{
	char path[64], link[32];
	pid_t inner = (pid_t)proc_status_number(pid, "NSpid");
	int rc = 0;
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	DIR *dir = opendir(path);
	for (const struct dirent *d; dir && rc == 0 && (d = readdir(dir));) {
		ssize_t n = readlinkat(dirfd(dir), d->d_name, link, sizeof(link) - 1);
		link[n > 0 ? n : 0] = '\0';
		if (str_eq(link, "anon_inode:[timerfd]"))
			rc = record_one(pid, inner, d->d_name, off, out, e);
	}
	if (dir)
		closedir(dir);
	return rc;
}

int timerfds_record(const pid_t *pids, size_t n, pid_t init, int images_dirfd, struct err *e)
{
	auto_pb(Davit__TimerRecords) *out = pb_new(&davit__timer_records__descriptor, e);
	struct timens_offsets off;
	if (!out || timens_offsets_of_pid(init, &off, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (record_process(pids[i], &off, out, e) < 0)
			return -1;
	return pb_write_file(images_dirfd, RECORD, &out->base, 0644, false, e);
}

/* The images come from elsewhere: what does not fit to what stands here is left alone. */
static void settle_one(int pidfd, const Davit__TimerRecord *t, const struct timens_offsets *off)
{
	struct itimerspec when, now;
	uint64_t ticks = t->ticks;
	auto_close int fd = pidfd_getfd(pidfd, t->fd, 0);
	if (fd < 0 || timerfd_gettime(fd, &now) < 0 || t->interval < 0)
		return;
	bool absolute = t->flags & TFD_TIMER_ABSTIME;
	int64_t at = t->expires - offset_of(t->clock, off);
	if (!absolute)
		at -= clock_now_ns(t->clock);
	when.it_value = clock_timespec_of_ns(MAX(at, 1));
	when.it_interval = clock_timespec_of_ns(t->interval);
	if (timerfd_settime(fd, (int)(t->flags & (TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)), &when, NULL) < 0 ||
	    (ticks && ioctl(fd, TFD_IOC_SET_TICKS, &ticks) < 0))
		log_warn("timer %d of process %d goes on by CRIU's reckoning: %s", t->fd, t->pid, strerror(errno));
}

int timerfds_settle(const pid_t *pids, size_t n, pid_t init, int images_dirfd, struct err *e)
{
	struct timens_offsets off;
	if (!file_exists(images_dirfd, RECORD))
		return 0;
	auto_pb(Davit__TimerRecords) *in = pb_read_file(images_dirfd, RECORD, &davit__timer_records__descriptor, RECORD_MAX, e);
	if (!in || timens_offsets_of_pid(init, &off, e) < 0)
		return -1;
	for (size_t i = 0; i < n && in->n_timers; i++) {
		auto_close int pidfd = proc_pidfd_open(pids[i], NULL);
		pid_t inner = (pid_t)proc_status_number(pids[i], "NSpid");
		for (size_t k = 0; pidfd >= 0 && k < in->n_timers; k++)
			if (in->timers[k]->pid == inner)
				settle_one(pidfd, in->timers[k], &off);
	}
	return 0;
}
