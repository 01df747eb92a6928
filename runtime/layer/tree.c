/* Walking a tree. Sources: openat(2), readdir(3). */
#include "runtime/layer/tree.h"
#include <dirent.h>
#include <errno.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"

struct walk {
	int (*visit)(void *arg, const struct tree_entry *t, struct err *e);
	void *arg;
	struct buf path; /* of the entry being visited */
};

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list(int dirfd, const char *path, struct strv *names, struct err *e)
{
	auto_close int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	if (!d)
		return err_sys(e, errno, "read folder %s", path);
	steal_fd(&copy);
	int rc = 0;
	errno = 0;
	for (struct dirent *entry; rc == 0 && (entry = readdir(d)); errno = 0)
		if (!str_eq(entry->d_name, ".") && !str_eq(entry->d_name, ".."))
			rc = strv_add(names, entry->d_name, e);
	if (rc == 0 && errno)
		rc = err_sys(e, errno, "read folder %s", path);
	closedir(d);
	if (names->n)
		qsort(names->v, names->n, sizeof(*names->v), compare);
	return rc;
}

/* A descriptor for tree_entry of what the O_PATH descriptor `fd` is of. */
static int open_really(int fd, const char *path, struct stat *st, struct err *e)
{
	if (fstat(fd, st) < 0)
		return err_sys(e, errno, "look at %s", path);
	if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
		return fd_dup(fd, e);
	int real = open(path_of_fd(fd).s, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (S_ISDIR(st->st_mode) ? O_DIRECTORY : 0));
	return real < 0 ? err_sys(e, errno, "open %s", path) : real;
}

/* O_PATH first: opening a device or a FIFO may have effects. */
static int open_entry(int dirfd, const char *name, const char *path, struct stat *st, struct err *e)
{
	auto_close int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(e, errno, "open %s", path) : open_really(fd, path, st, e);
}

int tree_open(int rootfd, const char *path, struct stat *st, struct err *e)
{
	struct open_how how = { .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	auto_close int fd = (int)syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
	if (fd >= 0)
		return open_really(fd, path, st, e);
	/* A folder on the way that became a link is as gone as one that was removed. */
	if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
		return err_set(e, ERR_NOT_FOUND, 0, "%s is gone", path);
	return err_sys(e, errno, "open %s", path);
}

static int walk_folder(struct walk *w, int dirfd, unsigned depth, struct err *e);

static int walk_entry(struct walk *w, int dirfd, const char *name, unsigned depth, struct err *e)
{
	struct tree_entry t;
	size_t parent_len = w->path.len;
	if ((parent_len && buf_puts(&w->path, "/", e) < 0) || buf_puts(&w->path, name, e) < 0)
		return -1;
	t.path = w->path.data;
	auto_close int fd = open_entry(dirfd, name, t.path, &t.st, e);
	t.fd = fd;
	int rc = fd < 0 ? -1 : w->visit(w->arg, &t, e);
	if (rc == 0 && S_ISDIR(t.st.st_mode))
		rc = walk_folder(w, fd, depth + 1, e);
	w->path.len = parent_len;
	w->path.data[parent_len] = '\0';
	return rc;
}

static int walk_folder(struct walk *w, int dirfd, unsigned depth, struct err *e)
{
	auto_strv struct strv names = { 0 };
	const char *path = w->path.len ? w->path.data : ".";
	if (depth > TREE_DEPTH_MAX)
		return err_set(e, ERR_LIMIT, 0, "folders are nested deeper than %d: %.80s…", TREE_DEPTH_MAX, path);
	if (list(dirfd, path, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (walk_entry(w, dirfd, names.v[i], depth, e) < 0)
			return -1;
	return 0;
}

int tree_walk(int rootfd, int (*visit)(void *arg, const struct tree_entry *t, struct err *e), void *arg, struct err *e)
{
	struct walk w = { .visit = visit, .arg = arg };
	struct tree_entry t = { .path = "." };
	auto_close int fd = openat(rootfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t.fd = fd;
	if (fd < 0 || fstat(fd, &t.st) < 0)
		return err_sys(e, errno, "open the root of a tree");
	int rc = visit(arg, &t, e);
	if (rc == 0)
		rc = walk_folder(&w, fd, 0, e);
	buf_free(&w.path);
	return rc;
}

int tree_xattr_travels(const char *name)
{
	return str_prefix(name, "user.") || str_prefix(name, "system.posix_acl_") || str_eq(name, "security.capability") ||
	       str_eq(name, "trusted.overlay.opaque");
}
