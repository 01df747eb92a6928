/* Bridges of the host. Sources: rtnetlink(7), ip-link(8) for the meaning of bridge attributes, kernel Documentation/networking/ip-sysctl.
 *
 * A bridge has a MAC of its own, chosen when it is made: left to the kernel it would follow the lowest MAC of its ports, and every
 * container that comes or goes could change it under the neighbours' caches. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netlink/route/link/bridge.h>
#include <string.h>
#include <sys/random.h>
#include "base/file.h"
#include "base/str.h"
#include "runtime/net/net.h"
#include "runtime/net/nft.h"
#include "runtime/net/nl.h"

static int make(struct nl_sock *sk, const char *name, struct err *e)
{
	auto_link struct rtnl_link *link = rtnl_link_bridge_alloc();
	uint8_t mac[6] = { 0 };
	if (!link || getrandom(mac + 1, 5, 0) != 5)
		return err_set(e, ERR_RESOURCE, ENOMEM, "bridge %s", name);
	mac[0] = 0x02; /* locally administered, unicast */
	struct nl_addr *addr = nl_addr_build(AF_LLC, mac, sizeof(mac));
	if (!addr)
		return err_set(e, ERR_RESOURCE, ENOMEM, "bridge %s", name);
	rtnl_link_set_name(link, name);
	rtnl_link_set_addr(link, addr);
	nl_addr_put(addr);
	int rc = rtnl_link_add(sk, link, NLM_F_CREATE | NLM_F_EXCL);
	return rc < 0 && rc != -NLE_EXIST ? nl_fail(e, rc, "make bridge %s", name) : 0;
}

static int take_uplink(struct nl_sock *sk, struct rtnl_link *bridge, const char *uplink, struct err *e)
{
	auto_link struct rtnl_link *port = nl_link(sk, uplink, e);
	if (!port)
		return err_prefix(e, "uplink");
	if (rtnl_link_get_master(port) == rtnl_link_get_ifindex(bridge))
		return 0;
	int rc = rtnl_link_enslave(sk, bridge, port);
	if (rc < 0)
		return nl_fail(e, rc, "make %s a port of %s", uplink, rtnl_link_get_name(bridge));
	return nl_set_up(sk, port, e);
}

/* Packets are forwarded between the bridge and elsewhere only where the network has a gateway, that is, wants it. */
static int enable_forwarding(const Davit__CoreNetwork *net, struct err *e)
{
	auto_free char *local = mem_printf(e, "/proc/sys/net/ipv4/conf/%s/route_localnet", net->bridge);
	if (!local)
		return -1;
	if (net->gateway &&
	    (file_write_pseudo(AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", "1", e) < 0 || file_write_pseudo(AT_FDCWD, local, "1", e) < 0))
		return -1;
	if (net->gateway6 && file_write_pseudo(AT_FDCWD, "/proc/sys/net/ipv6/conf/all/forwarding", "1", e) < 0)
		return -1;
	return 0;
}

/* "10.88.0.1" with the prefix length of "10.88.0.0/16". */
static char *gateway_cidr(const char *gateway, const char *subnet, struct err *e)
{
	const char *slash = subnet ? strchr(subnet, '/') : NULL;
	if (!slash) {
		err_field(e, "subnet", "%s is no network with a prefix length, such as 10.88.0.0/16", subnet ? subnet : "(none)");
		return NULL;
	}
	return mem_printf(e, "%.*s%s", (int)strcspn(gateway, "/"), gateway, slash);
}

static int give_address(struct nl_sock *sk, struct rtnl_link *bridge, const char *gateway, const char *subnet, const char *what, struct err *e)
{
	if (!gateway)
		return 0;
	auto_free char *cidr = gateway_cidr(gateway, subnet, e);
	return cidr ? nl_add_address(sk, rtnl_link_get_ifindex(bridge), cidr, what, e) : -1;
}

int net_bridge_ensure(const Davit__CoreNetwork *net, struct err *e)
{
	if (strlen(net->bridge) >= IFNAMSIZ || strchr(net->bridge, '/') || !net->bridge[0])
		return err_field(e, "bridge", "%s is no interface name (1 to 15 characters, no '/')", net->bridge);
	auto_nl struct nl_sock *sk = nl_open(-1, e);
	if (!sk || make(sk, net->bridge, e) < 0)
		return -1;
	auto_link struct rtnl_link *bridge = nl_link(sk, net->bridge, e);
	if (!bridge)
		return -1;
	if (!rtnl_link_is_bridge(bridge))
		return err_set(e, ERR_EXISTS, 0, "network %s: interface %s is there and is no bridge", net->name, net->bridge);
	if (give_address(sk, bridge, net->gateway, net->subnet, "gateway", e) < 0 ||
	    give_address(sk, bridge, net->gateway6, net->subnet6, "gateway6", e) < 0 || nl_set_up(sk, bridge, e) < 0 ||
	    (net->uplink && take_uplink(sk, bridge, net->uplink, e) < 0) || enable_forwarding(net, e) < 0 || (net->nat && nft_masquerade(net, e) < 0))
		return err_prefix(e, "network %s", net->name);
	return 0;
}

struct port_search {
	int master;
	const char *uplink;
	bool found;
};

static void find_port(struct nl_object *obj, void *arg)
{
	struct port_search *s = arg;
	struct rtnl_link *link = (struct rtnl_link *)obj;
	if (rtnl_link_get_master(link) == s->master && !str_eq(rtnl_link_get_name(link), s->uplink))
		s->found = true;
}

static int has_containers(struct nl_sock *sk, struct rtnl_link *bridge, const char *uplink, struct err *e)
{
	struct nl_cache *cache = NULL;
	int rc = rtnl_link_alloc_cache(sk, AF_UNSPEC, &cache);
	if (rc < 0)
		return nl_fail(e, rc, "list network interfaces");
	struct port_search s = { .master = rtnl_link_get_ifindex(bridge), .uplink = uplink };
	nl_cache_foreach (cache, find_port, &s)
		;
	nl_cache_free(cache);
	return s.found;
}

int net_bridge_remove(const Davit__CoreNetwork *net, struct err *e)
{
	auto_nl struct nl_sock *sk = nl_open(-1, e);
	if (!sk)
		return -1;
	struct err own;
	err_clear(&own);
	auto_link struct rtnl_link *bridge = nl_link(sk, net->bridge, &own);
	if (bridge) {
		int used = has_containers(sk, bridge, net->uplink, e);
		if (used < 0)
			return -1;
		if (used)
			return err_set(e, ERR_STATE, 0, "network %s has containers", net->name);
		int rc = rtnl_link_delete(sk, bridge); /* lets its ports go */
		if (rc < 0 && rc != -NLE_OBJ_NOTFOUND && rc != -NLE_NODEV)
			return nl_fail(e, rc, "remove bridge %s", net->bridge);
	} else if (own.code != ERR_NOT_FOUND) {
		if (e)
			*e = own;
		return -1;
	}
	return net->nat ? nft_unmasquerade(net, e) : 0;
}
