/* exec: a further process in a running container. Its capabilities, filter and label are those of the process given, the filter's rules those of the
 * container. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "base/fd.h"
#include "base/proc.h"
#include "proto/pb.h"
#include "runtime/console.h"
#include "runtime/container.h"
#include "runtime/create.h"
#include "runtime/init/init.h"
#include "runtime/init/sync.h"
#include "runtime/landlock.h"
#include "runtime/lsm.h"
#include "runtime/run.h"
#include "runtime/schedule.h"
#include "runtime/seccomp_listener.h"
#include "runtime/self.h"
#include "runtime/state.h"

struct target {
	const struct runtime *rt;
	struct state_dir dir;
	Davit__RuntimeState *state;
	Davit__OciSpec *spec;
	struct cgroup *cgroup;
	struct seccomp_filter filter;
	Davit__SeccompSupervisor *supervised;
	Davit__Landlock *landlock;
	int pidfd;
	bool paused;
};

static void target_close(struct target *t)
{
	state_dir_close(&t->dir);
	pb_freep(&t->state);
	pb_freep(&t->spec);
	cgroup_freep(&t->cgroup);
	seccomp_filter_free(&t->filter);
	pb_freep(&t->supervised);
	pb_freep(&t->landlock);
	fd_closep(&t->pidfd);
}

static int check_status(const struct target *t, const char *id, bool ignore_paused, struct err *e)
{
	const char *status = state_status(t->state);

	if (strcmp(status, "running") == 0 || strcmp(status, "created") == 0 || (t->paused && ignore_paused))
		return 0;
	err_set(e, ERR_STATE, 0, "cannot exec in a container that is %s: %s", status, id);
	return t->paused ? err_remedy(e, "resume it first; with --ignore-paused the process starts now and runs then") : -1;
}

static int open_target(const char *id, const struct exec_options *o, struct target *t, struct err *e)
{
	if (state_dir_open(t->rt->root, id, true, &t->dir, e) < 0 || !(t->state = state_load(&t->dir, e)))
		return -1;
	t->paused = strcmp(state_status(t->state), "paused") == 0;
	if (check_status(t, id, o->ignore_paused, e) < 0)
		return -1;
	t->pidfd = proc_pidfd_open(t->state->pid, e);
	t->spec = t->pidfd < 0 ? NULL : state_spec(&t->dir, e);
	if (!t->spec || cgroup_open(t->state, &t->cgroup, e) < 0)
		return -1;
	for (size_t i = 0; o->cgroups && i < o->cgroups->n; i++)
		if (cgroup_narrow(t->cgroup, o->cgroups->v[i], e) < 0)
			return err_prefix(e, "--cgroup %s", o->cgroups->v[i]);
	/* The pidfd names init for good only if it was init when it was opened. */
	return state_init_alive(t->state) ? 0 : err_set(e, ERR_STATE, 0, "container %s is stopped", id);
}

/* A checkpoint asks which processes came by exec. Those that ended are forgotten. */
static int record_exec(struct target *t, pid_t pid, struct err *e)
{
	Davit__RuntimeState *s = t->state;
	Davit__RuntimeExec *x;
	size_t kept = 0;

	for (size_t i = 0; i < s->n_execs; i++) {
		if (proc_is_alive(s->execs[i]->pid, s->execs[i]->start_ticks))
			s->execs[kept++] = s->execs[i];
		else
			protobuf_c_message_free_unpacked(&s->execs[i]->base, NULL);
	}
	s->n_execs = kept;
	x = pb_new(&davit__runtime_exec__descriptor, e);
	if (!x || pb_push(&s->n_execs, &s->execs, x, e) < 0)
		return -1;
	x->pid = pid;
	return proc_start_time(pid, &x->start_ticks, e) < 0 ? -1 : state_save(&t->dir, s, e);
}

/* In a paused container the process comes no further until the resume, which needs the lock and changes the state. */
static int take_state_again(struct target *t, struct err *e)
{
	char id[sizeof(t->dir.id)];

	memcpy(id, t->dir.id, sizeof(id));
	state_dir_close(&t->dir);
	pb_freep(&t->state);
	return state_dir_open(t->rt->root, id, true, &t->dir, e) < 0 || !(t->state = state_load(&t->dir, e)) ? -1 : 0;
}

static int open_console(const struct exec_options *o, struct init_process *p, struct run *run, struct err *e)
{
	if (!o->process->terminal)
		return 0;
	if (o->console_socket) {
		p->console = console_connect(o->console_socket, e);
		return p->console < 0 ? -1 : 0;
	}
	if (!o->detach)
		return console_pair(&run->console, &p->console, e);
	err_field(e, "process.terminal", "a terminal needs somebody who holds it");
	return err_remedy(e, "pass --console-socket, or exec without a terminal");
}

static int start(struct target *t, const struct exec_options *o, struct init_process *p, struct run *run, struct init_child *child, struct err *e)
{
	if (t->paused)
		state_dir_unlock(&t->dir);
	if (init_spawn_exec(p, t->cgroup, t->state->pid, t->pidfd, child, e) < 0)
		return -1;
	if (p->filter && p->filter->notifies && seccomp_listener_pass(child, t->spec->linux->seccomp, t->supervised, t->state, t->rt->root, e) < 0)
		return -1;
	if (sync_wait(child->sync, SYNC_READY, NULL, e) < 0 || (t->paused && take_state_again(t, e) < 0))
		return -1;
	if (record_exec(t, child->pid, e) < 0 || create_pid_file(o->pid_file, child->pid, e) < 0)
		return -1;
	if (run->console >= 0 && (run->master = console_take(run->console, e)) < 0)
		return -1;
	return sync_send(child->sync, SYNC_RUN, 0, e) < 0 ? -1 : sync_wait_end(child->sync, e);
}

static int run_exec(struct target *t, const struct exec_options *o, struct init_process *p, struct err *e)
{
	auto_init_child struct init_child child = { .pidfd = -1, .sync = -1 };
	auto_run struct run run = { .detach = o->detach, .console = -1, .master = -1 };

	memcpy(p->stdio, o->stdio, sizeof(p->stdio));
	p->preserve_fds = o->preserve_fds;
	p->new_keyring = true;
	if (lsm_check(o->process, e) < 0 || open_console(o, p, &run, e) < 0 || start(t, o, p, &run, &child, e) < 0) {
		init_child_kill(&child);
		return -1;
	}
	if (o->detach)
		return 0;
	state_dir_unlock(&t->dir);
	return console_proxy(run.master, child.pid, child.pidfd, e);
}

/* What the policy allowed the container, its further processes have too. */
static int load_filter(struct target *t, struct err *e)
{
	const Davit__OciSeccomp *s = t->spec->linux->seccomp;

	if (supervise_of_spec(t->spec, &t->supervised, e) < 0)
		return -1;
	return s || t->supervised ? seccomp_compile_cached(t->rt->root, s, supervise_calls(t->supervised), &t->filter, e) : 0;
}

static int load_landlock(struct target *t, const Davit__OciProcess *p, struct err *e)
{
	if (landlock_of_spec(t->spec, &t->landlock, e) < 0)
		return -1;
	if (!t->landlock || p->no_new_privileges)
		return 0;
	err_field(e, "process.noNewPrivileges", "the container is held by Landlock, which takes it");
	return err_remedy(e, "use --no-new-privs");
}

int container_exec(const struct runtime *rt, const char *id, const struct exec_options *o, struct err *e)
{
	struct target t __attribute__((cleanup(target_close))) = { .rt = rt, .dir = { .fd = -1, .lock = -1 }, .pidfd = -1 };
	const Davit__OciExecCpuAffinity *cpus = o->process->exec_cpu_affinity;
	struct init_process p __attribute__((cleanup(init_process_free))) = { .proc = -1, .console = -1, .sync = -1, .fifo = -1 };

	if (open_target(id, o, &t, e) < 0 || (o->protect_self && self_protect(t.spec, e) < 0))
		return -1;
	if (init_process_prepare(&p, id, o->process, e) < 0)
		return -1;
	if (load_filter(&t, e) < 0 || load_landlock(&t, o->process, e) < 0)
		return -1;
	p.landlock = t.landlock;
	p.filter = t.filter.bpf.len ? &t.filter : NULL;
	p.personality = t.spec->linux->personality;
	p.further = true;
	/* Before the process comes into the container's cgroup: it inherits them. */
	if (cpus && schedule_affinity(cpus->initial, "process.execCPUAffinity.initial", e) < 0)
		return -1;
	return run_exec(&t, o, &p, e);
}
