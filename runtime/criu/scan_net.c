/* File locks (/proc/locks, proc_locks(5)) and sockets (by kind; unix ones also by sock_diag(7)) of a container. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/proc.h"
#include "proto/pb.h"
#include "runtime/criu/scan.h"
#include "runtime/namespace.h"
#include "runtime/net/backlog.h"
#include "runtime/net/diag.h"
#include "runtime/net/nl.h"

#define BACKLOG_WAIT_MS 2000
#define TCP_ESTABLISHED 1 /* unix_diag tells states in TCP's numbers */

int scan_locks(struct scan *s, struct err *e)
{
	char line[256], kind[16], object[64];
	int pid, rc = 0;

	FILE *f = s->o->file_locks ? NULL : fopen("/proc/locks", "re");
	while (f && rc == 0 && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*d: %15s %*s %*s %d %63s", kind, &pid, object) != 3 || !scan_has(s, pid))
			continue;
		Davit__Obstacle *o = scan_add(s, pid, "file_lock", kind, e);
		rc = o ? pb_set_str(&o->path, object, e) : -1;
	}
	if (f)
		fclose(f);
	return rc;
}

/* A socket that a process of the container holds. */
struct held {
	uint32_t inode;
	pid_t pid;
	int fd;
};
struct held_list {
	struct held *v;
	size_t n, cap;
};

static const struct held *held_find(const struct held_list *l, uint32_t inode)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].inode == inode)
			return &l->v[i];
	return NULL;
}

static int collect(struct held_list *l, pid_t pid, struct err *e)
{
	char path[64], link[64];
	struct dirent *d;
	unsigned inode;
	int rc = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	DIR *dir = opendir(path);
	while (dir && rc == 0 && (d = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), d->d_name, link, sizeof(link) - 1);
		link[MAX(n, 0)] = '\0';
		if (sscanf(link, "socket:[%u]", &inode) != 1)
			continue;
		rc = mem_grow(&l->v, &l->cap, l->n + 1, sizeof(*l->v), e);
		if (rc == 0)
			l->v[l->n++] = (struct held){ inode, pid, atoi(d->d_name) };
	}
	if (dir)
		closedir(dir);
	return rc;
}

/* What CRIU saves of sockets, by its sk-*.c. Protocol 0: any. */
static const struct {
	int domain, type, protocol;
} savable[] = {
	{ AF_UNIX, SOCK_STREAM, 0 },
	{ AF_UNIX, SOCK_DGRAM, 0 },
	{ AF_UNIX, SOCK_SEQPACKET, 0 },
	{ AF_INET, SOCK_STREAM, IPPROTO_TCP },
	{ AF_INET6, SOCK_STREAM, IPPROTO_TCP },
	{ AF_INET, SOCK_DGRAM, IPPROTO_UDP },
	{ AF_INET6, SOCK_DGRAM, IPPROTO_UDP },
	{ AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE },
	{ AF_INET6, SOCK_DGRAM, IPPROTO_UDPLITE },
	{ AF_INET, SOCK_RAW, 0 },
	{ AF_INET6, SOCK_RAW, 0 },
	{ AF_NETLINK, SOCK_RAW, 0 },
	{ AF_NETLINK, SOCK_DGRAM, 0 },
	{ AF_PACKET, SOCK_RAW, 0 },
	{ AF_PACKET, SOCK_DGRAM, 0 },
};

static bool is_savable(int domain, int type, int protocol)
{
	for (size_t i = 0; i < ARRAY_LEN(savable); i++)
		if (savable[i].domain == domain && savable[i].type == type && (!savable[i].protocol || savable[i].protocol == protocol))
			return true;
	return false;
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t size = sizeof(value);
	return getsockopt(fd, SOL_SOCKET, name, &value, &size) < 0 ? -1 : value;
}

/* Looked at through a descriptor of our own: /proc tells no socket's kind. One that is gone is no obstacle. */
static int look_at_kind(struct scan *s, const struct held *h, struct err *e)
{
	char detail[64];
	auto_close int pidfd = proc_pidfd_open(h->pid, NULL);
	auto_close int fd = pidfd < 0 ? -1 : pidfd_getfd(pidfd, h->fd, 0);
	int domain = fd < 0 ? -1 : option(fd, SO_DOMAIN), type = option(fd, SO_TYPE), protocol = option(fd, SO_PROTOCOL);
	if (domain < 0 || type < 0 || protocol < 0 || is_savable(domain, type, protocol))
		return 0;
	snprintf(detail, sizeof(detail), "family %d, type %d, protocol %d", domain, type, protocol);
	Davit__Obstacle *o = scan_add(s, h->pid, protocol == IPPROTO_MPTCP ? "mptcp" : "socket", detail, e);
	if (!o)
		return -1;
	o->has_fd = true;
	o->fd = h->fd;
	return 0;
}

struct unix_look {
	struct scan *s;
	const struct held_list *l;
};

static int look_at(void *arg, const struct nlmsghdr *h, struct err *e)
{
	const struct unix_look *look = arg;
	struct scan *s = look->s;
	const struct held_list *l = look->l;
	const struct unix_diag_msg *m = NLMSG_DATA(h);
	uint32_t peer = 0;
	int len = (int)NLMSG_PAYLOAD(h, sizeof(*m));

	for (struct rtattr *a = (struct rtattr *)(m + 1); RTA_OK(a, len); a = RTA_NEXT(a, len))
		if (a->rta_type == UNIX_DIAG_PEER)
			memcpy(&peer, RTA_DATA(a), sizeof(peer));
	const struct held *own = held_find(l, m->udiag_ino);
	if (!own || !peer || held_find(l, peer))
		return 0;
	bool stream = m->udiag_type == SOCK_STREAM || m->udiag_type == SOCK_SEQPACKET;
	if (!stream && s->o->ext_unix_sk)
		return 0;
	Davit__Obstacle *o = scan_add(s, own->pid, stream ? "unix_stream_external" : "unix_external", NULL, e);
	if (!o)
		return -1;
	o->has_fd = true;
	o->fd = own->fd;
	return 0;
}

static int scan_unix(struct scan *s, const struct held_list *l, int sock, struct err *e)
{
	struct {
		struct nlmsghdr h;
		struct unix_diag_req r;
	} q = { .h = { .nlmsg_len = sizeof(q), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.r = { .sdiag_family = AF_UNIX, .udiag_states = 1U << TCP_ESTABLISHED, .udiag_show = UDIAG_SHOW_PEER } };

	struct unix_look look = { s, l };
	/* No unix_diag in this kernel: then CRIU tells. */
	return diag_dump(sock, &q, sizeof(q), "unix sockets", look_at, &look, e) < 0 ? -1 : 0;
}

static int look_at_backlog(struct scan *s, const struct held_list *l, uint32_t inode, struct err *e)
{
	const struct held *h = held_find(l, inode);
	Davit__Obstacle *o = h ? scan_add(s, h->pid, "in_flight", NULL, e) : NULL;
	if (!o)
		return h ? -1 : 0;
	o->has_fd = true;
	o->fd = h->fd;
	return 0;
}

/* A handshake that is not over is no obstacle yet; a server that accepts is none either, one that has not within this time is busy with other things.
 */
static int scan_backlog(struct scan *s, const struct held_list *l, int netns, struct err *e)
{
	uint32_t inodes[BACKLOG_MAX];
	int found = backlog_find(netns, inodes, e), n = 0, rc = 0;

	for (int i = 0; i < found; i++)
		if (inodes[i])
			inodes[n++] = inodes[i];
	n = found < 0 ? -1 : backlog_wait(netns, inodes, n, BACKLOG_WAIT_MS, e);
	for (int i = 0; i < n && rc == 0; i++)
		rc = look_at_backlog(s, l, inodes[i], e);
	return n < 0 ? -1 : rc;
}

int scan_sockets(struct scan *s, struct err *e)
{
	struct held_list l = { 0 };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < s->npids; i++)
		rc = collect(&l, s->pids[i], e);
	for (size_t i = 0; rc == 0 && i < l.n; i++)
		rc = look_at_kind(s, &l.v[i], e);
	auto_close int netns = ns_open(s->o->init, NS_NETWORK, NULL); /* if it has ended, there is nothing to see */
	if (rc == 0 && netns >= 0 && l.n > 0) {
		auto_close int sock = nl_socket_in(netns, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG, e);
		rc = sock < 0 ? -1 : scan_unix(s, &l, sock, e);
		if (rc == 0)
			rc = scan_backlog(s, &l, netns, e);
	}
	free(l.v);
	return rc;
}
