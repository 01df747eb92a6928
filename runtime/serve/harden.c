/* What the core keeps of root's powers.
 *
 * The bounding set is cut, so neither the core nor davit-runtime, davit-monitor or criu, which it starts, can get more back. A container's own user
 * namespace is not bound by it (user_namespaces(7)). No capability that the policy lets a container of the host's user namespace have is cut. */
#include <errno.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/caps.h"
#include "runtime/serve/serve.h"

#define OOM_SCORE "-900"

static const char *const kept[] = {
	"CAP_CHOWN",	       /* owners of layers, images, stdio */
	"CAP_DAC_OVERRIDE",    /* files of any container's ids */
	"CAP_DAC_READ_SEARCH", /* criu opens files by handle */
	"CAP_FOWNER",	       /* modes and times of files in layers */
	"CAP_FSETID",	       /* set-id bits of files in layers */
	"CAP_KILL",	       /* signals to processes of other ids */
	"CAP_SETGID",	       /* id maps, the container's user */
	"CAP_SETUID",
	"CAP_SETPCAP",		  /* bounding sets of containers */
	"CAP_SETFCAP",		  /* file capabilities in layers; maps of id 0 */
	"CAP_NET_ADMIN",	  /* bridges, veth pairs, addresses, packet rules, sockets of restored containers */
	"CAP_NET_RAW",		  /* gratuitous ARP */
	"CAP_NET_BIND_SERVICE",	  /* restored sockets on low ports */
	"CAP_IPC_OWNER",	  /* SysV IPC of dumped containers */
	"CAP_IPC_LOCK",		  /* restored locked memory */
	"CAP_SYS_ADMIN",	  /* namespaces, mounts, cgroups */
	"CAP_SYS_CHROOT",	  /* entering a mount namespace */
	"CAP_SYS_NICE",		  /* restored priorities, CPU sets */
	"CAP_SYS_PTRACE",	  /* dump, /proc of other ids */
	"CAP_SYS_RESOURCE",	  /* raising limits, OOM scores */
	"CAP_SYS_TIME",		  /* offsets of time namespaces */
	"CAP_MKNOD",		  /* device nodes, whiteouts */
	"CAP_CHECKPOINT_RESTORE", /* pids of restored processes */
	"CAP_MAC_ADMIN",	  /* loading our AppArmor profile */
	"CAP_BPF",		  /* device rules of cgroup v2 */
	"CAP_SYSLOG",		  /* criu looks at kernel addresses of files that are shared */
};

static void keep(uint64_t *set, const char *name)
{
	int n = caps_number(name);
	if (n >= 0)
		*set |= 1ULL << n;
}

static uint64_t kept_set(const struct core *c)
{
	uint64_t set = 0;
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		keep(&set, kept[i]);
	for (size_t i = 0; caps_default[i]; i++)
		keep(&set, caps_default[i]);
	for (size_t i = 0; i < c->policy->n_capabilities; i++)
		keep(&set, c->policy->capabilities[i]);
	return set;
}

static int cut_caps(uint64_t set, struct err *e)
{
	cap_t caps = cap_get_proc();
	int rc = caps ? 0 : -1;
	for (int n = 0; rc == 0 && n <= caps_last(); n++) {
		const cap_value_t value = n;
		if (set >> n & 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, n, 0, 0, 0) < 0 && errno != EINVAL)
			rc = -1;
		if (rc == 0 &&
		    (cap_set_flag(caps, CAP_EFFECTIVE, 1, &value, CAP_CLEAR) < 0 || cap_set_flag(caps, CAP_PERMITTED, 1, &value, CAP_CLEAR) < 0 ||
		     cap_set_flag(caps, CAP_INHERITABLE, 1, &value, CAP_CLEAR) < 0))
			rc = -1;
	}
	if (rc == 0)
		rc = cap_set_proc(caps);
	rc = rc < 0 ? err_sys(e, errno, "give up capabilities") : 0;
	cap_free(caps);
	return rc;
}

/* Children inherit the OOM score: the monitor keeps it, a container's own is set from its spec. */
int serve_harden(const struct core *c, struct err *e)
{
	struct err x = { 0 };
	if (file_write_pseudo(AT_FDCWD, "/proc/self/oom_score_adj", OOM_SCORE, &x) < 0)
		log_debug("oom score: %s", x.msg);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(e, errno, "PR_SET_DUMPABLE");
	return cut_caps(kept_set(c), e);
}
