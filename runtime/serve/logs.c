/* Sending and receiving a log. The monitor may rotate it at any time: a file that is open is read to its end, whatever its name has become. */
#include "runtime/serve/logs.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/file.h"

#define LOG_FILES_MAX 100
#define COPY_SIZE 65536

static int copy(int from, int to, uint64_t *bytes, struct err *e)
{
	char data[COPY_SIZE];
	for (;;) {
		ssize_t n = read(from, data, sizeof(data));
		if (n < 0 && errno != EINTR)
			return err_sys(e, errno, "read the log");
		if (n == 0)
			return 0;
		if (n > 0 && fd_write_all(to, data, (size_t)n, e) < 0)
			return -1;
		if (n > 0)
			*bytes += (uint64_t)n;
	}
}

static int copy_file(int dir, const char *name, int to, uint64_t *bytes, struct err *e)
{
	auto_close int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? 0 : copy(fd, to, bytes, e);
}

int logs_send(const struct place *p, int fd, int done, uint64_t *bytes, struct err *e)
{
	struct stat was, is;
	char name[16];
	*bytes = 0;
	auto_close int dir = file_open_dir(AT_FDCWD, p->logs, e);
	for (int i = LOG_FILES_MAX; dir >= 0 && i > 0; i--) {
		snprintf(name, sizeof(name), "log.%d", i);
		if (copy_file(dir, name, fd, bytes, e) < 0)
			return -1;
	}
	auto_close int log = dir < 0 ? -1 : openat(dir, "log", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || (log >= 0 && copy(log, fd, bytes, e) < 0))
		return -1;
	/* No limit: the dump that goes on at the same time closes it, or ends with us. */
	if (fd_wait(done, POLLIN, -1, e) < 0 || (log >= 0 && copy(log, fd, bytes, e) < 0))
		return -1;
	if (fstatat(dir, "log", &is, AT_SYMLINK_NOFOLLOW) < 0 || (log >= 0 && fstat(log, &was) == 0 && was.st_ino == is.st_ino))
		return 0;
	return copy_file(dir, "log", fd, bytes, e);
}

int logs_receive(const struct core *c, const struct place *p, int fd, uint64_t max, uint64_t *bytes, struct err *e)
{
	char data[COPY_SIZE];
	auto_close int log = open(p->log, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (log < 0)
		return err_sys(e, errno, "open %s", p->log);
	if (fchmod(log, 0640) < 0 || (c->log_gid != (gid_t)-1 && fchown(log, 0, c->log_gid) < 0))
		return err_sys(e, errno, "chown %s", p->log);
	for (*bytes = 0;;) {
		ssize_t n = read(fd, data, sizeof(data));
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return err_sys(e, errno, "receive the log");
		size_t room = n > 0 ? (size_t)MIN((uint64_t)n, max - *bytes) : 0;
		if (room && fd_write_all(log, data, room, e) < 0)
			return -1;
		*bytes += room;
	}
}
