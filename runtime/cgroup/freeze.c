/* Freezing and thawing.
 *
 * v2: cgroup.freeze, and cgroup.events tells by POLLPRI when "frozen" has changed. v1: freezer.state, which has to be asked. There a cgroup
 * can stay FREEZING, when tasks fork or wait in a vfork while they are frozen: thawing it for a moment and freezing it again gets past
 * that. Sources: kernel Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst, cgroup-v2.rst. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include "base/clock.h"
#include "base/file.h"
#include "runtime/cgroup/internal.h"

#define REFREEZE_AFTER_NS (100 * NSEC_PER_MSEC)
#define PAUSE_MAX_US 5000

static const struct hierarchy *freezer(const struct cgroup *c, struct err *e)
{
	const struct hierarchy *h = cgroup_hierarchy_of(c, CONTROLLER_FREEZER);
	if (!h) {
		if (cgroup_is_none(c)) {
			err_set(e, ERR_UNSUPPORTED, 0, "the container has no cgroup of its own to be frozen by");
			err_remedy(e, REMEDY_DELEGATION);
			return NULL;
		}
		err_set(e, ERR_UNSUPPORTED, 0, "this host has no freezer cgroup controller");
		err_remedy(e, "mount the freezer controller");
	}
	return h;
}

static int ask(const struct hierarchy *h, bool frozen, struct err *e)
{
	if (h->unified)
		return file_write_pseudo(h->fd, "cgroup.freeze", frozen ? "1" : "0", e);
	return file_write_pseudo(h->fd, "freezer.state", frozen ? "FROZEN" : "THAWED", e);
}

/* Whether it is as asked: 1, 0, -1. */
static int is_reached(const struct hierarchy *h, bool frozen, struct err *e)
{
	char state[32];
	if (h->unified) {
		int64_t now = cgroup_read_key(h->fd, "cgroup.events", "frozen");
		return now < 0 ? err_set(e, ERR_UNSUPPORTED, 0, "cgroup %s has no freezer", h->path) : (now == 1) == frozen;
	}
	if (file_read_line(h->fd, "freezer.state", state, sizeof(state), e) < 0)
		return -1;
	return str_eq(state, frozen ? "FROZEN" : "THAWED");
}

static int timed_out(const struct hierarchy *h, bool frozen, int timeout_ms, struct err *e)
{
	return err_set(e, ERR_TIMEOUT, 0, "cgroup %s was not %s within %d ms", h->path, frozen ? "frozen" : "thawed", timeout_ms);
}

static int wait_v2(const struct hierarchy *h, bool frozen, int timeout_ms, struct err *e)
{
	int64_t deadline = clock_now_ns(CLOCK_MONOTONIC) + timeout_ms * NSEC_PER_MSEC;
	auto_close int fd = openat(h->fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "open cgroup.events of %s", h->path);
	for (;;) {
		/* A change counts from the last read of this descriptor on. */
		char text[256];
		ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
		if (n < 0)
			return err_sys(e, errno, "read cgroup.events of %s", h->path);
		text[n] = '\0';
		if (strstr(text, frozen ? "frozen 1" : "frozen 0"))
			return 0;
		int64_t left = (deadline - clock_now_ns(CLOCK_MONOTONIC)) / NSEC_PER_MSEC;
		struct pollfd p = { .fd = fd, .events = POLLPRI };
		if (left <= 0)
			return timed_out(h, frozen, timeout_ms, e);
		if (poll(&p, 1, (int)left) < 0 && errno != EINTR)
			return err_sys(e, errno, "wait for cgroup.events of %s", h->path);
	}
}

static int wait_v1(const struct hierarchy *h, bool frozen, int timeout_ms, struct err *e)
{
	int64_t start = clock_now_ns(CLOCK_MONOTONIC), deadline = start + timeout_ms * NSEC_PER_MSEC;
	int64_t refreeze = start + REFREEZE_AFTER_NS;
	unsigned us = 20;
	for (;;) {
		int reached = is_reached(h, frozen, e);
		if (reached)
			return reached < 0 ? -1 : 0;
		if (!cgroup_pause(&us, PAUSE_MAX_US, deadline))
			return timed_out(h, frozen, timeout_ms, e);
		if (frozen && clock_now_ns(CLOCK_MONOTONIC) > refreeze) {
			if (ask(h, false, e) < 0 || ask(h, true, e) < 0)
				return -1;
			refreeze = clock_now_ns(CLOCK_MONOTONIC) + REFREEZE_AFTER_NS;
		}
	}
}

int cgroup_freeze_begin(const struct cgroup *c, struct err *e)
{
	const struct hierarchy *h = freezer(c, e);
	return h ? ask(h, true, e) : -1;
}

int cgroup_freeze(const struct cgroup *c, bool frozen, int timeout_ms, struct err *e)
{
	const struct hierarchy *h = freezer(c, e);
	if (!h || ask(h, frozen, e) < 0)
		return -1;
	int result = h->unified ? wait_v2(h, frozen, timeout_ms, e) : wait_v1(h, frozen, timeout_ms, e);
	/* Half frozen is worse than not: whoever asked believes that it runs. */
	if (result < 0 && frozen)
		ask(h, false, NULL);
	return result;
}

bool cgroup_is_frozen(const struct cgroup *c)
{
	const struct hierarchy *h = cgroup_hierarchy_of(c, CONTROLLER_FREEZER);
	return h && is_reached(h, true, NULL) == 1;
}

const char *cgroup_freezer_path(const struct cgroup *c)
{
	const struct hierarchy *h = cgroup_hierarchy_of(c, CONTROLLER_FREEZER);
	return h ? h->path : NULL;
}
