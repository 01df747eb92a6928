/* Taking a container's folders away, those that its processes made below them first.
 *
 * A folder answers EBUSY while a process in it has not quite ended (its exit is not over when its parent has been told), so that is waited for. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "runtime/cgroup/internal.h"
#include "runtime/cgroup/systemd.h"

#define REMOVE_LIMIT_NS NSEC_PER_SEC

static int remove_below(int dirfd, int parent, const char *name, void *arg)
{
	(void)dirfd;
	(void)arg;
	if (name && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return errno;
	return 0;
}

static int remove_one(const struct hierarchy *h, int64_t deadline, struct err *e)
{
	unsigned us = 50;
	while (rmdir(h->path) < 0 && errno != ENOENT) {
		if (errno != EBUSY && errno != ENOTEMPTY)
			return err_sys(e, errno, "remove cgroup %s", h->path);
		if (cgroup_walk(h->fd, remove_below, NULL) != 0 && !cgroup_pause(&us, 10000, deadline))
			return err_sys(e, EBUSY, "remove cgroup %s", h->path);
		if (cgroup_has_process(h->fd) && !cgroup_pause(&us, 10000, deadline))
			return err_set(e, ERR_BUSY, 0, "remove cgroup %s: it still has processes", h->path);
	}
	return 0;
}

int cgroup_remove(struct cgroup *c, struct err *e)
{
	int64_t deadline = clock_now_ns(CLOCK_MONOTONIC) + REMOVE_LIMIT_NS;
	int result = 0;
	/* All are tried: the first failure is told. */
	for (size_t i = 0; i < c->n; i++)
		if (remove_one(&c->h[i], deadline, result < 0 ? NULL : e) < 0)
			result = -1;
	if (c->unit && systemd_stop(c->unit, c->user, result < 0 ? NULL : e) < 0)
		result = -1;
	return result;
}
