/* create, and run in the foreground or detached: the same way to a process that is ready, and then either the fifo or the word to go on.
 *
 * While init makes mounts, the parent configures its network namespace. Order of what the outside sees: state "creating", hooks of the host, pid
 * file, state "created" or "running", and only then the program. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "runtime/console.h"
#include "runtime/create.h"
#include "runtime/hooks.h"
#include "runtime/init/init.h"
#include "runtime/init/sync.h"
#include "runtime/lsm.h"
#include "runtime/rootless.h"
#include "runtime/run.h"
#include "runtime/seccomp_listener.h"

#define FIFO "exec.fifo"

static void plan_close(struct init_plan *p)
{
	init_process_free(&p->process);
	ns_set_close(&p->ns);
	mount_set_close(&p->mounts);
}
#define auto_plan __attribute__((cleanup(plan_close)))

static void set_offsets(struct init_plan *p)
{
	const Davit__OciTimeOffsets *t = p->spec->linux->time_offsets;

	if (t && t->monotonic)
		p->offsets.monotonic = t->monotonic->secs * NSEC_PER_SEC + t->monotonic->nanosecs;
	if (t && t->boottime)
		p->offsets.boottime = t->boottime->secs * NSEC_PER_SEC + t->boottime->nanosecs;
}

/* Everything that init needs is opened, parsed and compiled here, with the host's rights. */
static int fill_plan(struct create *c, struct init_plan *p, struct err *e)
{
	const Davit__OciSpec *s = c->spec;

	p->spec = s;
	p->cgroup = c->cgroup;
	ns_set_init(&p->ns);
	mount_set_init(&p->mounts);
	if (init_process_prepare(&p->process, c->dir.id, s->process, e) < 0)
		return -1;
	memcpy(p->process.stdio, c->options->stdio, sizeof(p->process.stdio));
	p->process.preserve_fds = c->options->preserve_fds;
	p->process.new_keyring = !c->options->no_new_keyring;
	p->process.filter = c->filter.bpf.len ? &c->filter : NULL;
	p->process.landlock = c->landlock;
	p->process.personality = s->linux->personality;
	if (c->options->listen_fds &&
	    (strv_addf(&p->process.env, e, "LISTEN_FDS=%u", c->options->listen_fds) < 0 || strv_add(&p->process.env, "LISTEN_PID=1", e) < 0))
		return -1;
	set_offsets(p);
	if (ns_set_of_spec(s, &p->ns, e) < 0)
		return -1;
	p->in_userns = rootless_is();
	if (rootless_has_entered())
		p->ns.how[NS_USER] = NS_HOST;
	p->raises_loopback = p->ns.how[NS_NETWORK] == NS_NEW && !c->network;
	if (lsm_check(s->process, e) < 0)
		return -1;
	return p->ns.how[NS_MOUNT] == NS_NEW ? mount_set_open(s, c->bundle, c->state, &p->mounts, e) : 0;
}

/* The fifo is opened for reading and writing, so that this blocks nobody; init inherits the descriptor. */
static int make_fifo(const struct create *c, struct init_process *p, struct err *e)
{
	if (mkfifoat(c->dir.fd, FIFO, 0600) < 0)
		return err_sys(e, errno, "make %s", FIFO);
	p->fifo = openat(c->dir.fd, FIFO, O_RDWR | O_CLOEXEC);
	return p->fifo < 0 ? err_sys(e, errno, "open %s", FIFO) : 0;
}

static int open_console(const struct create *c, struct init_process *p, struct run *run, struct err *e)
{
	if (!c->spec->process->terminal)
		return 0;
	if (c->options->console_socket) {
		p->console = console_connect(c->options->console_socket, e);
		return p->console < 0 ? -1 : 0;
	}
	if (run && !run->detach)
		return console_pair(&run->console, &p->console, e);
	err_field(e, "process.terminal", "a terminal needs somebody who holds it");
	return err_remedy(e, "pass --console-socket, or set process.terminal to false");
}

/* The host's hooks see the state with init's pid, and can ask `davit-runtime state` for it. */
static int run_host_hooks(struct create *c, struct init_child *child, struct err *e)
{
	const Davit__OciHooks *h = c->spec->hooks;
	auto_pb(Davit__OciState) *state = NULL;

	if (!h)
		return 0;
	if (sync_wait(child->sync, SYNC_MOUNTED, NULL, e) < 0 || create_record(c, child->pid, "creating", e) < 0)
		return -1;
	state = create_oci_state(c->state, "creating", e);
	if (!state || hooks_run("prestart", h->prestart, h->n_prestart, state, e) < 0 ||
	    hooks_run("createRuntime", h->create_runtime, h->n_create_runtime, state, e) < 0)
		return -1;
	return sync_send(child->sync, SYNC_HOOKED, 0, e);
}

static int follow(struct create *c, struct init_plan *p, struct init_child *child, struct run *run, struct err *e)
{
	if ((c->network && create_network_of(c, child->pid, e) < 0) || run_host_hooks(c, child, e) < 0)
		return -1;
	if (p->process.filter && p->process.filter->notifies &&
	    seccomp_listener_pass(child, c->spec->linux->seccomp, c->supervised, c->state, c->rt->root, e) < 0)
		return -1;
	if (sync_wait(child->sync, SYNC_READY, NULL, e) < 0)
		return -1;
	/* The lock is held and the program waits: who reads the state now sees the one that is true in a moment. */
	if (create_record(c, child->pid, run ? "running" : "created", e) < 0 || create_pid_file(c->options->pid_file, child->pid, e) < 0)
		return -1;
	if (run && run->console >= 0 && (run->master = console_take(run->console, e)) < 0)
		return -1;
	return sync_send(child->sync, SYNC_RUN, 0, e);
}

/* run == NULL: create. */
static int make_process(struct create *c, struct run *run, struct init_child *child, struct err *e)
{
	auto_plan struct init_plan plan = { 0 };
	auto_pb(Davit__OciState) *state = NULL;

	if (fill_plan(c, &plan, e) < 0 || open_console(c, &plan.process, run, e) < 0 || (!run && make_fifo(c, &plan.process, e) < 0))
		return -1;
	state = create_oci_state(c->state, "creating", e);
	plan.state = state;
	if (!state || init_spawn(&plan, child, e) < 0 || follow(c, &plan, child, run, e) < 0) {
		init_child_kill(child);
		return -1;
	}
	return 0;
}

int container_create(const struct runtime *rt, const char *id, const struct create_options *o, struct err *e)
{
	auto_create struct create c = { 0 };
	auto_init_child struct init_child child = { .pidfd = -1, .sync = -1 };

	if (create_begin(rt, id, o, &c, e) < 0)
		return -1;
	if (make_process(&c, NULL, &child, e) == 0)
		return 0;
	create_abort(&c);
	return -1;
}

static void run_poststart(struct create *c)
{
	const Davit__OciHooks *h = c->spec->hooks;
	struct err e = { 0 };

	if (!h || h->n_poststart == 0)
		return;
	auto_pb(Davit__OciState) *state = create_oci_state(c->state, "running", &e);
	/* config.md: a failing poststart hook is logged, and the container goes on. */
	if (!state || hooks_run("poststart", h->poststart, h->n_poststart, state, &e) < 0)
		log_err(LOG_LEVEL_WARN, c->dir.id, &e);
}

/* The end of the socket without an error means that the program runs. */
static int run_started(struct create *c, struct run *run, struct init_child *child, struct err *e)
{
	if (sync_wait_end(child->sync, e) < 0) {
		init_child_kill(child);
		return -1;
	}
	run_poststart(c);
	if (run->detach)
		return 0;
	/* Others may look at the container, and change it, while it runs. */
	state_dir_unlock(&c->dir);
	return console_proxy(run->master, child->pid, child->pidfd, e);
}

int container_run(const struct runtime *rt, const char *id, const struct create_options *o, bool detach, bool keep, struct err *e)
{
	auto_create struct create c = { 0 };
	auto_init_child struct init_child child = { .pidfd = -1, .sync = -1 };
	auto_run struct run run = { .detach = detach, .console = -1, .master = -1 };
	struct err gone = { 0 };
	int status;

	if (create_begin(rt, id, o, &c, e) < 0)
		return -1;
	status = make_process(&c, &run, &child, e);
	if (status == 0)
		status = run_started(&c, &run, &child, e);
	if (status < 0) {
		create_abort(&c);
		return -1;
	}
	if (detach || keep)
		return status;
	if (container_delete_own(&c, &gone) < 0 && gone.code != ERR_NOT_FOUND)
		log_err(LOG_LEVEL_WARN, id, &gone);
	return status;
}
