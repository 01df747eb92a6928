/* Sources: sock_diag(7), kernel net/ipv4/inet_diag.c (SOCK_DESTROY; what `ss --kill` does), tcp_abort() in net/ipv4/tcp.c, which sends the reset. */
#include "runtime/net/reset.h"
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "base/fd.h"
#include "base/mem.h"
#include "runtime/net/diag.h"
#include "runtime/net/nl.h"

/* All but listening sockets, and those that are closed or wait for nothing but time. */
#define CONNECTED (~0U & ~(1U << TCP_LISTEN | 1U << TCP_CLOSE | 1U << TCP_TIME_WAIT))

struct request {
	struct nlmsghdr h;
	struct inet_diag_req_v2 r;
};
struct found {
	struct inet_diag_sockid *v;
	size_t n, cap;
};

static int take(void *arg, const struct nlmsghdr *h, struct err *e)
{
	struct found *f = arg;
	if (mem_grow(&f->v, &f->cap, f->n + 1, sizeof(*f->v), e) < 0)
		return -1;
	f->v[f->n++] = ((const struct inet_diag_msg *)NLMSG_DATA(h))->id;
	return 0;
}

static int list(int sock, int family, struct found *f, struct err *e)
{
	struct request q = { .h = { .nlmsg_len = sizeof(q), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
			     .r = { .sdiag_family = (uint8_t)family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = CONNECTED } };
	int rc = diag_dump(sock, &q, sizeof(q), "TCP connections", take, f, e);
	return rc > 0 ? err_set(e, ERR_UNSUPPORTED, rc, "list TCP connections") : rc;
}

/* One that has ended meanwhile is no error. */
static int destroy(int sock, int family, const struct inet_diag_sockid *id, struct err *e)
{
	struct {
		struct nlmsghdr h;
		struct nlmsgerr error;
		char rest[256];
	} answer;
	struct request q = { .h = { .nlmsg_len = sizeof(q), .nlmsg_type = SOCK_DESTROY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
			     .r = { .sdiag_family = (uint8_t)family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = CONNECTED, .id = *id } };
	if (send(sock, &q, sizeof(q), 0) < 0 || recv(sock, &answer, sizeof(answer), 0) < (ssize_t)sizeof(answer.h) + 4)
		return err_sys(e, errno, "close a TCP connection");
	int error = answer.h.nlmsg_type == NLMSG_ERROR ? -answer.error.error : 0;
	if (error == 0 || error == ENOENT)
		return 0;
	return err_set(e, error == EOPNOTSUPP ? ERR_UNSUPPORTED : ERR_INTERNAL, error, "close a TCP connection");
}

int net_reset_connections(int netns_fd, struct err *e)
{
	static const int families[] = { AF_INET, AF_INET6 };
	auto_close int sock = nl_socket_in(netns_fd, AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG, e);
	int rc = sock < 0 ? -1 : 0;

	for (size_t k = 0; rc == 0 && k < ARRAY_LEN(families); k++) {
		struct found f = { 0 };
		rc = list(sock, families[k], &f, e);
		for (size_t i = 0; rc == 0 && i < f.n; i++)
			rc = destroy(sock, families[k], &f.v[i], e);
		free(f.v);
	}
	return rc;
}
