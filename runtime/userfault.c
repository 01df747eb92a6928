/* See userfault.h. The lock is on the switch's own file, which is the same for whoever may write it. The note is written before the switch is set and
 * removed after it is reset. */
#include "runtime/userfault.h"
#include <errno.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"

#define SWITCH "/proc/sys/vm/unprivileged_userfaultfd"
#define NOTE ".userfaultfd"
#define LOCK_WAIT_MS 60000 /* several restores at once, each of which may wait for pages */
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

int userfault_take(struct userfault_leave *l, const char *folder, struct err *e)
{
	char value[16];
	*l = (struct userfault_leave)USERFAULT_NONE;
	if (!file_exists(AT_FDCWD, SWITCH))
		return 0;
	if ((l->lock = lock_switch(LOCK_WAIT_MS, e)) < 0 || file_read_line(AT_FDCWD, SWITCH, value, sizeof(value), e) < 0)
		return -1;
	if (!str_eq(value, "0"))
		return 0;
	if ((l->folder = file_open_dir(AT_FDCWD, folder, e)) < 0 || file_write_atomic(l->folder, NOTE, "0", 1, 0600, false, e) < 0)
		return -1;
	l->changed = true;
	return file_write_pseudo(AT_FDCWD, SWITCH, "1", e);
}

void userfault_give_back(struct userfault_leave *l)
{
	if (l->changed)
		(void)reset(l->folder, NULL);
	l->changed = false;
	fd_closep(&l->folder);
	fd_closep(&l->lock);
}

int userfault_put_back(const char *folder, struct err *e)
{
	auto_close int dir = file_open_dir(AT_FDCWD, folder, NULL);
	if (dir < 0 || !file_exists(dir, NOTE))
		return 0;
	struct err busy = { 0 };
	auto_close int lock = lock_switch(0, &busy);
	if (lock >= 0)
		return reset(dir, e);
	if (busy.code == ERR_BUSY)
		return 0; /* who has leave now puts it back */
	if (e)
		*e = busy;
	return -1;
}
