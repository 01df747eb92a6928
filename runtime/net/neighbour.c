/* Reading and writing neighbour tables. Sources: rtnetlink(7), arp(7), kernel include/uapi/linux/neighbour.h. */
#include "runtime/net/neighbour.h"
#include <errno.h>
#include <linux/neighbour.h>
#include <net/if.h>
#include <netlink/route/neighbour.h>
#include <stdio.h>
#include <sys/socket.h>
#include "proto/pb.h"

#define KNOWN (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT)

static Davit__Neighbour *describe(struct nl_sock *ns, struct rtnl_neigh *found, struct err *e)
{
	char address[64], mac[32], interface[IFNAMSIZ];
	struct rtnl_link *link = NULL;
	if (rtnl_link_get_kernel(ns, rtnl_neigh_get_ifindex(found), NULL, &link) < 0)
		return NULL;
	snprintf(interface, sizeof(interface), "%s", rtnl_link_get_name(link));
	rtnl_link_put(link);
	nl_addr2str(rtnl_neigh_get_dst(found), address, sizeof(address));
	nl_addr2str(rtnl_neigh_get_lladdr(found), mac, sizeof(mac));
	auto_pb(Davit__Neighbour) *n = pb_new(&davit__neighbour__descriptor, e);
	if (!n || pb_set_str(&n->interface, interface, e) < 0 || pb_set_str(&n->address, address, e) < 0 || pb_set_str(&n->mac, mac, e) < 0)
		return NULL;
	n->has_permanent = n->permanent = rtnl_neigh_get_state(found) & NUD_PERMANENT;
	return steal_ptr(&n);
}

static bool is_peer(struct rtnl_neigh *n)
{
	struct nl_addr *mac = rtnl_neigh_get_lladdr(n), *address = rtnl_neigh_get_dst(n);
	int family = address ? nl_addr_get_family(address) : AF_UNSPEC;
	return mac && nl_addr_get_len(mac) == 6 && (family == AF_INET || family == AF_INET6) && (rtnl_neigh_get_state(n) & KNOWN);
}

int net_neighbours(int netns_fd, size_t *n, Davit__Neighbour ***list, struct err *e)
{
	auto_nl struct nl_sock *ns = nl_open(netns_fd, e);
	struct nl_cache *cache = NULL;
	int rc = ns ? rtnl_neigh_alloc_cache(ns, &cache) : -1;
	if (!ns)
		return -1;
	if (rc < 0)
		return nl_fail(e, rc, "read the neighbour table");
	for (struct nl_object *o = nl_cache_get_first(cache); o && *n < NEIGHBOURS_MAX; o = nl_cache_get_next(o)) {
		if (!is_peer((struct rtnl_neigh *)o))
			continue;
		Davit__Neighbour *found = describe(ns, (struct rtnl_neigh *)o, e);
		if (found && pb_push(n, list, found, e) < 0)
			break;
	}
	nl_cache_free(cache);
	return 0;
}

static int parse(const Davit__Neighbour *n, size_t i, struct nl_addr **address, struct nl_addr **mac, struct err *e)
{
	char field[40];
	snprintf(field, sizeof(field), "neighbours[%zu]", i);
	if (nl_addr_parse(n->address, AF_UNSPEC, address) < 0 ||
	    (nl_addr_get_family(*address) != AF_INET && nl_addr_get_family(*address) != AF_INET6))
		return err_field(e, field, "%s is no address", n->address);
	if (nl_addr_parse(n->mac, AF_LLC, mac) < 0 || nl_addr_get_len(*mac) != 6)
		return err_field(e, field, "%s is no MAC address", n->mac);
	return 0;
}

static int add_one(struct nl_sock *ns, int ifindex, const Davit__Neighbour *n, size_t i, struct err *e)
{
	struct nl_addr *address = NULL, *mac = NULL;
	struct rtnl_neigh *entry = rtnl_neigh_alloc();
	int rc = entry ? parse(n, i, &address, &mac, e) : err_set(e, ERR_RESOURCE, ENOMEM, "neighbour");
	if (rc == 0) {
		rtnl_neigh_set_ifindex(entry, ifindex);
		rtnl_neigh_set_dst(entry, address);
		rtnl_neigh_set_lladdr(entry, mac);
		rtnl_neigh_set_state(entry, n->permanent ? NUD_PERMANENT : NUD_STALE);
		rc = rtnl_neigh_add(ns, entry, NLM_F_CREATE | NLM_F_REPLACE);
		if (rc < 0)
			rc = nl_fail(e, rc, "add neighbour %s", n->address);
	}
	nl_addr_put(address);
	nl_addr_put(mac);
	if (entry)
		rtnl_neigh_put(entry);
	return rc < 0 ? -1 : 0;
}

int neighbours_add(struct nl_sock *ns, const char *interface, int ifindex, Davit__Neighbour *const *list, size_t n, struct err *e)
{
	if (n > NEIGHBOURS_MAX)
		return err_field(e, "neighbours", "more than %d", NEIGHBOURS_MAX);
	for (size_t i = 0; i < n; i++)
		if (str_eq(list[i]->interface, interface) && add_one(ns, ifindex, list[i], i, e) < 0)
			return -1;
	return 0;
}
