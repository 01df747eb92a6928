/* Init: the container's first process, from its first instruction in the new namespaces to the pivoted root. See init.h.
 *
 * It has two lives. In the first it is the host's root by id, with all capabilities over its new namespaces (with a user namespace of its own: over
 * them only): it does what files of the host need that id for. Once its ids are mapped (SYNC_GO) it becomes the container's root, until init_run()
 * makes it what the spec says.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/path.h"
#include "runtime/device.h"
#include "runtime/hooks.h"
#include "runtime/init/init.h"
#include "runtime/init/sync.h"

/* Ids are not the host's, and devices can only be bind mounted. */
static bool has_own_user(const struct init_plan *plan)
{
	return plan->ns.how[NS_USER] != NS_HOST || plan->in_userns;
}

/* Privileges: id of the host's root; all capabilities, in the new user namespace if there is one, else on the host. */
static int stage_host_id(struct init_plan *plan, int *host_root, struct err *e)
{
	struct init_process *p = &plan->process;

	if (init_begin(p, e) < 0)
		return -1;
	/* With something joined, the intermediate did it. */
	if (ns_set_flags(&plan->ns, NS_JOIN) == 0 && init_join_cgroup(p, plan->cgroup, e) < 0)
		return -1;
	if (plan->ns.how[NS_CGROUP] == NS_NEW && unshare(CLONE_NEWCGROUP) < 0)
		return err_sys(e, errno, "make the cgroup namespace");
	if (plan->ns.how[NS_TIME] == NS_NEW && init_clocks(p->proc, &plan->offsets, e) < 0)
		return -1;
	if (init_sysctl(p->proc, plan->spec->linux, true, e) < 0 || sync_wait(p->sync, SYNC_GO, NULL, e) < 0)
		return -1;
	if (plan->ns.how[NS_MOUNT] != NS_NEW)
		return 0;
	/* The way to it may be closed to the container's root, or, where davit-runtime itself runs in a user namespace, open only to who has a
	 * capability over the ids of its owners, which there is none over before they are mapped. */
	*host_root = open(plan->mounts.rootfs_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return *host_root < 0 ? err_sys(e, errno, "open the root filesystem %s", plan->mounts.rootfs_path) : 0;
}

/* A new network namespace has lo, down. */
static int raise_loopback(struct err *e)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	auto_close int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return sock < 0 || ioctl(sock, SIOCSIFFLAGS, &lo) < 0 ? err_sys(e, errno, "set lo up") : 0;
}

static int set_names(const Davit__OciSpec *s, struct err *e)
{
	if (s->hostname && *s->hostname && sethostname(s->hostname, strlen(s->hostname)) < 0)
		return err_field(e, "hostname", "set it: %s", strerror(errno));
	if (s->domainname && *s->domainname && setdomainname(s->domainname, strlen(s->domainname)) < 0)
		return err_field(e, "domainname", "set it: %s", strerror(errno));
	return 0;
}

/* Lets the parent run its hooks, then runs those of the container's namespaces, while the host's paths still lead to the host. */
static int run_hooks(struct init_plan *plan, struct err *e)
{
	const Davit__OciHooks *h = plan->spec->hooks;

	if (!h)
		return 0;
	if (sync_send(plan->process.sync, SYNC_MOUNTED, 0, e) < 0 || sync_wait(plan->process.sync, SYNC_HOOKED, NULL, e) < 0)
		return -1;
	return hooks_run("createContainer", h->create_container, h->n_create_container, plan->state, e);
}

/* The kernel's own rule for a program's start: the working directory is there. */
static int make_cwd(const struct init_plan *plan, struct err *e)
{
	auto_close int fd = path_make_in(plan->process.root, plan->spec->process->cwd, false, e);

	return fd < 0 ? err_prefix(e, "process.cwd") : 0;
}

/* Privileges: root of the container, all capabilities over its namespaces. Nothing of the host is written; its paths are read until the pivot. */
static int stage_root(struct init_plan *plan, int host_root, struct err *e)
{
	struct init_process *p = &plan->process;
	struct mount_set *m = &plan->mounts;
	const Davit__OciLinux *l = plan->spec->linux;

	p->root = m->rootfs;
	if (mount_rootfs(m, host_root, e) < 0 || mount_all(m, plan->spec, e) < 0)
		return -1;
	if (m->own_dev && device_make_all(p->root, l, has_own_user(plan), e) < 0)
		return -1;
	if (init_open_console(p, true, e) < 0 || make_cwd(plan, e) < 0 || mount_finish(m, e) < 0 || run_hooks(plan, e) < 0)
		return -1;
	auto_close int null_fd = device_open_null(e);
	if (null_fd < 0 || mount_mask_paths(m, null_fd, l, e) < 0)
		return -1;
	return mount_pivot(m, plan->spec->root->readonly, e);
}

/* A mount namespace that is joined, or the host's, is taken as it is. Privileges: as stage_root(). */
static int stage_foreign_root(struct init_plan *plan, struct err *e)
{
	plan->process.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (plan->process.root < 0)
		return err_sys(e, errno, "open the root");
	if (init_open_console(&plan->process, false, e) < 0)
		return -1;
	return run_hooks(plan, e);
}

/* Privileges: as stage_root(). */
static int stage_container_id(struct init_plan *plan, int host_root, struct err *e)
{
	struct init_process *p = &plan->process;
	bool own_user = has_own_user(plan);

	if (own_user && init_become_root(e) < 0)
		return -1;
	/* A change of ids makes /proc/self the host's root's. In a PID namespace of its own there is nobody who could look into this process yet. */
	if (own_user && plan->ns.how[NS_PID] == NS_NEW && prctl(PR_SET_DUMPABLE, 1) < 0)
		return err_sys(e, errno, "own /proc/self");
	if (plan->raises_loopback && raise_loopback(e) < 0)
		return -1;
	if (set_names(plan->spec, e) < 0 || init_sysctl(p->proc, plan->spec->linux, false, e) < 0)
		return -1;
	return plan->ns.how[NS_MOUNT] == NS_NEW ? stage_root(plan, host_root, e) : stage_foreign_root(plan, e);
}

void init_main(struct init_plan *plan)
{
	struct err e = { 0 };
	int host_root = -1;

	if (stage_host_id(plan, &host_root, &e) < 0 || stage_container_id(plan, host_root, &e) < 0 || init_label(&plan->process, &e) < 0)
		init_fail(&plan->process, &e);
	/* Until it is the program, processes that exec brings meanwhile may not trace it: its filter is not loaded yet. A user without root could not
	 * enter the container himself any more. */
	if (!plan->in_userns)
		prctl(PR_SET_DUMPABLE, 0);
	init_run(&plan->process, plan->spec->hooks, plan->state);
}
