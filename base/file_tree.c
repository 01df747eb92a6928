/* Removing a tree that others filled: bounded descriptors and stack whatever its depth.
 *
 * Only two levels are ever open: the tree T and one folder D in it. What is a file in D is unlinked; a folder in D that is not empty is
 * renamed up into T and has its turn later. So each folder is moved at most once, and neither recursion nor a long path is
 * needed. Folders are opened by openat2(2) with RESOLVE_NO_SYMLINKS and RESOLVE_NO_XDEV: a link or a mount put there meanwhile is an error, not
 * followed. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include "base/fd.h"
#include "base/file.h"

static int open_below(int dirfd, const char *name, struct err *e)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	int fd = (int)syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
	if (fd < 0 && errno == EXDEV)
		return err_set(e, ERR_BUSY, 0, "remove %s: something is mounted there", name);
	return fd < 0 ? err_sys(e, errno, "open %s to remove it", name) : fd;
}

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* Reads a folder from its start. Does not take fd over. */
static DIR *read_folder(int fd, struct err *e)
{
	auto_close int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	if (!d) {
		err_sys(e, errno, "read a folder to remove it");
		return NULL;
	}
	steal_fd(&copy);
	return d;
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Unlinks a file or an empty folder. 1: gone, 0: a folder with content, -1. */
static int remove_entry(int dirfd, const char *name, struct err *e)
{
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 1;
	if (errno != EISDIR && errno != EPERM) /* unlink(2) of a folder is EISDIR on Linux, EPERM by POSIX */
		return err_sys(e, errno, "remove %s", name);
	int saved = errno;
	if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 1;
	if (errno == ENOTEMPTY || errno == EEXIST)
		return 0;
	return err_sys(e, errno == ENOTDIR ? saved : errno, "remove %s", name);
}

/* Moves folder `name` of `from` up into `top` under a name that is free there. */
static int move_up(int from, const char *name, int top, struct err *e)
{
	for (unsigned i = 0; i < 1000000; i++) {
		char fresh[32];
		snprintf(fresh, sizeof(fresh), ".removed-%u", i);
		if (renameat2(from, name, top, fresh, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			return err_sys(e, errno, "remove %s", name);
	}
	return err_set(e, ERR_INTERNAL, 0, "remove %s: no free name", name);
}

/* Empties one folder; its folders with content go up into top. */
static int empty_folder(int folder, int top, struct err *e)
{
	__attribute__((cleanup(closedirp))) DIR *d = read_folder(folder, e);
	if (!d)
		return -1;
	for (struct dirent *entry; (entry = readdir(d));) {
		if (is_dots(entry->d_name))
			continue;
		int rc = remove_entry(folder, entry->d_name, e);
		if (rc < 0 || (rc == 0 && move_up(folder, entry->d_name, top, e) < 0))
			return -1;
	}
	return 0;
}

/* Removes one folder with content from the tree; what it holds deeper stays in the tree. */
static int remove_folder(int top, const char *name, struct err *e)
{
	auto_close int folder = open_below(top, name, e);
	if (folder < 0)
		return -1;
	/* Some file systems skip entries when a folder changes while it is read: look again, not forever. */
	for (int i = 0; i < 1000; i++) {
		if (empty_folder(folder, top, e) < 0)
			return -1;
		if (unlinkat(top, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		if (errno != ENOTEMPTY && errno != EEXIST)
			break;
	}
	return err_sys(e, errno, "remove %s", name);
}

/* One pass over the tree's first level. Returns the number of folders that had content, or -1. */
static int remove_pass(int top, struct err *e)
{
	__attribute__((cleanup(closedirp))) DIR *d = read_folder(top, e);
	if (!d)
		return -1;
	int folders = 0;
	for (struct dirent *entry; (entry = readdir(d));) {
		if (is_dots(entry->d_name))
			continue;
		int rc = remove_entry(top, entry->d_name, e);
		if (rc < 0 || (rc == 0 && remove_folder(top, entry->d_name, e) < 0))
			return -1;
		folders += rc == 0;
	}
	return folders;
}

static int remove_in(int dirfd, const char *name, struct err *e)
{
	int rc = remove_entry(dirfd, name, e);
	if (rc != 0)
		return rc < 0 ? err_prefix(e, "remove tree %s", name) : 0;
	auto_close int top = open_below(dirfd, name, e);
	if (top < 0)
		return -1;
	while ((rc = remove_pass(top, e)) > 0)
		;
	if (rc < 0)
		return err_prefix(e, "remove tree %s", name);
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(e, errno, "remove tree %s", name);
	return 0;
}

/* The way to the tree is the caller's and may cross links and mounts; the tree itself may not be one. */
int file_remove_tree(int dirfd, const char *name, struct err *e)
{
	const char *last = strrchr(name, '/');
	if (!last)
		return remove_in(dirfd, name, e);
	char path[PATH_MAX];
	if (last == name || !last[1] || last - name >= PATH_MAX)
		return err_set(e, ERR_INVALID, 0, "remove tree %s: no path of a tree", name);
	snprintf(path, sizeof(path), "%.*s", (int)(last - name), name);
	auto_close int parent = openat(dirfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "open %s", path);
	return remove_in(parent, last + 1, e);
}
