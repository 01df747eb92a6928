/* See watches.h. Sources: proc_pid_fdinfo(5), CRIU's irmap.c. */
#include "runtime/criu/watches.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/path.h"
#include "proto/pb.h"
#include "runtime/criu/mountinfo.h"

#define FILES_MAX 500000 /* about half a second */
#define DEPTH_MAX 64

struct watch {
	dev_t dev;
	uint64_t inode;
	bool found;
};
struct search {
	struct watch *v;
	size_t n, cap, left;
	size_t files;
	Criu__CriuOpts *opts;
};

/* "sdev" is the kernel's own form of a device number: 12 bits and 20. */
static dev_t dev_of_kernel(unsigned sdev)
{
	return makedev(sdev >> 20, sdev & 0xfffff);
}

static bool is_overlay(const struct mountinfo *m, dev_t dev)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].dev == dev && str_eq(m->v[i].type, "overlay"))
			return true;
	return false;
}

static int note(struct search *s, const struct mountinfo *m, dev_t dev, uint64_t inode, struct err *e)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].dev == dev && s->v[i].inode == inode)
			return 0;
	if (!is_overlay(m, dev))
		return 0;
	if (mem_grow(&s->v, &s->cap, s->n + 1, sizeof(*s->v), e) < 0)
		return -1;
	s->v[s->n++] = (struct watch){ .dev = dev, .inode = inode };
	s->left++;
	return 0;
}

static int collect_fd(struct search *s, const struct mountinfo *m, pid_t pid, const char *fd, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%.16s", pid, fd);
	auto_free char *text = file_read(AT_FDCWD, path, 8 << 20, NULL, NULL);
	for (char *p = text; p && (p = strstr(p, " ino:")); p++) {
		unsigned long inode;
		unsigned sdev;
		if (sscanf(p, " ino:%lx sdev:%x", &inode, &sdev) == 2 && note(s, m, dev_of_kernel(sdev), inode, e) < 0)
			return -1;
	}
	return 0;
}

static int collect(struct search *s, const struct mountinfo *m, pid_t pid, struct err *e)
{
	char path[64], link[64];
	struct dirent *d;
	int rc = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	DIR *dir = opendir(path);
	while (dir && rc == 0 && (d = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), d->d_name, link, sizeof(link) - 1);
		link[MAX(n, 0)] = '\0';
		if (str_eq(link, "anon_inode:inotify") || str_eq(link, "anon_inode:[fanotify]"))
			rc = collect_fd(s, m, pid, d->d_name, e);
	}
	if (dir)
		closedir(dir);
	return rc;
}

static int look_at(struct search *s, const struct stat *st, const char *path, struct err *e)
{
	for (size_t i = 0; i < s->n; i++) {
		struct watch *w = &s->v[i];
		if (w->found || w->inode != st->st_ino || w->dev != st->st_dev)
			continue;
		w->found = true;
		s->left--;
		if (pb_push_str(&s->opts->n_irmap_scan_paths, &s->opts->irmap_scan_paths, path, e) < 0)
			return -1;
	}
	return 0;
}

/* Folder by folder below dirfd (taken over), on one filesystem, never through a symbolic link. */
static int walk(struct search *s, int fd, dev_t dev, const char *at, int depth, struct err *e)
{
	struct dirent *d;
	struct stat st;
	int rc = 0;

	DIR *dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return 0;
	}
	while (rc == 0 && s->left > 0 && s->files < FILES_MAX && (d = readdir(dir))) {
		if (str_eq(d->d_name, ".") || str_eq(d->d_name, "..") || fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		s->files++;
		auto_free char *path = mem_printf(e, "%s/%s", at, d->d_name);
		if (!path || look_at(s, &st, path, e) < 0)
			rc = -1;
		int below = rc == 0 && S_ISDIR(st.st_mode) && st.st_dev == dev && depth < DEPTH_MAX
				? openat(dirfd(dir), d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
				: -1;
		if (below >= 0)
			rc = walk(s, below, dev, path, depth + 1, e);
	}
	closedir(dir);
	return rc;
}

static int search_mounts(struct search *s, const struct mountinfo *m, pid_t init, struct err *e)
{
	char name[64];

	snprintf(name, sizeof(name), "/proc/%d/root", init);
	auto_close int root = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; root >= 0 && i < m->n && s->left > 0; i++) {
		if (!str_eq(m->v[i].type, "overlay"))
			continue;
		int fd = path_open_in(root, m->v[i].point, O_RDONLY | O_DIRECTORY, 0, NULL);
		if (fd >= 0 && walk(s, fd, m->v[i].dev, str_eq(m->v[i].point, "/") ? "" : m->v[i].point, 0, e) < 0)
			return -1;
	}
	return 0;
}

int watches_add(const pid_t *pids, size_t n, pid_t init, Criu__CriuOpts *opts, struct err *e)
{
	auto_mountinfo struct mountinfo m = { 0 };
	struct search s = { .opts = opts };
	int rc = 0;

	if (mountinfo_read(init, &m, e) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = collect(&s, &m, pids[i], e);
	if (rc == 0 && s.left > 0)
		rc = search_mounts(&s, &m, init, e);
	free(s.v);
	return rc;
}
