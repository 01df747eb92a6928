/* Atomic files, pseudo files, folders and locks. Sources: rename(2), fsync(2), flock(2), proc(5).
 *
 * A crash while a file is written may leave a ".tmp-…" file beside it, which nobody reads; never half a file. */
#include "base/file.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/str.h"

/* Splits name into a folder, opened for fsync, and the rest. Returns the owned fd and sets *base, or -1. */
static int open_folder_of(int dirfd, const char *name, const char **base, struct err *e)
{
	char folder[PATH_MAX] = ".";
	const char *slash = strrchr(name, '/');
	*base = slash ? slash + 1 : name;
	size_t n = slash ? (size_t)(slash - name) : 0;
	if (n >= sizeof(folder))
		return err_sys(e, ENAMETOOLONG, "%.64s…", name);
	if (slash) {
		memcpy(folder, name, n);
		folder[n] = '\0';
		if (n == 0)
			strcpy(folder, "/");
	}
	int fd = openat(dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, errno, "open folder of %s", name) : fd;
}

static int write_temporary(int folder, const char *temporary, const char *name, const void *data, size_t n, mode_t mode, bool durable, struct err *e)
{
	auto_close int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, errno, "create %s", name);
	if (fd_write_all(fd, data, n, e) < 0)
		return err_prefix(e, "%s", name);
	if (fchmod(fd, mode) < 0) /* exactly this mode, whatever the umask is */
		return err_sys(e, errno, "set mode of %s", name);
	if (durable && fsync(fd) < 0)
		return err_sys(e, errno, "fsync %s", name);
	return 0;
}

int file_write_atomic(int dirfd, const char *name, const void *data, size_t n, mode_t mode, bool durable, struct err *e)
{
	const char *base;
	auto_close int folder = open_folder_of(dirfd, name, &base, e);
	if (folder < 0)
		return -1;
	char temporary[32] = ".tmp-";
	if (str_random_hex(temporary + 5, 8, e) < 0)
		return -1;
	if (write_temporary(folder, temporary, name, data, n, mode, durable, e) < 0)
		goto fail;
	if (renameat(folder, temporary, folder, base) < 0) {
		err_sys(e, errno, "rename into %s", name);
		goto fail;
	}
	if (durable && fsync(folder) < 0)
		return err_sys(e, errno, "fsync folder of %s", name);
	return 0;
fail:
	unlinkat(folder, temporary, 0);
	return -1;
}

char *file_read(int dirfd, const char *name, size_t max, size_t *len, struct err *e)
{
	auto_close int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		err_sys(e, errno, "open %s", name);
		return NULL;
	}
	char *data = fd_read_all(fd, max, len, e);
	if (!data)
		err_prefix(e, "%s", name);
	return data;
}

int file_read_line(int dirfd, const char *name, char *out, size_t cap, struct err *e)
{
	size_t n;
	auto_free char *data = file_read(dirfd, name, cap, &n, e);
	if (!data)
		return -1;
	if (n > 0 && data[n - 1] == '\n')
		n--;
	if (n >= cap)
		return err_set(e, ERR_LIMIT, 0, "%s: larger than %zu bytes", name, cap - 1);
	memcpy(out, data, n);
	out[n] = '\0';
	return 0;
}

int file_write_pseudo(int dirfd, const char *name, const char *value, struct err *e)
{
	auto_close int fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_sys(e, errno, "open %s", name);
	size_t n = strlen(value);
	ssize_t got;
	do
		got = write(fd, value, n);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_sys(e, errno, "write \"%.128s\" to %s", value, name);
	if ((size_t)got != n)
		return err_set(e, ERR_IO, 0, "write \"%.128s\" to %s: only %zd bytes were taken", value, name, got);
	return 0;
}

static int make_folder(const char *path, mode_t mode, struct err *e)
{
	if (mkdir(path, mode) == 0)
		return 0;
	int saved = errno;
	struct stat st;
	/* Other errors than EEXIST (EROFS, EACCES) may also come for a folder that is there. */
	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? 0 : err_sys(e, ENOTDIR, "%s", path);
	return err_sys(e, saved, "make folder %s", path);
}

int file_mkdir_p(const char *path, mode_t mode, struct err *e)
{
	auto_free char *copy = mem_strdup(path, e);
	if (!copy)
		return -1;
	for (char *slash = strchr(copy + (*copy == '/'), '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (make_folder(copy, mode, e) < 0)
			return -1;
		*slash = '/';
	}
	return make_folder(copy, mode, e);
}

bool file_exists(int dirfd, const char *name)
{
	return faccessat(dirfd, name, F_OK, 0) == 0;
}

int file_open_dir(int dirfd, const char *name, struct err *e)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, errno, "open folder %s", name) : fd;
}

/* Whether fd is still the file of that name: a lock on a file that was removed protects nothing. */
static bool is_still(int fd, int dirfd, const char *name)
{
	struct stat a, b;
	return fstat(fd, &a) == 0 && fstatat(dirfd, name, &b, 0) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* 1: locked and *out owned; 0: another holds it; -1. */
static int try_lock(int dirfd, const char *name, int how, int *out, struct err *e)
{
	int flags = strcmp(name, ".") == 0 ? O_RDONLY | O_DIRECTORY : O_RDWR | O_CREAT | O_NOFOLLOW;
	auto_close int fd = openat(dirfd, name, flags | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, errno, "open lock %s", name);
	if (flock(fd, how | LOCK_NB) < 0)
		return errno == EWOULDBLOCK || errno == EINTR ? 0 : err_sys(e, errno, "lock %s", name);
	if (!is_still(fd, dirfd, name))
		return 0;
	*out = steal_fd(&fd);
	return 1;
}

static int lock(int dirfd, const char *name, int how, int wait_ms, struct err *e)
{
	int64_t deadline = clock_now_ns(CLOCK_MONOTONIC) + wait_ms * NSEC_PER_MSEC;
	/* flock(2) has no time limit, and an alarm would be the whole process's: ask again, ever more slowly. */
	for (int64_t pause = 1 * NSEC_PER_MSEC;; pause = MIN(pause * 2, 50 * NSEC_PER_MSEC)) {
		int fd = -1, rc = try_lock(dirfd, name, how, &fd, e);
		if (rc != 0)
			return rc < 0 ? -1 : fd;
		int64_t left = deadline - clock_now_ns(CLOCK_MONOTONIC);
		if (left <= 0)
			return err_set(e, ERR_BUSY, 0, "%s is locked by another operation", name);
		struct timespec t = clock_timespec_of_ns(MIN(pause, left));
		nanosleep(&t, NULL);
	}
}

int file_lock(int dirfd, const char *name, int wait_ms, struct err *e)
{
	return lock(dirfd, name, LOCK_EX, wait_ms, e);
}

int file_lock_shared(int dirfd, const char *name, int wait_ms, struct err *e)
{
	return lock(dirfd, name, LOCK_SH, wait_ms, e);
}
