/* Listing and signalling all processes of a cgroup and of those below it.
 *
 * SIGKILL has to reach processes that fork meanwhile. cgroup.kill (v2, Linux 5.14) does it in one. Without it the cgroup is frozen, so that no one
 * forks, every process gets the signal, and it is thawed, so that they die; until none is left. Other signals are sent once. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/file.h"
#include "runtime/cgroup/internal.h"

#define KILL_LIMIT_MS 10000
#define FREEZE_LIMIT_MS 500
#define PROCS_MAX (32 << 20)

struct pid_list {
	pid_t *v;
	size_t n, cap;
	struct err *e;
};

static int list_one(int dirfd, int parent, const char *name, void *arg)
{
	struct pid_list *list = arg;
	size_t len;
	(void)parent;
	(void)name;
	auto_free char *text = file_read(dirfd, "cgroup.procs", PROCS_MAX, &len, NULL);
	/* A folder below may be gone, or be of the kind whose file cannot be read (v2, threaded). */
	for (char *p = text, *end; p && *p; p = end + (*end == '\n')) {
		pid_t pid = (pid_t)strtol(p, &end, 10);
		if (end == p)
			break;
		/* 0: a process that the caller's PID namespace does not show. */
		if (pid <= 0)
			continue;
		if (mem_grow(&list->v, &list->cap, list->n + 1, sizeof(*list->v), list->e) < 0)
			return -1;
		list->v[list->n++] = pid;
	}
	return 0;
}

int cgroup_pids(const struct cgroup *c, pid_t **pids, size_t *n, struct err *e)
{
	struct pid_list list = { .e = e };
	if (cgroup_walk(cgroup_process_hierarchy(c)->fd, list_one, &list) < 0) {
		free(list.v);
		return -1;
	}
	*pids = list.v;
	*n = list.n;
	return 0;
}

static int signal_all(const struct cgroup *c, int sig, size_t *left, struct err *e)
{
	auto_free pid_t *pids = NULL;
	if (cgroup_pids(c, &pids, left, e) < 0)
		return -1;
	for (size_t i = 0; i < *left; i++)
		if (kill(pids[i], sig) < 0 && errno != ESRCH)
			return err_sys(e, errno, "send signal %d to process %d", sig, pids[i]);
	return 0;
}

static int still_there(int dirfd, int parent, const char *name, void *arg)
{
	(void)parent;
	(void)name;
	(void)arg;
	return cgroup_has_process(dirfd);
}

static int wait_empty(const struct cgroup *c, int64_t deadline, struct err *e)
{
	const struct hierarchy *h = cgroup_process_hierarchy(c);
	unsigned us = 50;
	while (cgroup_walk(h->fd, still_there, NULL))
		if (!cgroup_pause(&us, 10000, deadline))
			return err_set(e, ERR_TIMEOUT, 0, "processes of cgroup %s did not end within %d ms of SIGKILL", h->path, KILL_LIMIT_MS);
	return 0;
}

/* Frozen, signalled, thawed, until none is left. A cgroup that does not freeze in time is signalled all the same: the next round gets the rest. */
static int kill_frozen(const struct cgroup *c, int64_t deadline, struct err *e)
{
	const struct hierarchy *h = cgroup_process_hierarchy(c);
	bool can_freeze = cgroup_hierarchy_of(c, CONTROLLER_FREEZER) != NULL;
	unsigned us = 50;
	for (size_t left = 1; left > 0;) {
		if (can_freeze)
			cgroup_freeze(c, true, FREEZE_LIMIT_MS, NULL);
		int result = signal_all(c, SIGKILL, &left, e);
		if (can_freeze && cgroup_freeze(c, false, FREEZE_LIMIT_MS, result < 0 ? NULL : e) < 0)
			result = -1;
		if (result < 0)
			return -1;
		if (left > 0 && !cgroup_pause(&us, 10000, deadline))
			return err_set(e, ERR_TIMEOUT, 0, "processes of cgroup %s did not end within %d ms of SIGKILL", h->path, KILL_LIMIT_MS);
	}
	return 0;
}

int cgroup_kill(const struct cgroup *c, int sig, struct err *e)
{
	const struct hierarchy *h = cgroup_process_hierarchy(c);
	int64_t deadline = clock_now_ns(CLOCK_MONOTONIC) + KILL_LIMIT_MS * NSEC_PER_MSEC;
	size_t n;
	if (sig != SIGKILL)
		return signal_all(c, sig, &n, e);
	if (h->unified && file_write_pseudo(h->fd, "cgroup.kill", "1", NULL) == 0)
		return wait_empty(c, deadline, e);
	/* Mostly there is nobody. */
	if (!cgroup_walk(h->fd, still_there, NULL) && !cgroup_is_frozen(c))
		return 0;
	return kill_frozen(c, deadline, e);
}
