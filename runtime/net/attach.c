/* Attachments: a veth pair a network. Sources: veth(4), rtnetlink(7), network_namespaces(7).
 *
 * The peer is made directly in the container's namespace, under its last name and with its MAC, in the one message that makes the pair:
 * nothing has to be renamed or moved, and no other namespace ever sees it. */
#include <errno.h>
#include <net/if.h>
#include <netlink/route/link/veth.h>
#include <sodium.h>
#include <string.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/net/announce.h"
#include "runtime/net/hold.h"
#include "runtime/net/neighbour.h"
#include "runtime/net/net.h"
#include "runtime/net/nft.h"
#include "runtime/net/nl.h"

#define NETWORK_FILE_MAX (1 << 20)

void net_host_end(const char *id, unsigned index, char out[16])
{
	uint8_t hash[crypto_generichash_BYTES];
	char text[300], hex[11];
	int n = snprintf(text, sizeof(text), "%u:%s", index, id);
	crypto_generichash(hash, sizeof(hash), (const unsigned char *)text, (size_t)n, NULL, 0);
	str_hex(hash, 5, hex);
	snprintf(out, 16, "dv%s", hex);
}

Davit__RuntimeNetwork *net_load(const char *path, struct err *e)
{
	size_t len = 0;
	auto_free char *data = file_read(AT_FDCWD, path, NETWORK_FILE_MAX, &len, e);
	if (!data)
		return NULL;
	Davit__RuntimeNetwork *n = davit__runtime_network__unpack(NULL, len, (const uint8_t *)data);
	if (!n)
		err_set(e, ERR_CORRUPT, 0, "%s is no network description", path);
	return n;
}

static const Davit__CoreNetwork *network_of(const Davit__RuntimeNetwork *n, const Davit__NetworkAttachment *a, struct err *e)
{
	for (size_t i = 0; i < n->n_networks; i++)
		if (str_eq(n->networks[i]->name, a->network))
			return n->networks[i];
	err_set(e, ERR_NOT_FOUND, 0, "this host has no network %s", a->network);
	return NULL;
}

static int parse_mac(const char *s, struct nl_addr **out, struct err *e)
{
	if (nl_addr_parse(s, AF_LLC, out) < 0 || nl_addr_get_len(*out) != 6)
		return err_field(e, "mac", "%s is no MAC address", s);
	return 0;
}

static int make_pair(struct nl_sock *host, const Davit__NetworkAttachment *a, const char *host_end, int netns_fd, struct err *e)
{
	auto_link struct rtnl_link *link = rtnl_link_veth_alloc();
	if (!link)
		return err_set(e, ERR_RESOURCE, ENOMEM, "veth pair");
	struct rtnl_link *peer = rtnl_link_veth_get_peer(link);
	rtnl_link_set_name(link, host_end);
	rtnl_link_set_name(peer, a->interface ? a->interface : "eth0");
	rtnl_link_set_ns_fd(peer, netns_fd);
	if (a->has_mtu) {
		rtnl_link_set_mtu(link, a->mtu);
		rtnl_link_set_mtu(peer, a->mtu);
	}
	struct nl_addr *mac = NULL;
	int rc = a->mac ? parse_mac(a->mac, &mac, e) : 0;
	if (mac)
		rtnl_link_set_addr(peer, mac);
	nl_addr_put(mac);
	if (rc == 0 && (rc = rtnl_link_add(host, link, NLM_F_CREATE | NLM_F_EXCL)) < 0)
		nl_fail(e, rc, "make veth pair %s", host_end);
	rtnl_link_put(peer); /* veth_get_peer took a reference */
	return rc < 0 ? -1 : 0;
}

static int configure_inside(struct nl_sock *ns, const Davit__RuntimeNetwork *n, const Davit__NetworkAttachment *a, struct err *e)
{
	const char *interface = a->interface ? a->interface : "eth0";
	auto_link struct rtnl_link *link = nl_link(ns, interface, e);
	if (!link)
		return -1;
	int ifindex = rtnl_link_get_ifindex(link);
	if ((a->address && nl_add_address(ns, ifindex, a->address, "address", e) < 0) ||
	    (a->address6 && nl_add_address(ns, ifindex, a->address6, "address6", e) < 0) || nl_set_up(ns, link, e) < 0 ||
	    (a->gateway && nl_add_default_route(ns, ifindex, a->gateway, "gateway", e) < 0) ||
	    (a->gateway6 && nl_add_default_route(ns, ifindex, a->gateway6, "gateway6", e) < 0))
		return -1;
	return neighbours_add(ns, interface, ifindex, n->neighbours, n->n_neighbours, e);
}

/* The host's end needs no address of its own, and must not speak IPv6 into the container's network. */
static void quiet_host_end(const char *host_end)
{
	char path[80];
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", host_end);
	(void)file_write_pseudo(AT_FDCWD, path, "1", NULL); /* a kernel without IPv6 has no such file */
}

static int join_bridge(struct nl_sock *host, const char *bridge_name, const char *host_end, struct err *e)
{
	auto_link struct rtnl_link *bridge = nl_link(host, bridge_name, e), *port = nl_link(host, host_end, e);
	if (!bridge || !port)
		return -1;
	if (rtnl_link_get_master(port) == rtnl_link_get_ifindex(bridge))
		return 0;
	int rc = rtnl_link_enslave(host, bridge, port);
	return rc < 0 ? nl_fail(e, rc, "make %s a port of %s", host_end, bridge_name) : 0;
}

static int leave_bridge(struct nl_sock *host, const char *host_end, struct err *e)
{
	auto_link struct rtnl_link *port = nl_link(host, host_end, e);
	if (!port)
		return -1;
	int rc = rtnl_link_get_master(port) ? rtnl_link_release(host, port) : 0;
	return rc < 0 ? nl_fail(e, rc, "take %s out of its bridge", host_end) : 0;
}

/* A keeper in the place of the container's port. That there is none is not worth a failure: packets are dropped then. */
static void keep_packets(struct nl_sock *host, const Davit__RuntimeNetwork *n, unsigned index, const char *id)
{
	const Davit__NetworkAttachment *a = n->attachments[index];
	const Davit__CoreNetwork *net = network_of(n, a, NULL);
	char host_end[16];
	struct err e;
	err_clear(&e);
	net_host_end(id, index, host_end);
	if (!net || hold_start(host, host_end, net->bridge, a->has_mtu ? a->mtu : 0, &e) < 0 || announce_held(a, host_end, &e) < 0)
		log_err(LOG_LEVEL_WARN, "packets for a held container are dropped", &e);
}

static int attach_one(struct nl_sock *host, struct nl_sock *ns, const Davit__RuntimeNetwork *n, unsigned index, const char *id, struct err *e)
{
	const Davit__NetworkAttachment *a = n->attachments[index];
	const Davit__CoreNetwork *net = network_of(n, a, e);
	char host_end[16];
	net_host_end(id, index, host_end);
	quiet_host_end(host_end);
	auto_link struct rtnl_link *port = net ? nl_link(host, host_end, e) : NULL;
	if (!port || nl_set_up(host, port, e) < 0 || configure_inside(ns, n, a, e) < 0)
		return -1;
	if (n->held)
		keep_packets(host, n, index, id);
	else if (join_bridge(host, net->bridge, host_end, e) < 0)
		return -1;
	return nft_publish(a, e);
}

static int loopback_up(struct nl_sock *ns, struct err *e)
{
	auto_link struct rtnl_link *lo = nl_link(ns, "lo", e);
	return lo ? nl_set_up(ns, lo, e) : -1;
}

int net_loopback_up(int netns_fd, struct err *e)
{
	auto_nl struct nl_sock *ns = nl_open(netns_fd, e);
	return ns ? loopback_up(ns, e) : -1;
}

static int detach_one(struct nl_sock *host, const Davit__RuntimeNetwork *n, unsigned index, const char *id, struct err *e)
{
	char host_end[16];
	net_host_end(id, index, host_end);
	hold_discard(host_end);
	auto_link struct rtnl_link *port = nl_link(host, host_end, NULL);
	int rc = port ? rtnl_link_delete(host, port) : 0;
	if (rc < 0 && rc != -NLE_NODEV && rc != -NLE_OBJ_NOTFOUND)
		return nl_fail(e, rc, "remove %s", host_end);
	return nft_unpublish(n->attachments[index], e);
}

int net_attach_all(const Davit__RuntimeNetwork *n, const char *id, int netns_fd, struct err *e)
{
	auto_nl struct nl_sock *host = nl_open(-1, e), *ns = nl_open(netns_fd, e);
	if (!host || !ns || loopback_up(ns, e) < 0)
		return -1;
	for (unsigned i = 0; i < n->n_attachments; i++) {
		char host_end[16];
		net_host_end(id, i, host_end);
		int made = make_pair(host, n->attachments[i], host_end, netns_fd, e);
		if (made == 0 && attach_one(host, ns, n, i, id, e) == 0)
			continue;
		err_prefix(e, "attach to network %s", n->attachments[i]->network);
		/* Only what was made here: a pair that was there before is another's. */
		for (unsigned undo = 0; undo < i + (made == 0); undo++)
			(void)detach_one(host, n, undo, id, NULL);
		return -1;
	}
	return 0;
}

int net_detach_all(const Davit__RuntimeNetwork *n, const char *id, struct err *e)
{
	auto_nl struct nl_sock *host = nl_open(-1, e);
	if (!host)
		return -1;
	int worst = 0;
	for (unsigned i = 0; i < n->n_attachments; i++)
		if (detach_one(host, n, i, id, e) < 0)
			worst = -1;
	return worst;
}

int net_catch(const Davit__RuntimeNetwork *n, const char *id, struct err *e)
{
	auto_nl struct nl_sock *host = nl_open(-1, e);
	if (!host)
		return -1;
	for (unsigned i = 0; i < n->n_attachments; i++)
		keep_packets(host, n, i, id);
	return 0;
}

int net_hold(const Davit__RuntimeNetwork *n, const char *id, struct err *e)
{
	auto_nl struct nl_sock *host = nl_open(-1, e);
	if (!host)
		return -1;
	for (unsigned i = 0; i < n->n_attachments; i++) {
		char host_end[16];
		net_host_end(id, i, host_end);
		/* First the keeper, so that nothing falls between the two. */
		keep_packets(host, n, i, id);
		if (leave_bridge(host, host_end, e) < 0)
			return -1;
	}
	return 0;
}

int net_release(const Davit__RuntimeNetwork *n, const char *id, struct err *e)
{
	auto_nl struct nl_sock *host = nl_open(-1, e);
	if (!host)
		return -1;
	for (unsigned i = 0; i < n->n_attachments; i++) {
		const Davit__CoreNetwork *net = network_of(n, n->attachments[i], e);
		char host_end[16];
		net_host_end(id, i, host_end);
		(void)announce_held(n->attachments[i], host_end, NULL); /* another host may have had the addresses meanwhile */
		/* Back in the bridge first: the container's kernel answers what it is given at once. Until it has said something, the bridge leads
		 * packets for it to the keeper, so they stay in order. */
		if (!net || join_bridge(host, net->bridge, host_end, e) < 0)
			return err_prefix(e, "release the network of %s", id);
		hold_release(host_end);
	}
	return 0;
}

int net_stats(const Davit__RuntimeNetwork *n, const char *id, uint64_t *rx, uint64_t *tx, struct err *e)
{
	auto_nl struct nl_sock *host = nl_open(-1, e);
	if (!host)
		return -1;
	*rx = *tx = 0;
	for (unsigned i = 0; i < n->n_attachments; i++) {
		char host_end[16];
		net_host_end(id, i, host_end);
		auto_link struct rtnl_link *port = nl_link(host, host_end, e);
		if (!port)
			return -1;
		/* What the host's end sends is what the container receives. */
		*rx += rtnl_link_get_stat(port, RTNL_LINK_TX_BYTES);
		*tx += rtnl_link_get_stat(port, RTNL_LINK_RX_BYTES);
	}
	return 0;
}
