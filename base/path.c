/* Paths under a container's root. Sources: openat2(2), CVE-2021-30465. */
#include "base/path.h"
#include <errno.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "base/fd.h"
#include "base/str.h"

/* openat2(2) below root, errno only. It answers EAGAIN when a rename elsewhere raced with "..": asked again, not forever. */
static int open_in(int rootfd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.mode = flags & (O_CREAT | __O_TMPFILE) ? mode : 0,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd = -1;
	for (int i = 0; i < 64; i++) {
		fd = (int)syscall(SYS_openat2, rootfd, *path ? path : ".", &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return fd;
}

int path_open_in(int rootfd, const char *path, int flags, mode_t mode, struct err *e)
{
	int fd = open_in(rootfd, path, flags, mode);
	return fd < 0 ? err_sys(e, errno, "open %s in the container's root", path) : fd;
}

/* Makes the last component of `path` (NUL-terminated there) in its parent's fd. 0 or -1. */
static int make_last(int parent, const char *path, bool file, struct err *e)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	if (!file)
		return mkdirat(parent, name, 0755) == 0 || errno == EEXIST ? 0 : err_sys(e, errno, "make folder %s in the container's root", path);
	auto_close int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	return fd >= 0 || errno == EEXIST ? 0 : err_sys(e, errno, "make file %s in the container's root", path);
}

/* Opens `path`, making its last component if it is missing. Always walked from the root, so that an absolute link means the container's root. */
static int open_or_make(int rootfd, int parent, const char *path, bool file, struct err *e)
{
	int flags = O_PATH | (file ? 0 : O_DIRECTORY);
	int fd = open_in(rootfd, path, flags, 0);
	if (fd >= 0 || errno != ENOENT)
		return fd >= 0 ? fd : err_sys(e, errno, "open %s in the container's root", path);
	if (make_last(parent, path, file, e) < 0)
		return -1;
	fd = open_in(rootfd, path, flags, 0); /* ENOENT again: a link that leads nowhere was there */
	return fd >= 0 ? fd : err_sys(e, errno, "open %s in the container's root", path);
}

static int check_is_file(int fd, const char *path, struct err *e)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "stat %s in the container's root", path);
	return S_ISDIR(st.st_mode) ? err_sys(e, EISDIR, "%s in the container's root", path) : 0;
}

int path_make_in(int rootfd, const char *path, bool file, struct err *e)
{
	auto_free char *copy = mem_strdup(path, e);
	if (!copy)
		return -1;
	for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = '\0';
	auto_close int parent = path_open_in(rootfd, ".", O_PATH | O_DIRECTORY, 0, e);
	if (parent < 0)
		return -1;
	for (char *slash = strchr(copy + strspn(copy, "/"), '/'); slash; slash = strchr(slash + strspn(slash, "/"), '/')) {
		*slash = '\0';
		int next = open_or_make(rootfd, parent, copy, false, e);
		if (next < 0)
			return -1;
		close(parent);
		parent = next;
		*slash = '/';
	}
	if (copy[strspn(copy, "/")] == '\0')
		return file ? err_sys(e, EISDIR, "%s in the container's root", path) : steal_fd(&parent);
	auto_close int fd = open_or_make(rootfd, parent, copy, file, e);
	if (fd < 0 || (file && check_is_file(fd, path, e) < 0))
		return -1;
	return steal_fd(&fd);
}

struct path_fd path_of_fd(int fd)
{
	struct path_fd p;
	snprintf(p.s, sizeof(p.s), "/proc/self/fd/%d", fd);
	return p;
}

/* Appends the components of `path`. */
static int append_components(struct buf *out, const char *path, struct err *e)
{
	for (const char *p = path; *(p += strspn(p, "/"));) {
		size_t n = strcspn(p, "/");
		if (n == 2 && p[0] == '.' && p[1] == '.')
			return err_set(e, ERR_INVALID, 0, "path \"%s\" contains \"..\"", path);
		if (n != 1 || p[0] != '.') {
			bool first = out->len == 0 || out->data[out->len - 1] == '/';
			if ((!first && buf_puts(out, "/", e) < 0) || buf_append(out, p, n, e) < 0)
				return -1;
		}
		p += n;
	}
	return 0;
}

char *path_join(struct err *e, const char *a, const char *b)
{
	auto_buf struct buf out = { 0 };
	bool absolute = *(*a ? a : b) == '/';
	if (buf_puts(&out, absolute ? "/" : "", e) < 0 || append_components(&out, a, e) < 0 || append_components(&out, b, e) < 0)
		return NULL;
	if (out.len == 0 && buf_puts(&out, ".", e) < 0)
		return NULL;
	return steal_ptr(&out.data);
}
