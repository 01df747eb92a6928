/* The host's policy about networks: a container's place in one, published ports, and what must not be given twice on a host. */
#include "proto/limits.h"
#include "runtime/serve/policy.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include "proto/pb.h"
#include "runtime/serve/records.h"

struct cidr {
	int family;
	uint8_t address[16];
	unsigned bits;
};

static int parse_address(const char *s, struct cidr *out)
{
	out->family = strchr(s, ':') ? AF_INET6 : AF_INET;
	out->bits = out->family == AF_INET ? 32 : 128;
	return inet_pton(out->family, s, out->address) == 1 ? 0 : -1;
}

static int parse_cidr(const char *s, struct cidr *out)
{
	char text[64];
	uint64_t bits = 0;
	const char *slash = strchr(s, '/');
	if (!slash || (size_t)(slash - s) >= sizeof(text))
		return -1;
	snprintf(text, sizeof(text), "%.*s", (int)(slash - s), s);
	if (parse_address(text, out) < 0 || str_to_u64(slash + 1, 0, out->bits, &bits, "bits", NULL) < 0)
		return -1;
	out->bits = (unsigned)bits;
	return 0;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	if (memcmp(a, b, bits / 8) != 0)
		return false;
	unsigned mask = bits % 8 ? 0xff00u >> bits % 8 & 0xff : 0;
	return !mask || (a[bits / 8] & mask) == (b[bits / 8] & mask);
}

const Davit__CoreNetwork *policy_network(const struct core *c, const char *name, struct err *e)
{
	for (size_t i = 0; i < c->config->n_networks; i++)
		if (str_eq(c->config->networks[i]->name, name))
			return c->config->networks[i];
	err_set(e, ERR_NOT_FOUND, 0, "this host has no network %.64s", name);
	err_remedy(e, "the host's administrator can add it to \"networks\" of davitd's configuration");
	return NULL;
}

int policy_check_network(const struct core *c, const Davit__CoreNetwork *n, struct err *e)
{
	const Davit__CoreNetwork *known = policy_network(c, n->name, e);
	if (!known)
		return -1;
	auto_buf struct buf a = { 0 }, b = { 0 };
	if (pb_pack(&n->base, &a, e) < 0 || pb_pack(&known->base, &b, e) < 0)
		return -1;
	if (a.len != b.len || memcmp(a.data, b.data, a.len) != 0)
		return err_set(e, ERR_DENIED, 0, "network %s is not as davitd's configuration has it", n->name);
	return 0;
}

static int check_address(const char *address, const char *subnet, const char *field, struct err *e)
{
	struct cidr a, net;
	if (!address)
		return 0;
	if (parse_cidr(address, &a) < 0)
		return err_field(e, field, "%.64s is no address with its prefix length", address);
	if (!subnet || parse_cidr(subnet, &net) < 0)
		return err_field(e, field, "the network has no subnet of this family");
	if (a.family != net.family || a.bits != net.bits || !same_bits(a.address, net.address, net.bits))
		return err_field(e, field, "%s lies outside the network's subnet %s", address, subnet);
	return 0;
}

static int check_gateway(const char *gateway, const char *field, struct err *e)
{
	struct cidr a;
	return gateway && parse_address(gateway, &a) < 0 ? err_field(e, field, "%.64s is no address", gateway) : 0;
}

/* Locally administered and no group address, so that no real machine's can be taken. */
static int check_mac(const char *mac, const char *field, struct err *e)
{
	unsigned b[6];
	int end = 0;
	if (!mac)
		return 0;
	if (sscanf(mac, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) != 6 || mac[end])
		return err_field(e, field, "%.32s is no MAC address", mac);
	if ((b[0] & 3) != 2)
		return err_field(e, field, "%s is not locally administered (02:…)", mac);
	return 0;
}

static int check_port(const struct core *c, const Davit__Port *p, const char *field, struct err *e)
{
	struct cidr a;
	if (p->host_port < 1 || p->host_port > 65535 || p->container_port < 1 || p->container_port > 65535)
		return err_field(e, field, "a port must be 1 to 65535");
	if (p->host_port < 1024 && !c->policy->privileged_ports)
		return policy_deny(e, field, "privilegedPorts", "host port %u is not allowed", p->host_port);
	if (p->protocol && !str_eq(p->protocol, "tcp") && !str_eq(p->protocol, "udp"))
		return err_field(e, field, "protocol must be tcp or udp");
	return p->host_ip && parse_address(p->host_ip, &a) < 0 ? err_field(e, field, "%.64s is no address", p->host_ip) : 0;
}

static int check_interface(const char *name, const char *field, struct err *e)
{
	if (!name)
		return 0;
	size_t n = strlen(name);
	bool plain = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == n;
	if (n == 0 || n > 15 || !plain || name[0] == '.' || str_eq(name, "lo"))
		return err_field(e, field, "%.32s is no name for an interface", name);
	return 0;
}

static int check_attachment(const struct core *c, const Davit__NetworkAttachment *a, size_t i, struct err *e)
{
	const Davit__CoreNetwork *net = policy_network(c, a->network, e);
#define AT(member) policy_field_at("attachments", i, member).s
	if (!net || check_interface(a->interface, AT("interface"), e) < 0 || check_mac(a->mac, AT("mac"), e) < 0)
		return -1;
	if (!a->address && !a->address6)
		return err_field(e, AT("address"), "is missing");
	if (check_address(a->address, net->subnet, AT("address"), e) < 0 || check_address(a->address6, net->subnet6, AT("address6"), e) < 0)
		return -1;
	if (check_gateway(a->gateway, AT("gateway"), e) < 0 || check_gateway(a->gateway6, AT("gateway6"), e) < 0)
		return -1;
	if (a->has_mtu && (a->mtu < 576 || a->mtu > 65535))
		return err_field(e, AT("mtu"), "must be 576 to 65535");
	if (a->n_ports > limits_of_list(a->base.descriptor, "ports"))
		return err_set(e, ERR_LIMIT, 0, "at most %zu ports can be published", limits_of_list(a->base.descriptor, "ports"));
	for (size_t k = 0; k < a->n_ports; k++)
		if (check_port(c, a->ports[k], AT("ports"), e) < 0)
			return -1;
#undef AT
	return 0;
}

int policy_check_networks(const struct core *c, const Davit__ContainerSpec *s, struct err *e)
{
	const char *mode = s->network_mode ? s->network_mode : "none";
	bool bridge = str_eq(mode, "bridge");
	if (!bridge && !str_eq(mode, "none") && !str_eq(mode, "host"))
		return err_field(e, "networkMode", "must be none, bridge or host");
	if (str_eq(mode, "host") && !c->policy->host_network)
		return policy_deny(e, "networkMode", "hostNetwork", "the host's network is not allowed");
	if (bridge != (s->n_attachments > 0))
		return err_field(e, "attachments", "%s", bridge ? "is missing" : "goes with networkMode bridge only");
	for (size_t i = 0; i < s->n_attachments; i++)
		if (check_attachment(c, s->attachments[i], i, e) < 0)
			return -1;
	return 0;
}

struct others {
	const struct core *core;
	const Davit__ContainerSpec *spec;
	const Davit__IdRange *ids;
	size_t count;
};

static bool address_shared(const Davit__ContainerSpec *a, const Davit__ContainerSpec *b, const char **which)
{
	for (size_t i = 0; i < a->n_attachments; i++)
		for (size_t k = 0; k < b->n_attachments; k++) {
			const Davit__NetworkAttachment *x = a->attachments[i], *y = b->attachments[k];
			if (!str_eq(x->network, y->network))
				continue;
			*which = x->address && str_eq(x->address, y->address)	   ? x->address
				 : x->address6 && str_eq(x->address6, y->address6) ? x->address6
										   : NULL;
			if (*which)
				return true;
		}
	return false;
}

static int check_other(void *arg, const char *name, struct err *e)
{
	struct others *o = arg;
	auto_place p = { 0 };
	if (str_eq(name, o->spec->name))
		return 0;
	if (place_of(o->core, name, &p, e) < 0)
		return -1;
	auto_pb(Davit__ContainerRecord) *r = record_load(&p, NULL);
	auto_pb(Davit__ContainerSpec) *s = record_spec(&p, NULL);
	if (!r || !s)
		return 0; /* a kept layer, or being removed */
	const char *address = NULL;
	o->count++;
	if (r->ids && r->ids->host_start == o->ids->host_start)
		return err_set(e, ERR_EXISTS, 0, "ids from %u belong to container %s", o->ids->host_start, name);
	if (address_shared(o->spec, s, &address))
		return err_set(e, ERR_EXISTS, 0, "address %s belongs to container %s", address, name);
	return 0;
}

int policy_check_others(const struct core *c, const Davit__ContainerSpec *s, const Davit__IdRange *ids, struct err *e)
{
	struct others o = { .core = c, .spec = s, .ids = ids };
	size_t max = c->policy->has_max_containers ? c->policy->max_containers : 1000;
	if (record_each(c, check_other, &o, e) < 0)
		return -1;
	if (o.count >= max)
		return err_set(e, ERR_LIMIT, 0, "this host has %zu containers; the policy allows %zu", o.count, max);
	return 0;
}
