/* Lists of sockets from the kernel: sock_diag(7). */
#pragma once
#include <stddef.h>
#include "base/err.h"

/* Asks over a NETLINK_SOCK_DIAG socket for a dump and hands the answers on, one by one: nlmsghdr and the payload of the family asked for. request: a
 * whole message, SOCK_DIAG_BY_FAMILY with NLM_F_DUMP. what: the sockets' name in errors. Returns 0; the kernel's errno (> 0) if it has no such list;
 * or -1: each() said so, or the socket failed. */
struct nlmsghdr;
int diag_dump(int sock, const void *request, size_t n, const char *what, int (*each)(void *arg, const struct nlmsghdr *h, struct err *e), void *arg,
	      struct err *e);
