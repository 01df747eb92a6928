/* Which namespaces a container has: see namespace.h. */
#include "runtime/namespace.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/str.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

const struct ns_type ns_types[NS_COUNT] = {
	[NS_USER] = { "user", "user", CLONE_NEWUSER },
	[NS_MOUNT] = { "mount", "mnt", CLONE_NEWNS },
	[NS_PID] = { "pid", "pid", CLONE_NEWPID },
	[NS_NETWORK] = { "network", "net", CLONE_NEWNET },
	[NS_UTS] = { "uts", "uts", CLONE_NEWUTS },
	[NS_IPC] = { "ipc", "ipc", CLONE_NEWIPC },
	[NS_CGROUP] = { "cgroup", "cgroup", CLONE_NEWCGROUP },
	[NS_TIME] = { "time", "time", CLONE_NEWTIME },
};

int ns_kind_of(const char *oci_name)
{
	for (int k = 0; k < NS_COUNT; k++)
		if (str_eq(ns_types[k].oci, oci_name))
			return k;
	return -1;
}

void ns_set_init(struct ns_set *s)
{
	for (int k = 0; k < NS_COUNT; k++) {
		s->how[k] = NS_HOST;
		s->fd[k] = -1;
	}
}

void ns_set_close(struct ns_set *s)
{
	for (int k = 0; k < NS_COUNT; k++)
		fd_closep(&s->fd[k]);
}

int ns_open(pid_t pid, enum ns_kind kind, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, ns_types[kind].proc);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, errno, "open %s", path) : fd;
}

/* A namespace is named by device and inode of its nsfs file. */
static bool is_own(const struct stat *st, enum ns_kind kind)
{
	char path[64];
	struct stat own;

	snprintf(path, sizeof(path), "/proc/self/ns/%s", ns_types[kind].proc);
	return stat(path, &own) == 0 && own.st_dev == st->st_dev && own.st_ino == st->st_ino;
}

static int open_joined(const char *path, enum ns_kind kind, const char *field, struct ns_set *s, struct err *e)
{
	struct stat st;
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		err_field(e, field, "open namespace %s: %s", path, strerror(errno));
		return err_remedy(e, "name the namespace of a living process, /proc/PID/ns/%s, or a bind mount of one", ns_types[kind].proc);
	}
	if (ioctl(fd, NS_GET_NSTYPE) != ns_types[kind].flag) {
		err_field(e, field, "%s is not a %s namespace", path, ns_types[kind].oci);
		return err_remedy(e, "name a path like /proc/PID/ns/%s", ns_types[kind].proc);
	}
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "stat %s", path);
	if (is_own(&st, kind))
		return 0;
	s->how[kind] = NS_JOIN;
	s->fd[kind] = steal_fd(&fd);
	return 0;
}

int ns_set_of_spec(const Davit__OciSpec *spec, struct ns_set *out, struct err *e)
{
	char field[64];

	for (size_t i = 0; spec->linux && i < spec->linux->n_namespaces; i++) {
		const Davit__OciNamespace *n = spec->linux->namespaces[i];
		int kind = ns_kind_of(n->type);

		snprintf(field, sizeof(field), "linux.namespaces[%zu].path", i);
		if (kind < 0)
			return err_field(e, field, "unknown namespace type");
		if (!n->path || !*n->path)
			out->how[kind] = NS_NEW;
		else if (open_joined(n->path, kind, field, out, e) < 0)
			return -1;
	}
	return 0;
}

int ns_flags_of_pid(pid_t pid, struct err *e)
{
	char path[64];
	struct stat st;
	int flags = 0;

	for (int k = 0; k < NS_COUNT; k++) {
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, ns_types[k].proc);
		if (stat(path, &st) < 0) {
			/* A kernel without time namespaces has no such file, and then nothing to join. */
			if (errno == ENOENT && k == NS_TIME)
				continue;
			return err_sys(e, errno, "look at the namespaces of process %d", (int)pid);
		}
		if (!is_own(&st, k))
			flags |= ns_types[k].flag;
	}
	return flags;
}

int ns_set_flags(const struct ns_set *s, enum ns_how how)
{
	int flags = 0;

	for (int k = 0; k < NS_COUNT; k++)
		if (s->how[k] == how)
			flags |= ns_types[k].flag;
	return flags;
}

enum ns_how ns_how_of_spec(const Davit__OciSpec *spec, enum ns_kind kind)
{
	for (size_t i = 0; spec->linux && i < spec->linux->n_namespaces; i++) {
		const Davit__OciNamespace *n = spec->linux->namespaces[i];

		if (str_eq(n->type, ns_types[kind].oci))
			return n->path && *n->path ? NS_JOIN : NS_NEW;
	}
	return NS_HOST;
}

int ns_make_failed(int flags, int cause, struct err *e)
{
	char path[64];

	for (int k = 0; cause == EINVAL && k < NS_COUNT; k++) {
		snprintf(path, sizeof(path), "/proc/self/ns/%s", ns_types[k].proc);
		if (!(flags & ns_types[k].flag) || access(path, F_OK) == 0)
			continue;
		err_field(e, "linux.namespaces", "this kernel has no %s namespaces", ns_types[k].oci);
		return err_remedy(e, "leave it away, or use a kernel that has them");
	}
	err_sys(e, cause, "make the container's namespaces");
	if (cause == ENOSPC)
		return err_remedy(e, "there are as many as /proc/sys/user/max_*_namespaces allow: raise that limit, or delete containers");
	return cause == EPERM && (flags & CLONE_NEWUSER) ? err_remedy(e, "this host does not let you make user namespaces") : -1;
}
