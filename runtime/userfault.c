/* See userfault.h. The lock is on the switch's own file, which is the same for whoever may write it; the guard alone holds it. The note is written
 * before the switch is set and removed after it is reset. */
#include "runtime/userfault.h"
#include <errno.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/proc.h"
#include "base/str.h"

#define SWITCH "/proc/sys/vm/unprivileged_userfaultfd"
#define NOTE ".userfaultfd"
#define GUARD_LIMIT_MS 30000 /* a loaded host may take seconds to make many tasks, which may wait for pages */
#define GUARD_END_MS 5000
#define LOCK_WAIT_MS 60000 /* longer than anybody keeps it; several restores at once */
#define LOCK_POLL_NS 1000000

static int lock_switch(int wait_ms, struct err *e)
{
	int64_t until = clock_now_ns(CLOCK_MONOTONIC) + wait_ms * NSEC_PER_MSEC;
	const struct timespec pause = { .tv_nsec = LOCK_POLL_NS };
	auto_close int fd = open(SWITCH, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "open " SWITCH);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_sys(e, errno, "lock " SWITCH);
		if (clock_now_ns(CLOCK_MONOTONIC) >= until)
			return err_set(e, ERR_BUSY, 0, "another restore has leave to use userfaultfd");
		(void)nanosleep(&pause, NULL);
	}
	return steal_fd(&fd);
}

static int reset(int folder, struct err *e)
{
	if (file_write_pseudo(AT_FDCWD, SWITCH, "0", e) < 0)
		return -1;
	return unlinkat(folder, NOTE, 0) < 0 && errno != ENOENT ? err_sys(e, errno, "remove " NOTE) : 0;
}

/* Owns nothing but these three descriptors, so that no pipe or mount of the restore is kept open by it. */
static _Noreturn void guard(int held, int lock, int folder, bool changed)
{
	(void)setsid();
	(void)prctl(PR_SET_NAME, "davit-leave");
	if (dup2(held, 0) < 0 || dup2(lock, 1) < 0 || dup2(folder, 2) < 0 || close_range(3, ~0U, 0) < 0)
		_exit(1);
	(void)fd_wait(0, POLLIN, GUARD_LIMIT_MS, NULL);
	_exit(changed && reset(2, NULL) < 0);
}

static int start_guard(struct userfault_leave *l, int lock, int folder, bool change, struct err *e)
{
	int p[2];
	if (fd_pipe(p, e) < 0)
		return -1;
	auto_close int theirs = p[0];
	l->held = p[1];
	l->guard = fork();
	if (l->guard == 0) {
		/* Above the numbers that it takes, whatever the caller had closed. */
		int high[] = { fcntl(theirs, F_DUPFD_CLOEXEC, 3), fcntl(lock, F_DUPFD_CLOEXEC, 3), fcntl(folder, F_DUPFD_CLOEXEC, 3) };
		close(l->held);
		guard(high[0], high[1], high[2], change);
	}
	if (l->guard > 0)
		return 0;
	l->guard = 0;
	fd_closep(&l->held);
	return err_sys(e, errno, "fork");
}

int userfault_take(struct userfault_leave *l, const char *folder, struct err *e)
{
	char value[16];
	*l = (struct userfault_leave)USERFAULT_NONE;
	if (!file_exists(AT_FDCWD, SWITCH))
		return 0;
	auto_close int lock = lock_switch(LOCK_WAIT_MS, e);
	if (lock < 0 || file_read_line(AT_FDCWD, SWITCH, value, sizeof(value), e) < 0)
		return -1;
	auto_close int dir = file_open_dir(AT_FDCWD, folder, e);
	bool change = str_eq(value, "0");
	/* One that is 1 is kept so as well: it may be what a fall left, and about to be put back. */
	if (dir < 0 || (change && file_write_atomic(dir, NOTE, "0", 1, 0600, false, e) < 0) || start_guard(l, lock, dir, change, e) < 0)
		return -1;
	if (!change || file_write_pseudo(AT_FDCWD, SWITCH, "1", e) == 0)
		return 0;
	userfault_give_back(l);
	return -1;
}

void userfault_give_back(struct userfault_leave *l)
{
	fd_closep(&l->held);
	if (l->guard > 0)
		(void)proc_wait(l->guard, GUARD_END_MS, NULL);
	l->guard = 0;
}

int userfault_put_back(const char *folder, struct err *e)
{
	auto_close int dir = file_open_dir(AT_FDCWD, folder, NULL);
	if (dir < 0 || !file_exists(dir, NOTE))
		return 0;
	auto_close int lock = lock_switch(LOCK_WAIT_MS, e);
	return lock < 0 ? -1 : file_exists(dir, NOTE) ? reset(dir, e) : 0;
}
