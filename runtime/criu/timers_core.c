/* POSIX timers and interval timers: see timers.h. Only those of the task as a whole that follow a clock of the container; what counts CPU time goes
 * on by itself. What is due already fires at once, as for a process that was not scheduled. */
#include <dirent.h>
#include <errno.h>
#include <time.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"
#include "criu.pb-c.h"
#include "proto/pb.h"
#include "runtime/criu/images.h"
#include "runtime/criu/timers.h"

/* In units of which a second has `second`: what is left. 0: not armed, which it stays. */
static bool take_off(uint64_t *sec, uint64_t *part, uint64_t second, int64_t gone)
{
	int64_t left = (int64_t)(*sec * second + *part);

	if (left <= 0 || gone == 0)
		return false;
	left = MAX(left - gone, 1);
	*sec = (uint64_t)left / second;
	*part = (uint64_t)left % second;
	return true;
}

static bool set_timers(Criu__TaskTimersEntry *t, const struct timens_offsets *elapsed)
{
	bool changed = take_off(&t->real->vsec, &t->real->vusec, 1000000, elapsed->monotonic / NSEC_PER_USEC);

	for (size_t i = 0; i < t->n_posix; i++) {
		Criu__PosixTimerEntry *p = t->posix[i];
		/* One on the wall clock may be absolute, but nobody tells; a relative one goes by the monotonic clock. */
		uint32_t clock = p->clock_id == CLOCK_REALTIME ? CLOCK_MONOTONIC : p->clock_id;
		changed |= take_off(&p->vsec, &p->vnsec, (uint64_t)NSEC_PER_SEC, timers_elapsed(clock, elapsed));
	}
	return changed;
}

static int set_task(int images_dirfd, int out_dirfd, const char *name, const struct timens_offsets *elapsed, struct err *e)
{
	auto_pb(Criu__CoreOfTimers) *core = criu_image_read(images_dirfd, name, &criu__core_of_timers__descriptor, e);

	if (!core)
		return -1;
	if (!core->tc || !core->tc->timers || !set_timers(core->tc->timers, elapsed))
		return 0;
	return criu_image_write(out_dirfd, name, &core->base, e);
}

int criu_images_set_task_timers(int images_dirfd, int out_dirfd, const struct timens_offsets *elapsed, struct err *e)
{
	int rc = 0;

	int fd = elapsed->monotonic || elapsed->boottime ? file_open_dir(images_dirfd, ".", e) : -1;
	if (fd < 0)
		return elapsed->monotonic || elapsed->boottime ? -1 : 0;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return err_sys(e, errno, "read the images' folder");
	}
	for (const struct dirent *d; rc == 0 && (d = readdir(dir));)
		if (str_prefix(d->d_name, "core-") && str_suffix(d->d_name, ".img"))
			rc = set_task(images_dirfd, out_dirfd, d->d_name, elapsed, e);
	closedir(dir);
	return rc;
}
