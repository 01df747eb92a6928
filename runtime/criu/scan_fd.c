/* Descriptors of a process: /proc/PID/fd and fdinfo. Which kinds CRIU saves: its files.c (do_dump_gen_file and before). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/proc.h"
#include "proto/pb.h"
#include "runtime/criu/options.h"
#include "runtime/criu/scan.h"

struct open_file {
	pid_t pid;
	int fd;
	char link[PATH_MAX];
	struct stat st;
	uint64_t mount;
};

static const struct {
	const char *link, *kind; /* NULL: CRIU saves it */
} anonymous[] = {
	{ "[eventfd]", NULL },
	{ "[eventpoll]", NULL },
	{ "inotify", NULL },
	{ "[fanotify]", NULL },
	{ "[signalfd]", NULL },
	{ "[timerfd]", NULL },
	{ "[pidfd]", NULL },
	{ "bpf-map", NULL },
	{ "[io_uring]", "io_uring" },
	{ "[perf_event]", "perf_event" },
	{ "bpf", "bpf" },
	{ "btf", "bpf" },
	{ "[userfaultfd]", "userfaultfd" },
};

static int report(struct scan *s, const struct open_file *f, const char *kind, struct err *e)
{
	Davit__Obstacle *o = scan_add(s, f->pid, kind, NULL, e);

	if (!o)
		return -1;
	o->has_fd = true;
	o->fd = f->fd;
	return pb_set_str(&o->path, f->link, e);
}

static int look_at_anonymous(struct scan *s, const struct open_file *f, struct err *e)
{
	const char *what = f->link + strlen("anon_inode:");

	for (size_t i = 0; i < ARRAY_LEN(anonymous); i++)
		if (str_prefix(what, anonymous[i].link))
			return anonymous[i].kind ? report(s, f, anonymous[i].kind, e) : 0;
	return report(s, f, "anonymous_file", e);
}

static bool is_terminal(dev_t dev)
{
	unsigned m = major(dev);
	return m == 4 || m == 5 || (m >= 136 && m <= 143);
}

static bool is_outside(const struct scan *s, const struct open_file *f)
{
	return f->mount && !mountinfo_by_id(&s->mounts, f->mount);
}

/* What init's stdio names is given back on the restore (external.h), to whoever has inherited it. */
static bool is_init_stdio(const struct scan *s, const struct stat *st)
{
	char path[64];
	struct stat own;

	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", s->o->init, i);
		if (stat(path, &own) == 0 && own.st_dev == st->st_dev && own.st_ino == st->st_ino)
			return true;
	}
	return false;
}

static int look_at_device(struct scan *s, const struct open_file *f, struct err *e)
{
	dev_t dev = f->st.st_rdev;

	if (S_ISCHR(f->st.st_mode) && is_terminal(dev))
		return is_outside(s, f) && !s->o->shell_job ? report(s, f, "terminal", e) : 0;
	bool saved = S_ISCHR(f->st.st_mode) && (major(dev) == 1 || dev == makedev(10, 200)); /* memory devices, tun */
	if (!saved)
		return report(s, f, "device", e);
	return is_outside(s, f) && !is_init_stdio(s, &f->st) ? report(s, f, "file_outside", e) : 0;
}

static int look_at_file(struct scan *s, const struct open_file *f, struct err *e)
{
	if (str_prefix(f->link, "/secretmem"))
		return report(s, f, "memfd", e);
	if (str_prefix(f->link, "/memfd:"))
		return 0;
	if (is_outside(s, f) && !is_init_stdio(s, &f->st))
		return report(s, f, "file_outside", e);
	if (f->st.st_nlink == 0 && (uint64_t)f->st.st_blocks * 512 > CRIU_GHOST_LIMIT)
		return report(s, f, "ghost_limit", e);
	return 0;
}

static int look_at(struct scan *s, const struct open_file *f, struct err *e)
{
	if (str_prefix(f->link, "anon_inode:"))
		return look_at_anonymous(s, f, e);
	if (S_ISCHR(f->st.st_mode) || S_ISBLK(f->st.st_mode))
		return look_at_device(s, f, e);
	return f->link[0] == '/' ? look_at_file(s, f, e) : 0;
}

int scan_fds(struct scan *s, pid_t pid, struct err *e)
{
	char path[64];
	struct dirent *d;
	int rc = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	DIR *dir = opendir(path);
	while (dir && rc == 0 && (d = readdir(dir))) {
		struct open_file f = { .pid = pid, .fd = atoi(d->d_name) };
		if (d->d_name[0] == '.')
			continue;
		ssize_t n = readlinkat(dirfd(dir), d->d_name, f.link, sizeof(f.link) - 1);
		if (n < 0 || fstatat(dirfd(dir), d->d_name, &f.st, 0) < 0)
			continue;
		(void)proc_fd_number(pid, f.fd, "mnt_id", 10, &f.mount, NULL); /* else 0: of no mount */
		rc = look_at(s, &f, e);
	}
	if (dir)
		closedir(dir);
	return rc;
}
