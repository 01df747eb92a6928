/* A further process of a container: from the host into all of its namespaces, its cgroup first. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "runtime/init/init.h"
#include "runtime/init/sync.h"
#include "runtime/sys.h"

/* Privileges: all capabilities in the container's user namespace, the host's root id until init_become_root(). */
static _Noreturn void become(struct init_process *p)
{
	struct err e = { 0 };

	p->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->root < 0)
		err_sys(&e, errno, "open the container's root");
	/* The label comes first: /proc/self belongs to the host's root as long as this process may not be looked into. */
	if (p->root < 0 || init_begin(p, &e) < 0 || sync_wait(p->sync, SYNC_GO, NULL, &e) < 0 || init_label(p, &e) < 0 || init_become_root(&e) < 0 ||
	    init_open_console(p, false, &e) < 0)
		init_fail(p, &e);
	init_run(p, NULL, NULL);
}

/* Privileges: the runtime's own. */
void init_exec(struct init_process *p, const struct cgroup *cgroup, int pidfd, int flags)
{
	struct err e = { 0 };
	int unused = -1;

	/* From here on no process of the container may look into this one: its descriptors are the host's (CVE-2024-21626). */
	prctl(PR_SET_DUMPABLE, 0);
	if (init_join_cgroup(p, cgroup, &e) < 0)
		init_fail(p, &e);
	if (flags && setns(pidfd, flags) < 0) {
		err_sys(&e, errno, "enter the container's namespaces");
		init_fail(p, &e);
	}
	pid_t pid = sys_clone(CLONE_PARENT, &unused);
	if (pid == 0)
		become(p);
	if (pid < 0) {
		err_sys(&e, errno, "fork in the container");
		init_fail(p, &e);
	}
	_exit(sync_send(p->sync, SYNC_PID, pid, NULL) < 0);
}
