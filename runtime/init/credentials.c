/* From the container's root to the process's own ids and capabilities. Order and its reasons (capabilities(7), prctl(2)):
 * bounding set while CAP_SETPCAP is there; no_new_privs; groups, gid, uid with the permitted set kept (PR_SET_KEEPCAPS); then the other sets, which
 * also drops what was kept. Scheduling is set before, while CAP_SYS_NICE may be there. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"
#include "runtime/init/init.h"
#include "runtime/lsm.h"
#include "runtime/schedule.h"

int init_become_root(struct err *e)
{
	/* Where setgroups(2) is denied (a user namespace made by who is not root) the groups stay; the kernel then maps none of them. */
	if (setgroups(0, NULL) < 0 && errno != EPERM)
		return err_sys(e, errno, "drop the host's groups");
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) {
		err_sys(e, errno, "become root of the container");
		return err_remedy(e, "linux.uidMappings and gidMappings must map the container's id 0");
	}
	return 0;
}

int init_label(const struct init_process *p, struct err *e)
{
	if (!p->spec->apparmor_profile && !p->spec->selinux_label)
		return 0;
	return lsm_apply_on_exec(p->proc, p->spec->apparmor_profile, p->spec->selinux_label) < 0 ? err_sys(e, errno, "set the security label") : 0;
}

static int set_ids(const Davit__OciUser *u, struct err *e)
{
	gid_t *groups = u ? (gid_t *)u->additional_gids : NULL;
	size_t n = u ? u->n_additional_gids : 0;
	uid_t uid = u ? u->uid : 0;
	gid_t gid = u ? u->gid : 0;

	if (setgroups(n, groups) < 0 && (n > 0 || errno != EPERM))
		return err_field(e, "process.user.additionalGids", "set the groups: %s", strerror(errno));
	if (setresgid(gid, gid, gid) < 0)
		return err_field(e, "process.user.gid", "become group %u: %s", gid, strerror(errno));
	if (setresuid(uid, uid, uid) < 0)
		return err_field(e, "process.user.uid", "become user %u: %s", uid, strerror(errno));
	return 0;
}

/* The kernel gives "(unreachable)/…" as the working directory of a process that is outside its root: CVE-2024-21626 came of not looking. */
static int set_cwd(const char *cwd, struct err *e)
{
	char path[4096];

	if (chdir(cwd) < 0) {
		err_field(e, "process.cwd", "chdir to %s: %s", cwd, strerror(errno));
		return err_remedy(e, "name a folder of the container that process.user may enter");
	}
	if (syscall(SYS_getcwd, path, sizeof(path)) < 0 || path[0] != '/')
		return err_field(e, "process.cwd", "%s leads out of the container's root", cwd);
	return 0;
}

int init_credentials(const struct init_process *p, struct err *e)
{
	const Davit__OciProcess *s = p->spec;

	if (schedule_apply(s, e) < 0 || schedule_personality(p->personality, e) < 0)
		return -1;
	if (p->further && s->exec_cpu_affinity && schedule_affinity(s->exec_cpu_affinity->final, "process.execCPUAffinity.final", e) < 0)
		return -1;
	if (caps_drop_bounding(&p->caps) < 0)
		return err_sys(e, errno, "cut the bounding set");
	if (s->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, errno, "set no_new_privs");
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_sys(e, errno, "keep capabilities");
	if (set_ids(s->user, e) < 0)
		return -1;
	umask(s->user && s->user->has_umask ? (mode_t)s->user->umask : 0022);
	if (caps_apply(&p->caps) < 0)
		return err_sys(e, errno, "set the capabilities");
	return set_cwd(s->cwd, e);
}
