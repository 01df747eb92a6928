/* delete: the container's processes, then its network, cgroup and state, then the hooks that come last. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "proto/pb.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/container.h"
#include "runtime/create.h"
#include "runtime/hooks.h"
#include "runtime/net/net.h"
#include "runtime/run.h"
#include "runtime/state.h"

#define KILL_MS 10000

/* Waits until init is no more, or only a zombie that its parent has not looked at. */
static int wait_gone(const Davit__RuntimeState *s, struct err *e)
{
	if (!state_init_alive(s))
		return 0;
	auto_close int pidfd = proc_pidfd_open(s->pid, NULL);
	if (pidfd < 0)
		return 0;
	int rc = fd_wait(pidfd, POLLIN, KILL_MS, e);
	return rc == 0 ? err_set(e, ERR_TIMEOUT, 0, "container %s does not die", s->id) : rc < 0 ? -1 : 0;
}

static int kill_all(const Davit__RuntimeState *s, struct cgroup *c, struct err *e)
{
	auto_close int pidfd = s->has_pid ? proc_pidfd_open(s->pid, NULL) : -1;

	if (pidfd >= 0 && state_init_alive(s))
		proc_pidfd_kill(pidfd, SIGKILL, NULL);
	if (c && cgroup_kill(c, SIGKILL, e) < 0)
		return -1;
	return wait_gone(s, e);
}

static int detach_network(const Davit__RuntimeState *s, struct err *e)
{
	auto_pb(Davit__RuntimeNetwork) *n = NULL;

	if (!s->network_file)
		return 0;
	n = net_load(s->network_file, e);
	/* The file went before the container: what it named is looked for by the container's name at the next start of its owner. */
	if (!n)
		return e && e->code == ERR_NOT_FOUND ? 0 : -1;
	return net_detach_all(n, s->id, e);
}

static void run_poststop(const Davit__OciSpec *spec, const Davit__RuntimeState *s)
{
	struct err e = { 0 };
	const Davit__OciHooks *h = spec ? spec->hooks : NULL;

	if (!h || h->n_poststop == 0)
		return;
	auto_pb(Davit__OciState) *state = create_oci_state(s, "stopped", &e);
	/* config.md: a failing poststop hook is logged. */
	if (!state || hooks_run("poststop", h->poststop, h->n_poststop, state, &e) < 0)
		log_err(LOG_LEVEL_WARN, s->id, &e);
}

/* Nothing of it runs any more. The state folder goes last, so that a delete that failed can be done again. */
static int destroy(const struct runtime *rt, struct state_dir *d, const Davit__OciSpec *spec, const Davit__RuntimeState *s, struct cgroup *c,
		   struct err *e)
{
	if (detach_network(s, e) < 0 || (c && cgroup_remove(c, e) < 0) || state_dir_remove(rt->root, d, e) < 0)
		return -1;
	run_poststop(spec, s);
	return 0;
}

/* A create that died half-way leaves a folder without a state. */
static int delete_remains(const struct runtime *rt, struct state_dir *d, struct err *e)
{
	log_warn("container %s has no readable state: only its folder is removed", d->id);
	return state_dir_remove(rt->root, d, e);
}

static int delete_locked(const struct runtime *rt, struct state_dir *d, bool force, struct err *e)
{
	struct err unread = { 0 };
	auto_pb(Davit__RuntimeState) *s = state_load(d, &unread);
	auto_cgroup struct cgroup *c = NULL;

	if (!s)
		return delete_remains(rt, d, e);
	const char *status = state_status(s);
	bool stopped = strcmp(status, "stopped") == 0;
	if (!stopped && strcmp(status, "created") != 0 && !force) {
		err_set(e, ERR_STATE, 0, "cannot delete container %s that is not stopped: %s", s->id, status);
		return err_remedy(e, "kill it first, or use --force");
	}
	if (cgroup_open(s, &c, e) < 0 && (!e || e->code != ERR_NOT_FOUND))
		return -1;
	err_clear(e);
	auto_pb(Davit__OciSpec) *spec = state_spec(d, NULL);
	/* Also of a stopped one: without a PID namespace of its own, processes may be left. */
	if (kill_all(s, c, e) < 0)
		return -1;
	return destroy(rt, d, spec, s, c, e);
}

int container_delete(const struct runtime *rt, const char *id, bool force, struct err *e)
{
	auto_state_dir struct state_dir d = { .fd = -1, .lock = -1 };
	struct err one = { 0 };

	if (state_dir_open(rt->root, id, true, &d, &one) < 0) {
		/* As runc: with --force nothing to delete is fine. */
		if (force && one.code == ERR_NOT_FOUND)
			return 0;
		if (e)
			*e = one;
		return -1;
	}
	return delete_locked(rt, &d, force, e);
}

int container_delete_own(struct create *c, struct err *e)
{
	auto_state_dir struct state_dir d = { .fd = -1, .lock = -1 };

	if (state_dir_open(c->rt->root, c->state->id, true, &d, e) < 0 || kill_all(c->state, c->cgroup, e) < 0)
		return -1;
	return destroy(c->rt, &d, c->spec, c->state, c->cgroup, e);
}
