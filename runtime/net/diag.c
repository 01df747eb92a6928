/* See diag.h. Source: netlink(7). */
#include "runtime/net/diag.h"
#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>

int diag_dump(int sock, const void *request, size_t n, const char *what, int (*each)(void *arg, const struct nlmsghdr *h, struct err *e), void *arg,
	      struct err *e)
{
	_Alignas(struct nlmsghdr) char b[32768];
	if (send(sock, request, n, 0) < 0)
		return err_sys(e, errno, "ask for %s", what);
	for (;;) {
		ssize_t got = recv(sock, b, sizeof(b), 0); /* the kernel has the answer ready */
		if (got < 0)
			return err_sys(e, errno, "list %s", what);
		int left = (int)got;
		for (const struct nlmsghdr *h = (struct nlmsghdr *)b; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (h->nlmsg_type == NLMSG_ERROR)
				return -((const struct nlmsgerr *)NLMSG_DATA(h))->error;
			if (each(arg, h, e) < 0)
				return -1;
		}
	}
}
