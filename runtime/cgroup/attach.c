/* Putting a process into a cgroup.
 *
 * Moving a process by cgroup.procs holds every fork and exit of the machine for a moment, and the kernel waits for an RCU grace period before
 * (10 ms and more). There are two ways past that: a process that is alone in its thread group moves itself by writing 0 to v1's "tasks", which
 * moves one thread and takes no such lock; and on v2 a process is made in its cgroup by clone3 (CLONE_INTO_CGROUP).
 *
 * Two refusals have a way out. v1: a cpuset whose CPUs or nodes are empty answers ENOSPC. v2: a cgroup that gives controllers to its
 * children answers EBUSY (a container whose init manages cgroups itself): exec then goes into the first child that takes it. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include "base/file.h"
#include "runtime/cgroup/internal.h"

static int write_pid(int dir, const char *file, pid_t pid)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%d", pid);
	auto_close int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, (size_t)len) < 0)
		return -errno;
	return 0;
}

struct below {
	pid_t pid;
	int result;
};

/* The deepest folders are tried first: those above give controllers away. */
static int try_below(int dir, int parent, const char *name, void *arg)
{
	struct below *below = arg;
	(void)parent;
	if (name)
		below->result = write_pid(dir, "cgroup.procs", below->pid);
	return below->result == 0;
}

static int attach_one(const struct hierarchy *h, pid_t pid, struct err *e)
{
	const char *file = pid == 0 && !h->unified ? "tasks" : "cgroup.procs";
	int result = write_pid(h->fd, file, pid);
	if (result == -ENOSPC && !h->unified && (h->controllers & CONTROLLER_BIT(CONTROLLER_CPUSET))) {
		if (cpuset_v1_inherit(h, e) < 0)
			return -1;
		result = write_pid(h->fd, file, pid);
	}
	if (result == -EBUSY && h->unified) {
		struct below below = { .pid = pid, .result = result };
		cgroup_walk(h->fd, try_below, &below);
		result = below.result;
	}
	return result < 0 ? err_sys(e, -result, "put process %d into cgroup %s", pid, h->path) : 0;
}

int cgroup_clone_fd(const struct cgroup *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->h[i].unified)
			return c->h[i].fd;
	return -1;
}

int cgroup_attach_cloned(const struct cgroup *c, struct err *e)
{
	for (size_t i = 0; i < c->n; i++)
		if (!c->h[i].unified && attach_one(&c->h[i], 0, e) < 0)
			return -1;
	return 0;
}

int cgroup_attach(const struct cgroup *c, pid_t pid, struct err *e)
{
	for (size_t i = 0; i < c->n; i++)
		if (attach_one(&c->h[i], pid, e) < 0)
			return -1;
	return 0;
}

/* Once somebody has waited for the grace period, those that come within the next one do not (rcu_sync_enter, kernel/rcu/sync.c). The child writes
 * itself into the cgroup where it is, which changes nothing and waits all the same. */
pid_t cgroup_attach_expect(void)
{
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	struct cgroup own = { 0 };
	char path[PATH_MAX];
	if (host_find(&own, NULL) < 0 || own.n == 0)
		_exit(1);
	snprintf(path, sizeof(path), "%s%s", own.h[0].mount, own.h[0].own ? own.h[0].own : "");
	auto_close int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_exit(dir >= 0 && write_pid(dir, "cgroup.procs", getpid()) == 0 ? 0 : 1);
}
