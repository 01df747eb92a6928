/* Route netlink in a chosen network namespace: a thin layer over libnl that speaks struct err. */
#pragma once
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include "base/err.h"

void nl_socket_freep(struct nl_sock **sk);
void nl_link_putp(struct rtnl_link **link);
#define auto_nl __attribute__((cleanup(nl_socket_freep)))
#define auto_link __attribute__((cleanup(nl_link_putp)))

/* A connected route socket in the namespace netns_fd, or in the caller's (-1). A socket keeps the namespace it was made in
 * (network_namespaces(7)), so the calling thread is back in its own when this returns. NULL on error. */
struct nl_sock *nl_open(int netns_fd, struct err *e);
/* socket(2) in the namespace netns_fd. Returns an owned fd, or -1. */
int nl_socket_in(int netns_fd, int domain, int type, int protocol, struct err *e);
/* An owned link, or NULL (ERR_NOT_FOUND). */
struct rtnl_link *nl_link(struct nl_sock *sk, const char *name, struct err *e);
/* ERR_* of a libnl result (negative), message "what: …". Returns -1. */
int nl_fail(struct err *e, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int nl_set_up(struct nl_sock *sk, struct rtnl_link *link, struct err *e);
/* Adds an address in CIDR notation; there already is no error. */
int nl_add_address(struct nl_sock *sk, int ifindex, const char *cidr, const char *what, struct err *e);
/* Adds a default route over gateway (plain address). */
int nl_add_default_route(struct nl_sock *sk, int ifindex, const char *gateway, const char *what, struct err *e);
