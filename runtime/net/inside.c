/* See inside.h. The child leaves by _exit and tells by a pipe: read, the packed message; made, a struct err. */
#include "runtime/namespace.h"
#include "runtime/net/inside.h"
#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "proto/pb.h"
#include "runtime/net/inside_private.h"
#include "runtime/net/nft.h"

#define MESSAGE_MAX ((size_t)16 << 20)

/* Opens a namespace of a process. -1 without an error: it is the caller's own. */
static int open_other(pid_t pid, enum ns_kind kind, struct err *e)
{
	char path[64];
	struct stat own, theirs;
	auto_close int fd = ns_open(pid, kind, e);
	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/ns/%s", ns_types[kind].proc);
	if (fstat(fd, &theirs) < 0)
		return err_sys(e, errno, "stat a namespace");
	if (stat(path, &own) < 0)
		return err_sys(e, errno, "stat %s", path);
	return own.st_ino == theirs.st_ino && own.st_dev == theirs.st_dev ? -1 : steal_fd(&fd);
}

/* Leaves the caller in the container's namespaces. Returns the network's. */
static int enter(pid_t init, struct err *e)
{
	auto_close int user = open_other(init, NS_USER, e), net = open_other(init, NS_NETWORK, e);
	if (net < 0)
		return e->code ? -1 : err_set(e, ERR_STATE, 0, "the container's network is the host's");
	if (user < 0 && e->code)
		return -1;
	if (user >= 0 && setns(user, CLONE_NEWUSER) < 0)
		return err_sys(e, errno, "enter the container's user namespace");
	if (setns(net, CLONE_NEWNET) < 0)
		return err_sys(e, errno, "enter the container's network namespace");
	return steal_fd(&net);
}

/* What reads and makes packet rules needs this alone. */
static int keep_net_admin(struct err *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { .effective = 1U << CAP_NET_ADMIN, .permitted = 1U << CAP_NET_ADMIN } };
	return syscall(SYS_capset, &head, data) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? err_sys(e, errno, "give up capabilities") : 0;
}

/* Rules of the old iptables lie in tables of their own, which only its own interface can tell. */
static int read_old_tables(Davit__NetworkInside *in, struct err *e)
{
	static const char *const files[] = { "/proc/thread-self/net/ip_tables_names", "/proc/thread-self/net/ip6_tables_names",
					     "/proc/thread-self/net/arp_tables_names" };
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char table[64];
		if (file_read_line(AT_FDCWD, files[i], table, sizeof(table), NULL) == 0 && table[0] &&
		    inside_problem(in, "iptables_legacy", table, e) < 0)
			return -1;
	}
	return 0;
}

static int read_rules(Davit__NetworkInside *in, struct err *e)
{
	auto_buf struct buf script = { 0 };
	struct err own = { 0 };
	if (nft_save(&script, &own) < 0 && own.code != ERR_UNSUPPORTED) {
		*e = own;
		return -1;
	}
	if (own.code)
		return inside_problem(in, "network_filter", own.msg, e);
	return script.len ? pb_set_str(&in->ruleset, script.data, e) : 0;
}

static int read_inside(pid_t init, const Davit__RuntimeNetwork *n, struct buf *out, struct err *e)
{
	auto_pb(Davit__NetworkInside) *in = pb_new(&davit__network_inside__descriptor, e);
	auto_close int net = in ? enter(init, e) : -1;
	if (net < 0)
		return -1;
	for (size_t i = 0; n && i < n->n_attachments; i++) {
		void *a = pb_dup(&n->attachments[i]->base, e);
		if (!a || pb_push(&in->n_attachments, &in->attachments, a, e) < 0)
			return -1;
	}
	if (inside_sysctl_read(in, e) < 0)
		return -1;
	if (setns(net, CLONE_NEWNET) < 0)
		return err_sys(e, errno, "enter the container's network namespace");
	if (keep_net_admin(e) < 0 || inside_link_read(in, e) < 0 || read_old_tables(in, e) < 0 || read_rules(in, e) < 0)
		return -1;
	return pb_pack(&in->base, out, e);
}

/* The child's end: 'm' and the message, or 'e' and the error. */
static _Noreturn void answer(int fd, int rc, const struct buf *b, const struct err *e)
{
	if (rc == 0)
		_exit(fd_write_all(fd, "m", 1, NULL) < 0 || (b->len && fd_write_all(fd, b->data, b->len, NULL) < 0));
	_exit(fd_write_all(fd, "e", 1, NULL) < 0 || fd_write_all(fd, e, sizeof(*e), NULL) < 0);
}

static pid_t begin(int *fd, struct err *e)
{
	int p[2];
	if (fd_pipe(p, e) < 0)
		return -1;
	pid_t pid = fork();
	if (pid < 0)
		err_sys(e, errno, "fork");
	if (pid == 0)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	*fd = p[pid == 0];
	close(p[pid != 0]);
	if (pid < 0)
		fd_closep(fd);
	return pid;
}

int inside_read_begin(pid_t init, const Davit__RuntimeNetwork *n, struct inside_reader *r, struct err *e)
{
	r->pid = begin(&r->fd, e);
	if (r->pid == 0) {
		auto_buf struct buf b = { 0 };
		struct err own = { 0 };
		int rc = read_inside(init, n, &b, &own);
		answer(r->fd, rc, &b, &own);
	}
	return r->pid < 0 ? -1 : 0;
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Takes the child's answer without its first byte. 0 or -1. */
static int take(pid_t pid, int *fd, struct buf *out, struct err *e)
{
	char b[65536];
	ssize_t n;
	while ((n = read(*fd, b, sizeof(b))) > 0 && out->len < MESSAGE_MAX && buf_append(out, b, (size_t)n, e) == 0)
		;
	fd_closep(fd);
	reap(pid);
	if (out->len == 1 + sizeof(struct err) && out->data[0] == 'e') {
		memcpy(e, out->data + 1, sizeof(*e));
		return -1;
	}
	if (n != 0 || !out->len || out->data[0] != 'm')
		return err_set(e, ERR_INTERNAL, 0, "the network inside: its process fell");
	return 0;
}

Davit__NetworkInside *inside_read_end(struct inside_reader *r, struct err *e)
{
	auto_buf struct buf b = { 0 };
	pid_t pid = r->pid;
	r->pid = 0;
	if (take(pid, &r->fd, &b, e) < 0)
		return NULL;
	return pb_unpack(&davit__network_inside__descriptor, b.data + 1, b.len - 1, "the network inside", e);
}

void inside_read_drop(struct inside_reader *r)
{
	if (r->pid <= 0)
		return;
	kill(r->pid, SIGKILL);
	fd_closep(&r->fd);
	reap(r->pid);
	r->pid = 0;
}

static int make_inside(pid_t init, const Davit__NetworkInside *in, const Davit__RuntimeNetwork *n, struct err *e)
{
	auto_close int net = enter(init, e);
	if (net < 0 || keep_net_admin(e) < 0 || inside_sysctl_write(in, e) < 0)
		return -1;
	if (in->settings_only)
		return 0;
	if (inside_link_write(in, n, e) < 0)
		return -1;
	return in->ruleset ? nft_load(in->ruleset, e) : 0;
}

int inside_make(pid_t init, const Davit__NetworkInside *in, const Davit__RuntimeNetwork *n, struct err *e)
{
	auto_buf struct buf b = { 0 };
	int fd = -1;
	pid_t pid = begin(&fd, e);
	if (pid == 0) {
		struct err own = { 0 };
		int rc = make_inside(init, in, n, &own);
		answer(fd, rc, &b, &own);
	}
	return pid < 0 ? -1 : take(pid, &fd, &b, e);
}
