/* tmpcopyup: a tmpfs that begins with what it hides. Folders, files and symbolic links with their modes and owners; devices, sockets and fifos are
 * left out. Everything is walked by descriptors and O_NOFOLLOW: the image cannot lead the copy elsewhere. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/path.h"
#include "runtime/mount.h"

#define DEPTH_MAX 64

static int copy_folder(int from, int to, int depth, struct err *e);

static int copy_bytes(int in, int out, const char *name, struct err *e)
{
	ssize_t n;

	while ((n = copy_file_range(in, NULL, out, NULL, SSIZE_MAX & ~4095L, 0)) > 0)
		;
	return n < 0 ? err_sys(e, errno, "copy %s into the tmpfs", name) : 0;
}

static int copy_file(int from, int to, const char *name, const struct stat *st, struct err *e)
{
	auto_close int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	auto_close int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (in < 0 || out < 0)
		return err_sys(e, errno, "copy %s into the tmpfs", name);
	if (fchown(out, st->st_uid, st->st_gid) < 0 || fchmod(out, st->st_mode & 07777) < 0)
		return err_sys(e, errno, "set the owner of %s in the tmpfs", name);
	return copy_bytes(in, out, name, e);
}

static int copy_link(int from, int to, const char *name, const struct stat *st, struct err *e)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

	if (n < 0)
		return err_sys(e, errno, "copy link %s", name);
	target[n] = 0;
	if (symlinkat(target, to, name) < 0 || fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, errno, "copy link %s", name);
	return 0;
}

static int copy_subfolder(int from, int to, const char *name, const struct stat *st, int depth, struct err *e)
{
	if (mkdirat(to, name, 0700) < 0)
		return err_sys(e, errno, "make %s in the tmpfs", name);
	auto_close int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_close int out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (in < 0 || out < 0)
		return err_sys(e, errno, "copy %s into the tmpfs", name);
	if (copy_folder(in, out, depth + 1, e) < 0)
		return -1;
	return fchown(out, st->st_uid, st->st_gid) < 0 || fchmod(out, st->st_mode & 07777) < 0 ? err_sys(e, errno, "set the owner of %s", name) : 0;
}

static int copy_entry(int from, int to, const char *name, int depth, struct err *e)
{
	struct stat st;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return 0;
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, errno, "stat %s", name);
	if (S_ISDIR(st.st_mode))
		return copy_subfolder(from, to, name, &st, depth, e);
	if (S_ISREG(st.st_mode))
		return copy_file(from, to, name, &st, e);
	return S_ISLNK(st.st_mode) ? copy_link(from, to, name, &st, e) : 0;
}

static int copy_folder(int from, int to, int depth, struct err *e)
{
	int rc = 0, fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!d) {
		fd_closep(&fd);
		return err_sys(e, errno, "read a folder below the tmpfs");
	}
	if (depth > DEPTH_MAX)
		rc = err_set(e, ERR_LIMIT, 0, "tmpcopyup: folders are nested more than %d deep", DEPTH_MAX);
	while (rc == 0 && (entry = readdir(d)))
		rc = copy_entry(from, to, entry->d_name, depth, e);
	closedir(d);
	return rc;
}

int mount_copy_up(int from, int to, struct err *e)
{
	struct stat st;

	if (copy_folder(from, to, 0, e) < 0)
		return -1;
	auto_close int root = openat(to, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || fstat(from, &st) < 0 || fchown(root, st.st_uid, st.st_gid) < 0)
		return err_sys(e, errno, "set the owner of the tmpfs");
	return 0;
}
