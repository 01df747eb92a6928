/* start, kill, pause, resume, update: each under the container's lock, but for kill, which must get through to a container that something else is
 * busy with.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "proto/pb.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/container.h"
#include "runtime/create.h"
#include "runtime/hooks.h"
#include "runtime/namespace.h"
#include "runtime/state.h"

#define FIFO "exec.fifo"
#define FREEZE_MS 10000

/* Opens and loads; *s owned. */
static int open_container(const struct runtime *rt, const char *id, bool lock, struct state_dir *d, Davit__RuntimeState **s, struct err *e)
{
	if (state_dir_open(rt->root, id, lock, d, e) < 0)
		return -1;
	*s = state_load(d, e);
	return *s ? 0 : -1;
}

static int wrong_state(const char *id, const char *what, const char *status, struct err *e)
{
	return err_set(e, ERR_STATE, 0, "cannot %s container %s that is %s", what, id, status);
}

static void run_poststart(const struct state_dir *d, const Davit__RuntimeState *s)
{
	struct err e = { 0 };
	auto_pb(Davit__OciSpec) *spec = state_spec(d, &e);
	const Davit__OciHooks *h = spec ? spec->hooks : NULL;

	if (!h || h->n_poststart == 0)
		return;
	auto_pb(Davit__OciState) *state = create_oci_state(s, "running", &e);
	/* config.md: a failing poststart hook is logged, and the container goes on. */
	if (!state || hooks_run("poststart", h->poststart, h->n_poststart, state, &e) < 0)
		log_err(LOG_LEVEL_WARN, d->id, &e);
}

/* Init holds the fifo open for both directions until its exec closes it. So: no reader means init is gone; POLLERR after our byte means that it runs.
 */
static int let_go(const struct state_dir *d, struct err *e)
{
	auto_close int fd = openat(d->fd, FIFO, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return errno == ENXIO ? err_set(e, ERR_STATE, 0, "container %s has ended before it was started", d->id)
				      : err_sys(e, errno, "open %s of container %s", FIFO, d->id);
	if (write(fd, "s", 1) != 1)
		return err_sys(e, errno, "start container %s", d->id);
	/* No limit of ours: startContainer hooks come before the exec, with limits of their own. */
	return fd_wait(fd, 0, -1, e) < 0 ? -1 : 0;
}

int container_start(const struct runtime *rt, const char *id, struct err *e)
{
	auto_state_dir struct state_dir d = { .fd = -1, .lock = -1 };
	auto_pb(Davit__RuntimeState) *s = NULL;

	if (open_container(rt, id, true, &d, &s, e) < 0)
		return -1;
	const char *status = state_status(s);
	if (strcmp(status, "created") != 0)
		return wrong_state(id, "start", status, e);
	s->has_started_ns = true;
	s->started_ns = clock_now_ns(CLOCK_REALTIME);
	if (let_go(&d, e) < 0)
		return -1;
	unlinkat(d.fd, FIFO, 0);
	if (pb_set_str(&s->phase, "running", e) < 0 || state_save(&d, s, e) < 0)
		return -1;
	run_poststart(&d, s);
	return 0;
}

/* A pid may be another process by now; the pidfd is opened first and the start time looked at after. */
static int signal_init(const Davit__RuntimeState *s, int sig, struct err *e)
{
	auto_close int pidfd = proc_pidfd_open(s->pid, e);

	if (pidfd < 0)
		return -1;
	if (!state_init_alive(s))
		return wrong_state(s->id, "signal", "stopped", e);
	return proc_pidfd_kill(pidfd, sig, e);
}

/* Without a PID namespace of its own, a container's other processes outlive its first. */
static bool outlives_init(const struct state_dir *d)
{
	auto_pb(Davit__OciSpec) *spec = state_spec(d, NULL);

	return spec && ns_how_of_spec(spec, NS_PID) != NS_NEW;
}

int container_kill(const struct runtime *rt, const char *id, int sig, bool all, struct err *e)
{
	auto_state_dir struct state_dir d = { .fd = -1, .lock = -1 };
	auto_pb(Davit__RuntimeState) *s = NULL;
	auto_cgroup struct cgroup *c = NULL;

	if (open_container(rt, id, false, &d, &s, e) < 0)
		return -1;
	const char *status = state_status(s);
	if (strcmp(status, "stopped") == 0 && !all)
		return wrong_state(id, "signal", status, e);
	if (all || (sig == SIGKILL && outlives_init(&d))) {
		if (cgroup_open(s, &c, e) < 0)
			return -1;
		if (!cgroup_is_none(c))
			return cgroup_kill(c, sig, e);
	}
	if (signal_init(s, sig, e) < 0)
		return -1;
	/* A frozen task of v1 takes even SIGKILL only when it is thawed. */
	if (sig == SIGKILL && strcmp(status, "paused") == 0)
		return cgroup_open(s, &c, e) < 0 ? -1 : cgroup_freeze(c, false, FREEZE_MS, e);
	return 0;
}

static int freeze(const struct runtime *rt, const char *id, bool frozen, struct err *e)
{
	auto_state_dir struct state_dir d = { .fd = -1, .lock = -1 };
	auto_pb(Davit__RuntimeState) *s = NULL;
	auto_cgroup struct cgroup *c = NULL;

	if (open_container(rt, id, true, &d, &s, e) < 0)
		return -1;
	const char *status = state_status(s), *from = frozen ? "running" : "paused";
	if (strcmp(status, from) != 0 && !(frozen && strcmp(status, "created") == 0))
		return wrong_state(id, frozen ? "pause" : "resume", status, e);
	if (cgroup_open(s, &c, e) < 0 || cgroup_freeze(c, frozen, FREEZE_MS, e) < 0)
		return -1;
	s->has_paused_ns = frozen;
	s->paused_ns = frozen ? clock_now_ns(CLOCK_BOOTTIME) : 0;
	return state_save(&d, s, e);
}

int container_pause(const struct runtime *rt, const char *id, struct err *e)
{
	return freeze(rt, id, true, e);
}

int container_resume(const struct runtime *rt, const char *id, struct err *e)
{
	return freeze(rt, id, false, e);
}

int container_update(const struct runtime *rt, const char *id, const Davit__OciResources *r, struct err *e)
{
	auto_state_dir struct state_dir d = { .fd = -1, .lock = -1 };
	auto_pb(Davit__RuntimeState) *s = NULL;
	auto_cgroup struct cgroup *c = NULL;

	if (open_container(rt, id, true, &d, &s, e) < 0)
		return -1;
	const char *status = state_status(s);
	if (strcmp(status, "stopped") == 0)
		return wrong_state(id, "update", status, e);
	return cgroup_open(s, &c, e) < 0 ? -1 : cgroup_set(c, r, e);
}
