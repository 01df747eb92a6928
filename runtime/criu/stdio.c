/* stdio of a container's init: pipes, a terminal or files that somebody outside holds.
 *
 * A pipe is known by its link text ("pipe:[N]"), which the image keeps and inherit_fd takes. A file outside the container's mounts is named
 * "file[MOUNT:INODE]" (hexadecimal) for CRIU to let it be external, and given back by that name. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/proc.h"
#include "proto/json.h"
#include "proto/pb.h"
#include "runtime/criu/external.h"
#include "runtime/criu/mountinfo.h"

#define FILE_NAME "descriptors.json"
#define FILE_MAX (64 << 10)

static int name_outside(pid_t pid, int fd, const struct mountinfo *m, char *name, size_t cap, Criu__CriuOpts *opts, struct err *e)
{
	char path[64];
	uint64_t mount;
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	if (proc_fd_number(pid, fd, "mnt_id", 10, &mount, e) < 0)
		return -1;
	if (mountinfo_by_id(m, mount))
		return 0;
	if (stat(path, &st) < 0)
		return err_sys(e, errno, "%s", path);
	snprintf(name, cap, "file[%" PRIx64 ":%" PRIx64 "]", mount, (uint64_t)st.st_ino);
	return pb_push_str(&opts->n_external, &opts->external, name, e);
}

int external_stdio_dump(pid_t pid, struct strv *names, Criu__CriuOpts *opts, struct err *e)
{
	auto_mountinfo struct mountinfo m = { 0 };

	if (mountinfo_read(pid, &m, e) < 0)
		return -1;
	for (int i = 0; i < 3; i++) {
		char path[64], name[PATH_MAX];
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, i);
		ssize_t n = readlink(path, name, sizeof(name) - 1);
		name[MAX(n, 0)] = '\0'; /* closed: "" */
		if ((name[0] == '/' && name_outside(pid, i, &m, name, sizeof(name), opts, e) < 0) || strv_add(names, name, e) < 0)
			return -1;
	}
	return 0;
}

int external_stdio_write(int images_dirfd, const struct strv *names, struct err *e)
{
	Criu__Descriptors list = CRIU__DESCRIPTORS__INIT;
	auto_buf struct buf text = { 0 };

	list.n_names = names->n;
	list.names = names->v;
	if (json_print(&list.base, false, &text, e) < 0)
		return -1;
	char *from = strchr(text.data, '['), *to = strrchr(text.data, ']');
	if (!from || !to)
		return err_set(e, ERR_INTERNAL, 0, FILE_NAME ": no list");
	return file_write_atomic(images_dirfd, FILE_NAME, from, (size_t)(to + 1 - from), 0644, false, e);
}

int external_stdio_read(int images_dirfd, struct strv *names, struct err *e)
{
	auto_free char *array = file_read(images_dirfd, FILE_NAME, FILE_MAX, NULL, e);
	auto_free char *text = array ? mem_printf(e, "{\"names\":%s}", array) : NULL;
	auto_pb(Criu__Descriptors) *list = text ? json_parse(&criu__descriptors__descriptor, text, strlen(text), JSON_REFUSE, NULL, e) : NULL;

	if (!list)
		return err_prefix(e, FILE_NAME);
	for (size_t i = 0; i < list->n_names; i++)
		if (strv_add(names, list->names[i], e) < 0)
			return -1;
	return 0;
}

int external_stdio_restore(const struct strv *names, const int stdio[3], Criu__CriuOpts *opts, struct err *e)
{
	for (size_t i = 0; i < MIN(names->n, 3); i++) {
		if (!str_prefix(names->v[i], "pipe:[") && !str_prefix(names->v[i], "file["))
			continue;
		bool seen = false; /* stdout and stderr are often one pipe */
		for (size_t j = 0; j < i; j++)
			seen |= str_eq(names->v[j], names->v[i]);
		if (seen)
			continue;
		Criu__InheritFd *entry = pb_new(&criu__inherit_fd__descriptor, e);
		if (!entry || pb_set_str(&entry->key, names->v[i], e) < 0)
			return -1;
		entry->fd = stdio[i];
		if (pb_push(&opts->n_inherit_fd, &opts->inherit_fd, entry, e) < 0)
			return -1;
	}
	return 0;
}
