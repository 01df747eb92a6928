/* Time namespaces: made with offsets, pinned, entered, read.
 *
 * What the kernel counts (kernel/time/namespace.c; tried with nested `unshare -T`): the two lines of /proc/PID/timens_offsets are absolute, against
 * the *initial* time namespace, however deep the nesting is, and they are those of the namespace that PID's children will be in. So an
 * offset against our caller's clocks is written as that offset plus the caller's own one. The clocks of a namespace can be set until the first
 * process has entered it. */
#include "runtime/timens.h"
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/proc.h"
#include "proto/pb.h"

#define OFFSETS_TEXT_MAX 256

bool timens_supported(void)
{
	return file_exists(AT_FDCWD, "/proc/self/ns/time_for_children");
}

/* Absolute offsets in ns, by /proc/WHO/timens_offsets. */
static int read_absolute(const char *who, struct timens_offsets *out, struct err *e)
{
	char name[64], clock[16];
	int64_t sec, nsec;
	int used;

	*out = (struct timens_offsets){ 0 };
	snprintf(name, sizeof(name), "/proc/%s/timens_offsets", who);
	auto_free char *text = file_read(AT_FDCWD, name, OFFSETS_TEXT_MAX, NULL, e);
	if (!text)
		return -1;
	for (const char *p = text; sscanf(p, "%15s %" SCNd64 " %" SCNd64 "%n", clock, &sec, &nsec, &used) == 3; p += used) {
		int64_t ns = sec * NSEC_PER_SEC + nsec;
		if (!strcmp(clock, "monotonic") || !strcmp(clock, "1"))
			out->monotonic = ns;
		else if (!strcmp(clock, "boottime") || !strcmp(clock, "7"))
			out->boottime = ns;
	}
	return 0;
}

static int offsets_text(const struct timens_offsets *off, char out[OFFSETS_TEXT_MAX], struct err *e)
{
	struct timens_offsets own, sum;

	if (read_absolute("self", &own, e) < 0)
		return -1;
	if (__builtin_add_overflow(own.monotonic, off->monotonic, &sum.monotonic) ||
	    __builtin_add_overflow(own.boottime, off->boottime, &sum.boottime))
		return err_set(e, ERR_RANGE, 0, "time namespace: an offset is too large");
	struct timespec m = clock_timespec_of_ns(sum.monotonic), b = clock_timespec_of_ns(sum.boottime);
	return snprintf(out, OFFSETS_TEXT_MAX, "monotonic %" PRId64 " %ld\nboottime %" PRId64 " %ld\n", (int64_t)m.tv_sec, m.tv_nsec,
			(int64_t)b.tv_sec, b.tv_nsec);
}

/* In the child: async-signal-safe. Tells the errno, 0 for success, and lives until it is killed, so that the namespace can be opened. */
static _Noreturn void hold_namespace(int report, const char *text, size_t n)
{
	int sys = 0;
	if (unshare(CLONE_NEWTIME) < 0) {
		sys = errno;
	} else {
		int fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, text, n) != (ssize_t)n)
			sys = errno;
	}
	if (write(report, &sys, sizeof(sys)) == sizeof(sys))
		pause();
	_exit(1);
}

static int open_from_child(pid_t child, int in, struct err *e)
{
	char name[64];
	int sys;

	int got = fd_read_exact(in, &sys, sizeof(sys), e);
	if (got <= 0)
		return got < 0 ? -1 : err_set(e, ERR_INTERNAL, 0, "time namespace: its maker died");
	if (sys == ERANGE || sys == EINVAL)
		return err_set(e, ERR_RANGE, sys, "time namespace: with these offsets a clock would be negative or beyond the kernel's limit");
	if (sys)
		return err_sys(e, sys, "make a time namespace");
	snprintf(name, sizeof(name), "/proc/%d/ns/time_for_children", child);
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, errno, "open %s", name) : fd;
}

int timens_new(const struct timens_offsets *off, struct err *e)
{
	char text[OFFSETS_TEXT_MAX];
	int p[2];

	if (!timens_supported())
		return err_set(e, ERR_UNSUPPORTED, 0, "this kernel has no time namespaces");
	int n = offsets_text(off, text, e);
	if (n < 0 || fd_pipe(p, e) < 0)
		return -1;
	auto_close int in = p[0], out = p[1];
	pid_t child = fork();
	if (child < 0)
		return err_sys(e, errno, "make a time namespace: fork");
	if (child == 0)
		hold_namespace(out, text, (size_t)n);
	fd_closep(&out);
	int fd = open_from_child(child, in, e);
	kill(child, SIGKILL);
	proc_wait(child, -1, NULL); /* no limit: it was just killed */
	return fd;
}

int timens_of_pid(pid_t pid, struct err *e)
{
	char name[64];
	snprintf(name, sizeof(name), "/proc/%d/ns/time", pid);
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, errno, "time namespace of process %d", pid) : fd;
}

int timens_enter(int fd)
{
	return setns(fd, CLONE_NEWTIME);
}

int timens_offsets_of_pid(pid_t pid, struct timens_offsets *off, struct err *e)
{
	char who[16];
	struct timens_offsets own, theirs;

	snprintf(who, sizeof(who), "%d", pid);
	if (read_absolute(who, &theirs, e) < 0 || read_absolute("self", &own, e) < 0)
		return -1;
	*off = (struct timens_offsets){ .monotonic = theirs.monotonic - own.monotonic, .boottime = theirs.boottime - own.boottime };
	return 0;
}

void timens_sample_again(Davit__ClockSample *s)
{
	struct clock_reading now = clock_read();

	s->host_monotonic = now.monotonic;
	s->host_boottime = now.boottime;
	s->host_monotonic_raw = clock_now_ns(CLOCK_MONOTONIC_RAW);
	s->realtime = now.realtime;
	s->container_monotonic = now.monotonic + s->offset_monotonic;
	s->container_boottime = now.boottime + s->offset_boottime;
}

int timens_sample(pid_t pid, Davit__ClockSample *out, struct err *e)
{
	struct timens_offsets off;
	char boot_id[37];

	if (timens_offsets_of_pid(pid, &off, e) < 0 || proc_boot_id(boot_id, e) < 0 || pb_set_str(&out->boot_id, boot_id, e) < 0)
		return -1;
	out->has_host_monotonic = out->has_host_boottime = out->has_host_monotonic_raw = out->has_realtime = true;
	out->has_offset_monotonic = out->has_offset_boottime = out->has_container_monotonic = out->has_container_boottime = true;
	out->offset_monotonic = off.monotonic;
	out->offset_boottime = off.boottime;
	timens_sample_again(out);
	return 0;
}
