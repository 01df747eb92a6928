/* Route netlink in a chosen network namespace. Sources: netlink(7), rtnetlink(7), network_namespaces(7), setns(2). */
#include "runtime/net/nl.h"
#include <errno.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <netlink/route/addr.h>
#include <netlink/route/route.h>
#include <sched.h>
#include <sys/socket.h>
#include "base/fd.h"

void nl_socket_freep(struct nl_sock **sk)
{
	if (*sk)
		nl_socket_free(*sk);
	*sk = NULL;
}

void nl_link_putp(struct rtnl_link **link)
{
	if (*link)
		rtnl_link_put(*link);
	*link = NULL;
}

static void nl_addr_putp(struct nl_addr **a)
{
	if (*a)
		nl_addr_put(*a);
}
#define auto_addr __attribute__((cleanup(nl_addr_putp)))

int nl_fail(struct err *e, int rc, const char *fmt, ...)
{
	static const struct {
		int nle;
		enum err_code code;
	} map[] = {
		{ NLE_EXIST, ERR_EXISTS },    { NLE_OBJ_NOTFOUND, ERR_NOT_FOUND }, { NLE_NODEV, ERR_NOT_FOUND }, { NLE_PERM, ERR_DENIED },
		{ NLE_NOACCESS, ERR_DENIED }, { NLE_NOMEM, ERR_RESOURCE },	   { NLE_BUSY, ERR_BUSY },	 { NLE_OPNOTSUPP, ERR_UNSUPPORTED },
		{ NLE_RANGE, ERR_RANGE },     { NLE_NOADDR, ERR_INVALID },
	};
	enum err_code code = ERR_INTERNAL;
	for (size_t i = 0; i < ARRAY_LEN(map); i++)
		if (map[i].nle == abs(rc))
			code = map[i].code;
	char what[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return err_set(e, code, 0, "%s: %s", what, nl_geterror(rc));
}

/* Puts the calling thread into netns_fd. Returns an fd of the one it was in, or -1. */
static int enter(int netns_fd, struct err *e)
{
	auto_close int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (own < 0)
		return err_sys(e, errno, "open /proc/thread-self/ns/net");
	if (setns(netns_fd, CLONE_NEWNET) < 0)
		return err_sys(e, errno, "enter the container's network namespace");
	return steal_fd(&own);
}

/* A thread that cannot come back must not go on in a container's namespace. */
static void leave(int own)
{
	if (setns(own, CLONE_NEWNET) < 0)
		abort();
	close(own);
}

struct nl_sock *nl_open(int netns_fd, struct err *e)
{
	auto_nl struct nl_sock *sk = nl_socket_alloc();
	if (!sk) {
		err_set(e, ERR_RESOURCE, ENOMEM, "netlink socket");
		return NULL;
	}
	int own = -1;
	if (netns_fd >= 0 && (own = enter(netns_fd, e)) < 0)
		return NULL;
	int rc = nl_connect(sk, NETLINK_ROUTE);
	if (own >= 0)
		leave(own);
	if (rc < 0) {
		nl_fail(e, rc, "connect a netlink socket");
		return NULL;
	}
	return steal_ptr(&sk);
}

int nl_socket_in(int netns_fd, int domain, int type, int protocol, struct err *e)
{
	int own = enter(netns_fd, e);
	if (own < 0)
		return -1;
	int fd = socket(domain, type | SOCK_CLOEXEC, protocol);
	int saved = errno;
	leave(own);
	return fd < 0 ? err_sys(e, saved, "open a socket in the container's network namespace") : fd;
}

struct rtnl_link *nl_link(struct nl_sock *sk, const char *name, struct err *e)
{
	struct rtnl_link *link = NULL;
	int rc = rtnl_link_get_kernel(sk, 0, name, &link);
	if (rc < 0) {
		nl_fail(e, rc, "network interface %s", name);
		return NULL;
	}
	return link;
}

int nl_set_up(struct nl_sock *sk, struct rtnl_link *link, struct err *e)
{
	auto_link struct rtnl_link *change = rtnl_link_alloc();
	if (!change)
		return err_set(e, ERR_RESOURCE, ENOMEM, "network interface");
	rtnl_link_set_flags(change, IFF_UP);
	int rc = rtnl_link_change(sk, link, change, 0);
	return rc < 0 ? nl_fail(e, rc, "bring up %s", rtnl_link_get_name(link)) : 0;
}

int nl_add_address(struct nl_sock *sk, int ifindex, const char *cidr, const char *what, struct err *e)
{
	auto_addr struct nl_addr *local = NULL;
	if (nl_addr_parse(cidr, AF_UNSPEC, &local) < 0 || !nl_addr_get_prefixlen(local))
		return err_field(e, what, "%s is no address with a prefix length, such as 10.88.0.5/16", cidr);
	struct rtnl_addr *addr = rtnl_addr_alloc();
	if (!addr)
		return err_set(e, ERR_RESOURCE, ENOMEM, "address %s", cidr);
	rtnl_addr_set_ifindex(addr, ifindex);
	int rc = rtnl_addr_set_local(addr, local);
	/* The address is ours by allocation or comes with its container: waiting for duplicate detection would only delay it. */
	if (nl_addr_get_family(local) == AF_INET6)
		rtnl_addr_set_flags(addr, IFA_F_NODAD);
	if (rc >= 0)
		rc = rtnl_addr_add(sk, addr, 0);
	rtnl_addr_put(addr);
	return rc < 0 && rc != -NLE_EXIST ? nl_fail(e, rc, "add address %s", cidr) : 0;
}

int nl_add_default_route(struct nl_sock *sk, int ifindex, const char *gateway, const char *what, struct err *e)
{
	auto_addr struct nl_addr *via = NULL, *any = NULL;
	if (nl_addr_parse(gateway, AF_UNSPEC, &via) < 0)
		return err_field(e, what, "%s is no address", gateway);
	int family = nl_addr_get_family(via);
	any = nl_addr_build(family, (uint8_t[16]){ 0 }, family == AF_INET6 ? 16 : 4);
	struct rtnl_route *route = rtnl_route_alloc();
	struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
	if (!any || !route || !hop) {
		rtnl_route_put(route);
		return err_set(e, ERR_RESOURCE, ENOMEM, "route over %s", gateway);
	}
	nl_addr_set_prefixlen(any, 0);
	rtnl_route_nh_set_ifindex(hop, ifindex);
	rtnl_route_nh_set_gateway(hop, via);
	rtnl_route_set_family(route, (uint8_t)family);
	rtnl_route_set_dst(route, any);
	rtnl_route_add_nexthop(route, hop); /* owns hop now */
	int rc = rtnl_route_add(sk, route, NLM_F_REPLACE);
	rtnl_route_put(route);
	if (rc == -NLE_FAILURE) /* libnl has no code for ENETUNREACH */
		return err_field(e, what, "gateway %s is not reachable from the container's addresses", gateway);
	return rc < 0 ? nl_fail(e, rc, "add the default route over %s", gateway) : 0;
}
