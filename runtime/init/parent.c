/* The parent's side of a start: see init.h. Privileges: all of the caller's; it stays in the host's namespaces. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include "base/fd.h"
#include "base/proc.h"
#include "runtime/idmap.h"
#include "runtime/init/init.h"
#include "runtime/init/sync.h"
#include "runtime/rlimit.h"
#include "runtime/sys.h"

int init_process_prepare(struct init_process *p, const char *id, const Davit__OciProcess *spec, struct err *e)
{
	struct statfs fs;

	*p = (struct init_process){ .id = id, .spec = spec, .stdio = { 0, 1, 2 }, .console = -1, .sync = -1, .fifo = -1, .root = -1, .slave = -1 };
	p->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->proc < 0 || fstatfs(p->proc, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC) {
		err_set(e, ERR_UNSUPPORTED, 0, "/proc of the host is not mounted");
		return err_remedy(e, "mount -t proc proc /proc");
	}
	if (caps_parse(spec->capabilities, &p->caps, e) < 0)
		return -1;
	if (spec->capabilities)
		caps_warn(spec->capabilities);
	p->argv = mem_new(spec->n_args + 1, sizeof(*p->argv), e);
	if (!p->argv)
		return -1;
	memcpy(p->argv, spec->args, spec->n_args * sizeof(*p->argv));
	for (size_t i = 0; i < spec->n_env; i++)
		if (strv_add(&p->env, spec->env[i], e) < 0)
			return -1;
	return 0;
}

void init_process_free(struct init_process *p)
{
	strv_free(&p->env);
	mem_freep(&p->argv);
	fd_closep(&p->proc);
	fd_closep(&p->console);
	fd_closep(&p->sync);
	fd_closep(&p->fifo);
}

void init_child_close(struct init_child *c)
{
	fd_closep(&c->pidfd);
	fd_closep(&c->sync);
}

void init_child_kill(struct init_child *c)
{
	if (c->pid <= 0)
		return;
	proc_pidfd_kill(c->pidfd, SIGKILL, NULL);
	/* No limit: it was just killed. */
	proc_wait(c->pid, -1, NULL);
	c->pid = 0;
}

void init_give_stdio(const int stdio[3], const Davit__OciSpec *spec)
{
	const Davit__OciLinux *l = spec->linux;
	struct stat st;
	uint32_t uid = spec->process->user ? spec->process->user->uid : 0;

	if (l && l->n_uid_mappings && !idmap_to_host(l->uid_mappings, l->n_uid_mappings, uid, &uid))
		return;
	for (int i = 0; i < 3; i++)
		if (fstat(stdio[i], &st) == 0 && S_ISFIFO(st.st_mode) && st.st_uid != uid && fchown(stdio[i], uid, (gid_t)-1) < 0)
			return; /* not ours to give: the program can still use what it holds */
}

static int make_sync(struct init_process *p, struct init_child *out, struct err *e)
{
	int sv[2];

	*out = (struct init_child){ .pidfd = -1, .sync = -1 };
	if (fd_socketpair(SOCK_SEQPACKET, sv, e) < 0)
		return -1;
	out->sync = sv[0];
	p->sync = sv[1];
	return 0;
}

/* What only the parent can give: it has the host's capabilities, which count for these. */
static int give_to_child(const struct init_process *p, pid_t pid, struct err *e)
{
	if (rlimit_raise(pid, p->spec, e) < 0)
		return -1;
	if (!p->spec->has_oom_score_adj)
		return 0;
	char path[64], value[16];
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
	snprintf(value, sizeof(value), "%d", p->spec->oom_score_adj);
	return rlimit_oom_score(path, value, e);
}

/* Waits for the intermediate: it tells the pid of the process it made and ends. */
static int adopt(pid_t intermediate, struct init_child *out, struct err *e)
{
	int pid = 0, rc = sync_wait(out->sync, SYNC_PID, &pid, e);

	/* No limit: it has said its last word, or died. */
	proc_wait(intermediate, -1, NULL);
	if (rc < 0)
		return -1;
	fd_closep(&out->pidfd);
	out->pid = pid;
	out->pidfd = proc_pidfd_open(pid, e);
	return out->pidfd < 0 ? -1 : 0;
}

/* Where the kernel can (v2), the child is in its cgroup from the start. */
static pid_t clone_in_cgroup(struct init_process *p, const struct cgroup *cgroup, uint64_t flags, int *pidfd)
{
	int fd = cgroup_clone_fd(cgroup);

	p->in_cgroup = fd >= 0;
	pid_t pid = sys_clone_into(flags, pidfd, fd);
	if (pid >= 0 || fd < 0)
		return pid;
	/* Not into a cgroup that gives its controllers away, for one: cgroup_attach finds a way there too. */
	p->in_cgroup = false;
	return sys_clone(flags, pidfd);
}

int init_join_cgroup(const struct init_process *p, const struct cgroup *cgroup, struct err *e)
{
	return p->in_cgroup ? cgroup_attach_cloned(cgroup, e) : cgroup_attach(cgroup, 0, e);
}

static int spawn_init(struct init_plan *plan, struct init_child *out, struct err *e)
{
	bool joins = ns_set_flags(&plan->ns, NS_JOIN) != 0;
	/* The cgroup and time namespaces are init's own work: see namespace.h. */
	int flags = joins ? 0 : ns_set_flags(&plan->ns, NS_NEW) & ~(ns_types[NS_CGROUP].flag | ns_types[NS_TIME].flag);
	pid_t pid = clone_in_cgroup(&plan->process, plan->cgroup, (uint64_t)flags, &out->pidfd);

	if (pid < 0)
		return ns_make_failed(flags, errno, e);
	if (pid == 0) {
		close(out->sync);
		joins ? init_intermediate(plan) : init_main(plan);
	}
	out->pid = pid;
	fd_closep(&plan->process.sync);
	return joins ? adopt(pid, out, e) : 0;
}

int init_spawn(struct init_plan *plan, struct init_child *out, struct err *e)
{
	const Davit__OciLinux *l = plan->spec->linux;

	init_give_stdio(plan->process.stdio, plan->spec);
	if (make_sync(&plan->process, out, e) < 0 || spawn_init(plan, out, e) < 0)
		return -1;
	if ((plan->ns.how[NS_USER] != NS_NEW || idmap_write(out->pid, l, e) == 0) && give_to_child(&plan->process, out->pid, e) == 0 &&
	    sync_send(out->sync, SYNC_GO, 0, e) == 0)
		return 0;
	/* It may have ended meanwhile, and have said why. */
	sync_prefer_told(out->sync, e);
	return -1;
}

int init_spawn_exec(struct init_process *p, const struct cgroup *cgroup, pid_t pid, int pidfd, struct init_child *out, struct err *e)
{
	int flags = ns_flags_of_pid(pid, e);

	if (flags < 0 || make_sync(p, out, e) < 0)
		return -1;
	pid_t intermediate = clone_in_cgroup(p, cgroup, 0, &out->pidfd);
	if (intermediate < 0)
		return err_sys(e, errno, "fork");
	if (intermediate == 0) {
		close(out->sync);
		init_exec(p, cgroup, pidfd, flags);
	}
	fd_closep(&p->sync);
	if (adopt(intermediate, out, e) == 0 && give_to_child(p, out->pid, e) == 0 && sync_send(out->sync, SYNC_GO, 0, e) == 0)
		return 0;
	sync_prefer_told(out->sync, e);
	return -1;
}
