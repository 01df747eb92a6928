/* See rootless.h. */
#include "runtime/rootless.h"
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/proc.h"
#include "base/str.h"
#include "runtime/idmap.h"
#include "runtime/init/sync.h"
#include "runtime/namespace.h"
#include "runtime/sys.h"

#define MAP_LIMIT_MS 10000
#define UID_MAP_MAX 16384 /* 340 lines, as many as the kernel takes */

/* The process's own; only one container is made in its life. */
static struct {
	bool entered;
	uid_t caller;
	bool asked, inner; /* whether it was root in a user namespace from the start */
} self;

bool rootless_has_entered(void)
{
	return self.entered;
}

uid_t rootless_caller(void)
{
	return self.entered ? self.caller : getuid();
}

/* The first user namespace maps every id to itself. */
static bool is_inner_userns(void)
{
	unsigned first, to, n;
	auto_free char *map = file_read(AT_FDCWD, "/proc/self/uid_map", UID_MAP_MAX, NULL, NULL);

	return map && (sscanf(map, "%u %u %u", &first, &to, &n) != 3 || first != 0 || to != 0 || n != UINT32_MAX);
}

bool rootless_is(void)
{
	if (self.entered || geteuid() != 0)
		return true;
	if (!self.asked) {
		self.asked = true;
		self.inner = is_inner_userns();
	}
	return self.inner;
}

int rootless_refuse(const char *what, struct err *e)
{
	err_set(e, ERR_DENIED, 0, "%s takes root of the host", what);
	return err_remedy(e, "run davit-runtime as root");
}

static bool maps_only(Davit__OciIdMapping *const *maps, size_t n, uint32_t id)
{
	return n == 1 && maps[0]->size == 1 && maps[0]->host_id == id;
}

/* Runs newuidmap or newgidmap; what it says is the error. */
static int run_helper(const char *program, pid_t pid, Davit__OciIdMapping *const *maps, size_t n, const char *field, struct err *e)
{
	auto_strv struct strv argv = { 0 };
	auto_free char *path = mem_printf(e, "/usr/bin/%s", program);
	auto_close int said = memfd_create(program, MFD_CLOEXEC);
	char text[256];

	if (!path || said < 0 || strv_add(&argv, program, e) < 0 || strv_addf(&argv, e, "%d", (int)pid) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (strv_addf(&argv, e, "%u", maps[i]->container_id) < 0 || strv_addf(&argv, e, "%u", maps[i]->host_id) < 0 ||
		    strv_addf(&argv, e, "%u", maps[i]->size) < 0)
			return -1;
	struct proc_fd fds[] = { { said, 1 }, { said, 2 } };
	struct proc_spawn s = { .path = path, .argv = argv.v, .fds = fds, .nfds = 2 };
	pid_t child = proc_spawn(&s, NULL, e);
	if (child < 0) {
		err_prefix_field(e, field);
		return err_remedy(e, "install the package uidmap, or map only your own id");
	}
	if (proc_wait(child, MAP_LIMIT_MS, e) == 0)
		return 0;
	ssize_t got = pread(said, text, sizeof(text) - 1, 0);
	text[got > 0 ? got : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	err_field(e, field, "%s refuses it: %s", program, text);
	return err_remedy(e, "map the container's 0 to your own id and the rest to ids that /etc/sub%s gives you",
			  strstr(program, "uid") ? "uid" : "gid");
}

static int map_ids(pid_t pid, const Davit__OciLinux *l, struct err *e)
{
	if (maps_only(l->uid_mappings, l->n_uid_mappings, geteuid()) && maps_only(l->gid_mappings, l->n_gid_mappings, getegid()))
		return idmap_write(pid, l, e);
	if (run_helper("newgidmap", pid, l->gid_mappings, l->n_gid_mappings, "linux.gidMappings", e) < 0)
		return -1;
	return run_helper("newuidmap", pid, l->uid_mappings, l->n_uid_mappings, "linux.uidMappings", e);
}

/* The helper: outside, with the caller's rights; ends when it has mapped. */
static _Noreturn void help(int sock, pid_t pid, const Davit__OciLinux *l)
{
	struct err e = { 0 };

	if (sync_wait(sock, SYNC_GO, NULL, &e) == 0 && map_ids(pid, l, &e) == 0)
		_exit(sync_send(sock, SYNC_READY, 0, NULL) < 0);
	sync_send_error(sock, &e);
	_exit(1);
}

static int become_root(int sock, struct err *e)
{
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) {
		err_sys(e, errno, "make a user namespace as an ordinary user");
		return err_remedy(e,
				  "allow it by user.max_user_namespaces (and kernel.unprivileged_userns_clone where there is one), or run as root");
	}
	if (sync_send(sock, SYNC_GO, 0, e) < 0 || sync_wait(sock, SYNC_READY, NULL, e) < 0)
		return -1;
	/* Denied where the caller maps its own group alone: its other groups stay, and are nobody's inside. */
	if (setgroups(0, NULL) < 0 && errno != EPERM)
		return err_sys(e, errno, "drop the caller's groups");
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_sys(e, errno, "become root of the user namespace");
	return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ? err_sys(e, errno, "make the mounts receive only") : 0;
}

static int check(const Davit__OciSpec *spec, struct err *e)
{
	const Davit__OciLinux *l = spec->linux;
	uint32_t uid;

	if (ns_how_of_spec(spec, NS_USER) != NS_NEW) {
		err_field(e, "linux.namespaces", "an ordinary user's container needs a user namespace of its own");
		return err_remedy(e, "add {\"type\": \"user\"} and mappings, as `davit-runtime spec --rootless` writes them, or run as root");
	}
	if (idmap_to_host(l->uid_mappings, l->n_uid_mappings, 0, &uid) && uid == geteuid())
		return 0;
	err_field(e, "linux.uidMappings", "the container's id 0 is not the caller's, %u, whose files the bundle's are", (unsigned)geteuid());
	return err_remedy(e, "map containerID 0 to hostID %u with size 1, and further ids in a second range", (unsigned)geteuid());
}

int rootless_enter(const Davit__OciSpec *spec, struct err *e)
{
	int sv[2], pidfd = -1;
	pid_t own = getpid();

	if (geteuid() == 0 || self.entered)
		return 0;
	if (check(spec, e) < 0 || fd_socketpair(SOCK_SEQPACKET, sv, e) < 0)
		return -1;
	auto_close int ours = sv[0], theirs = sv[1];
	self.caller = getuid();
	pid_t helper = sys_clone(0, &pidfd);
	if (helper == 0) {
		close(ours);
		help(theirs, own, spec->linux);
	}
	fd_closep(&theirs);
	if (helper < 0)
		return err_sys(e, errno, "fork");
	close(pidfd);
	int rc = become_root(ours, e);
	/* Without a word it ends as well. */
	fd_closep(&ours);
	proc_wait(helper, -1, NULL);
	self.entered = rc == 0;
	return rc;
}
