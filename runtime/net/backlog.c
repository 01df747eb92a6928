/* See backlog.h. Sources: sock_diag(7), kernel net/ipv4/inet_diag.c: of a listening socket idiag_rqueue is what waits to be accepted; a handshake
 * that has begun is told as TCP_NEW_SYN_RECV. */
#include "runtime/net/backlog.h"
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include "base/clock.h"
#include "base/fd.h"
#include "runtime/net/diag.h"
#include "runtime/net/nl.h"

/* The kernel's numbers of states. */
#define TCP_SYN_RECV 3
#define TCP_LISTEN 10
#define TCP_NEW_SYN_RECV 12

#define LOOK_MS 2

struct found {
	uint32_t *inodes;
	size_t n;
};

static int note(void *arg, const struct nlmsghdr *h, struct err *e)
{
	struct found *f = arg;
	const struct inet_diag_msg *m = NLMSG_DATA(h);
	(void)e;
	bool listens = m->idiag_state == TCP_LISTEN;
	if ((!listens || m->idiag_rqueue > 0) && f->n < BACKLOG_MAX)
		f->inodes[f->n++] = listens ? m->idiag_inode : 0;
	return 0;
}

static int list(int sock, uint8_t family, struct found *f, struct err *e)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 r;
	} q = { .h = { .nlmsg_len = sizeof(q), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.r = { .sdiag_family = family,
		       .sdiag_protocol = IPPROTO_TCP,
		       .idiag_states = 1U << TCP_LISTEN | 1U << TCP_SYN_RECV | 1U << TCP_NEW_SYN_RECV } };
	return diag_dump(sock, &q, sizeof(q), "listening sockets", note, f, e);
}

int backlog_find(int netns_fd, uint32_t inodes[static BACKLOG_MAX], struct err *e)
{
	struct found f = { .inodes = inodes };
	auto_close int sock = nl_socket_in(netns_fd, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG, e);
	if (sock < 0)
		return -1;
	for (int i = 0; i < 2; i++)
		if (list(sock, i ? AF_INET6 : AF_INET, &f, e) < 0)
			return -1;
	return (int)f.n;
}

static bool among(const uint32_t *v, int n, uint32_t one)
{
	for (int i = 0; i < n; i++)
		if (v[i] == one)
			return true;
	return false;
}

int backlog_wait(int netns_fd, uint32_t inodes[static BACKLOG_MAX], int n, int ms, struct err *e)
{
	uint32_t now[BACKLOG_MAX];
	int64_t end = clock_now_ns(CLOCK_MONOTONIC) + ms * NSEC_PER_MSEC;

	while (n > 0 && clock_now_ns(CLOCK_MONOTONIC) < end) {
		(void)nanosleep(&(struct timespec){ .tv_nsec = LOOK_MS * NSEC_PER_MSEC }, NULL);
		int m = backlog_find(netns_fd, now, e);
		if (m < 0)
			return -1;
		int left = 0;
		for (int i = 0; i < n; i++)
			if (among(now, m, inodes[i]))
				inodes[left++] = inodes[i];
		n = left;
	}
	return n;
}
