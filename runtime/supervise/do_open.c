/* Opening a kernel setting for writing. See supervise.h.
 *
 * Every open for writing comes here, since a filter sees no path. The path is judged as text and nothing of the container's tree is walked: what
 * begins with /proc/sys/ and is listed is opened in the host's /proc, which shows the settings of the namespaces that this process is in, the
 * container's. The kernel judges each write by the writer's own rights (proc_sys_call_handler()), so that the descriptor gives the container's root
 * what the read-only mount of its /proc/sys keeps from it, and no more. */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/fd.h"
#include "runtime/init/init.h"
#include "runtime/supervise/internal.h"
#include "runtime/sys.h"

#define SETTINGS "/proc/sys/"

/* "/proc/sys/net/ipv4/ip_forward" to "net.ipv4.ip_forward". */
static bool name_of(const char *path, char *name, size_t cap)
{
	size_t n = strlen(SETTINGS), out = 0;
	if (strncmp(path, SETTINGS, n) != 0 || strstr(path, "//") || strstr(path, "/./") || strstr(path, "/../") || strlen(path + n) >= cap)
		return false;
	for (const char *p = path + n; *p; p++)
		name[out++] = *p == '/' ? '.' : *p;
	name[out] = '\0';
	return out > 0 && name[out - 1] != '.';
}

struct opening {
	const struct supervisor *s;
	const struct call *c;
	const char *path;
	int flags;
};

/* As the container's root with all that its user namespace has, for the kernel judges opens too. The caller has its answer when this is 0. */
static int work(void *arg)
{
	const struct opening *o = arg;
	if (o->s->own_user && (setns(o->s->user, CLONE_NEWUSER) < 0 || init_become_root(NULL) < 0))
		return EPERM;
	auto_close int fd =
	    sys_openat2(o->s->proc, o->path + strlen("/proc/"), (uint64_t)(o->flags & O_ACCMODE) | O_CLOEXEC, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	struct seccomp_notif_addfd add = {
		.id = o->c->n.id, .flags = SECCOMP_ADDFD_FLAG_SEND, .srcfd = (uint32_t)fd, .newfd_flags = (uint32_t)(o->flags & O_CLOEXEC)
	};
	return fd < 0 || ioctl(o->s->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0 ? errno : 0;
}

void do_open(const struct supervisor *s, struct call *c)
{
	bool at = c->n.data.nr == SYS_openat;
	const __u64 *a = c->n.data.args + at;
	char path[PATH_MAX], name[256], members[512] = "";
	int flags = (int)a[1];
	if (!c->is_served || (flags & (O_PATH | O_DIRECTORY | O_EXCL)) || call_text(s, c, a[0], path, sizeof(path)) != 0 ||
	    !name_of(path, name, sizeof(name)) || !supervise_lists_sysctl(s->what, name))
		return call_continue(s, c);
	struct opening o = { s, c, path, flags };
	int error = worker_do(work, &o);
	audit_add(members, sizeof(members), "sysctl", name);
	audit_call(s, c, "open", members, error);
	if (error)
		call_answer(s, c, error);
}
