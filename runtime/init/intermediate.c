/* The intermediate: a process between parent and init, only where something is joined. It enters what is to be joined and makes init as a child of
 * the parent (CLONE_PARENT), so that nothing has to be reaped by a process that is not there any more.
 *
 * For create: a PID namespace takes only later children in, and a user namespace takes away the right to enter the host's others; so all others are
 * entered first, then the user namespace. What is refused before it (a namespace that belongs to the joined user namespace, for a caller who is not
 * root) is tried again after it. For exec: setns(2) on the pidfd of init enters all of them at once. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "runtime/init/init.h"
#include "runtime/init/sync.h"
#include "runtime/sys.h"

static int join(struct ns_set *ns, enum ns_kind kind, bool again, struct err *e)
{
	if (ns->how[kind] != NS_JOIN || ns->fd[kind] < 0)
		return 0;
	if (setns(ns->fd[kind], ns_types[kind].flag) < 0)
		return errno == EPERM && again ? 0 : err_sys(e, errno, "join the %s namespace", ns_types[kind].oci);
	close(ns->fd[kind]);
	ns->fd[kind] = -1;
	return 0;
}

static int join_all(struct ns_set *ns, struct err *e)
{
	bool user = ns->how[NS_USER] == NS_JOIN;

	for (int k = NS_USER + 1; k < NS_COUNT; k++)
		if (join(ns, k, user, e) < 0)
			return -1;
	if (join(ns, NS_USER, false, e) < 0)
		return -1;
	for (int k = NS_USER + 1; k < NS_COUNT; k++)
		if (join(ns, k, false, e) < 0)
			return -1;
	return 0;
}

/* Privileges: the parent's, until a user namespace is joined; then all capabilities in that one. */
void init_intermediate(struct init_plan *plan)
{
	struct err e = { 0 };
	int pidfd = -1;
	int flags = ns_set_flags(&plan->ns, NS_NEW) & ~(ns_types[NS_CGROUP].flag | ns_types[NS_TIME].flag);

	/* Processes of a joined PID namespace may not look into this one: it holds descriptors of the host. */
	prctl(PR_SET_DUMPABLE, 0);
	/* Its cgroup is the host's business, so it comes before any namespace is entered; init inherits it. */
	if (init_join_cgroup(&plan->process, plan->cgroup, &e) < 0 || join_all(&plan->ns, &e) < 0)
		init_fail(&plan->process, &e);
	pid_t pid = sys_clone((uint64_t)flags | CLONE_PARENT, &pidfd);
	if (pid == 0)
		init_main(plan);
	if (pid < 0) {
		err_sys(&e, errno, "make the container's namespaces");
		init_fail(&plan->process, &e);
	}
	_exit(sync_send(plan->process.sync, SYNC_PID, pid, NULL) < 0);
}
