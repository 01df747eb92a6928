/* Privileged beginnings: folders, sockets, the core, and the way down. */
#include "agent/privsep.h"
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <netdb.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "agent/config.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"

#define PEM_MAX ((size_t)256 << 10)

int privsep_find_user(const Davit__AgentConfig *c, struct privsep_user *out, struct err *e)
{
	const struct passwd *pw = getpwnam(c->user);
	const struct group *gr = c->socket_group ? getgrnam(c->socket_group) : NULL;

	if (!pw) {
		err_field(e, "user", "no user %s", c->user);
		return err_remedy(e, "useradd --system --shell /usr/sbin/nologin %s", c->user);
	}
	if (pw->pw_uid == 0)
		return err_field(e, "user", "%s is root", c->user);
	if (c->socket_group && !gr) {
		err_field(e, "socketGroup", "no group %s", c->socket_group);
		return err_remedy(e, "groupadd --system %s, or leave socketGroup out", c->socket_group);
	}
	out->uid = pw->pw_uid;
	out->gid = pw->pw_gid;
	out->socket_gid = gr ? gr->gr_gid : (gid_t)-1;
	return 0;
}

static int make_folder(const char *parent, const char *name, mode_t mode, uid_t uid, gid_t gid, struct err *e)
{
	auto_free char *path = mem_printf(e, "%s%s%s", parent, *name ? "/" : "", name);
	auto_close int fd = -1;

	if (!path || file_mkdir_p(path, mode, e) < 0)
		return -1;
	fd = file_open_dir(AT_FDCWD, path, e);
	if (fd < 0)
		return -1;
	if (fchown(fd, uid, gid) < 0 || fchmod(fd, mode) < 0)
		return err_sys(e, errno, "%s", path);
	return 0;
}

int privsep_make_folders(const Davit__AgentConfig *c, const struct privsep_user *u, struct err *e)
{
	/* Nothing below agent/ is touched by root: its owner could lead us elsewhere by a link there. */
	if (make_folder(c->state_dir, "", 0755, 0, 0, e) < 0 || make_folder(c->state_dir, "logs", 0750, 0, u->gid, e) < 0 ||
	    make_folder(c->state_dir, "agent", 0700, u->uid, u->gid, e) < 0)
		return -1;
	return make_folder(c->run_dir, "", 0755, 0, 0, e);
}

static int read_pem(const char *field, const char *path, char **out, struct err *e)
{
	size_t n = 0;

	if (!path)
		return 0;
	*out = file_read(AT_FDCWD, path, PEM_MAX, &n, e);
	if (!*out) {
		snprintf(e->field, sizeof(e->field), "%s", field);
		return -1;
	}
	if (!strstr(*out, "-----BEGIN "))
		return err_field(e, field, "%s is no PEM file", path);
	return 0;
}

int privsep_read_tls(const Davit__AgentConfig *c, struct agent_tls *out, struct err *e)
{
	if (read_pem("tlsCert", c->tls_cert, &out->cert, e) < 0 || read_pem("tlsKey", c->tls_key, &out->key, e) < 0)
		return -1;
	return read_pem("tlsCa", c->tls_ca, &out->ca, e);
}

int privsep_read_snapshot_key(struct agent *a, struct err *e)
{
	const char *path = a->config->snapshot_key;
	struct stat st;

	if (!path)
		return 0;
	a->snapshot_key = file_read(AT_FDCWD, path, PEM_MAX, &a->snapshot_key_len, e);
	if (a->snapshot_key && stat(path, &st) == 0 && (st.st_mode & 077)) {
		err_field(e, "snapshotKey", "%s can be read by others", path);
		return err_remedy(e, "chmod 600 %s", path);
	}
	if (!a->snapshot_key)
		snprintf(e->field, sizeof(e->field), "snapshotKey");
	return a->snapshot_key ? 0 : -1;
}

/* A socket file that nobody listens on is left by a davitd that ended; one that somebody listens on is not ours to take. */
static int clear_stale(const struct sockaddr_un *a, struct err *e)
{
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(e, errno, "socket");
	if (connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0) {
		err_set(e, ERR_BUSY, 0, "%s: another davitd serves here", a->sun_path);
		return err_remedy(e, "stop it, or give this one another --run-dir");
	}
	if (unlink(a->sun_path) < 0 && errno != ENOENT)
		return err_sys(e, errno, "%s", a->sun_path);
	return 0;
}

int privsep_listen_unix(const char *path, gid_t group, struct err *e)
{
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	mode_t old;
	int r;

	if (fd < 0)
		return err_sys(e, errno, "socket");
	if (strlen(path) >= sizeof(a.sun_path))
		return err_field(e, "socket", "%s is longer than %zu characters", path, sizeof(a.sun_path) - 1);
	strcpy(a.sun_path, path);
	if (clear_stale(&a, e) < 0)
		return -1;
	old = umask(0177);
	r = bind(fd, (const struct sockaddr *)&a, sizeof(a));
	umask(old);
	if (r < 0)
		return err_sys(e, errno, "bind %s", path);
	if (group != (gid_t)-1 && (chown(path, 0, group) < 0 || chmod(path, 0660) < 0))
		return err_sys(e, errno, "%s", path);
	if (listen(fd, 128) < 0)
		return err_sys(e, errno, "listen on %s", path);
	return steal_fd(&fd);
}

int privsep_listen_tcp(const char *address, struct err *e)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *list = NULL;
	char host[64], port[8];
	auto_close int fd = -1;
	int one = 1, r;

	if (config_split_address(address, host, port, e) < 0)
		return -1;
	r = getaddrinfo(host, port, &hints, &list);
	if (r != 0)
		return err_field(e, "listen", "%s: %s", host, gai_strerror(r));
	fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, list->ai_addr, list->ai_addrlen) < 0 || listen(fd, 128) < 0) {
		err_sys(e, errno, "listen on %s", address);
		freeaddrinfo(list);
		return -1;
	}
	freeaddrinfo(list);
	return steal_fd(&fd);
}

static int core_arguments(const Davit__AgentConfig *c, const char *config_path, gid_t log_gid, struct strv *argv, struct err *e)
{
	const char *const pairs[][2] = {
		{ "--socket-fd", "3" },		 { "--state-dir", c->state_dir },	  { "--run-dir", c->run_dir }, { "--policy", c->policy },
		{ "--config", config_path },	 { "--cgroup-parent", c->cgroup_parent }, { "--bin-dir", c->bin_dir }, { "--criu", c->criu },
		{ "--log-level", c->log_level }, { "--log-format", c->log_format },
	};

	if (strv_add(argv, "davit-runtime", e) < 0 || strv_add(argv, "serve", e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		if (pairs[i][1] && (strv_add(argv, pairs[i][0], e) < 0 || strv_add(argv, pairs[i][1], e) < 0))
			return -1;
	if (strv_add(argv, "--ids-start", e) < 0 || strv_addf(argv, e, "%u", c->ids_start) < 0 || strv_add(argv, "--ids-count", e) < 0 ||
	    strv_addf(argv, e, "%u", c->ids_count) < 0 || strv_add(argv, "--log-group", e) < 0)
		return -1;
	return strv_addf(argv, e, "%u", log_gid);
}

int privsep_start_core(const Davit__AgentConfig *c, const char *config_path, gid_t log_gid, pid_t *pid, int *pidfd, struct err *e)
{
	auto_free char *path = mem_printf(e, "%s/davit-runtime", c->bin_dir);
	auto_strv struct strv argv = { 0 };
	int sv[2] = { -1, -1 };

	if (!path || core_arguments(c, config_path, log_gid, &argv, e) < 0 || fd_socketpair(SOCK_SEQPACKET, sv, e) < 0)
		return -1;
	struct proc_fd fds[] = { { sv[1], 3 }, { STDERR_FILENO, STDERR_FILENO } };
	struct proc_spawn s = { .path = path, .argv = argv.v, .fds = fds, .nfds = ARRAY_LEN(fds), .new_session = true };
	*pid = proc_spawn(&s, pidfd, e);
	close(sv[1]);
	if (*pid < 0) {
		close(sv[0]);
		return err_prefix(e, "start the runtime core");
	}
	return sv[0];
}

/* Nothing that is executed later, and no id change, can bring a capability back. */
static int drop_capabilities(struct err *e)
{
	const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
				   SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

	for (int cap = 0; cap <= 63; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
			return err_sys(e, errno, "drop capability %d", cap);
	if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0)
		return err_sys(e, errno, "lock the secure bits");
	return 0;
}

int privsep_drop(const struct privsep_user *u, struct err *e)
{
	if (drop_capabilities(e) < 0)
		return -1;
	if (setgroups(0, NULL) < 0 || setresgid(u->gid, u->gid, u->gid) < 0 || setresuid(u->uid, u->uid, u->uid) < 0)
		return err_sys(e, errno, "become uid %u", u->uid);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(e, errno, "no_new_privs");
	/* The one thing that must not be believed but seen. */
	if (setuid(0) == 0 || getuid() != u->uid || geteuid() != u->uid)
		return err_set(e, ERR_INTERNAL, 0, "root could not be given up");
	return 0;
}
