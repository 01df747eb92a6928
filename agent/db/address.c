/* The table of addresses: (network, address) and (protocol, host address, host port) are unique keys, so a conflict is the database's to find. */
#include "agent/db/address.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

int subnet_parse(const char *text, struct subnet *out, uint32_t *address, const char *what, struct err *e)
{
	char ip[INET_ADDRSTRLEN];
	const char *slash = text ? strchr(text, '/') : NULL;
	struct in_addr in;
	uint64_t prefix;

	if (!slash || (size_t)(slash - text) >= sizeof(ip))
		return err_field(e, what, "not an IPv4 address with a prefix, such as 10.88.0.5/16");
	memcpy(ip, text, (size_t)(slash - text));
	ip[slash - text] = 0;
	if (inet_pton(AF_INET, ip, &in) != 1)
		return err_field(e, what, "%s is no IPv4 address", ip);
	if (str_to_u64(slash + 1, 1, 30, &prefix, what, e) < 0)
		return -1;
	out->prefix = (uint8_t)prefix;
	out->base = ntohl(in.s_addr) & ~(uint32_t)((1ULL << (32 - prefix)) - 1);
	if (address)
		*address = ntohl(in.s_addr);
	return 0;
}

bool subnet_has(const struct subnet *s, uint32_t address)
{
	return (address & ~(uint32_t)((1ULL << (32 - s->prefix)) - 1)) == s->base;
}

static const Davit__CoreNetwork *find_network(Davit__CoreNetwork *const *networks, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(networks[i]->name, name))
			return networks[i];
	return NULL;
}

static int is_taken(struct db *db, const char *network, const char *address, bool *taken, struct err *e)
{
	int64_t found = 0;

	if (db_query_int(db, e, &found, 0, "SELECT 1 FROM address WHERE network = ? AND address = ?", "ss", network, address) < 0)
		return -1;
	*taken = found != 0;
	return 0;
}

static void print_ip(uint32_t address, char out[INET_ADDRSTRLEN])
{
	struct in_addr in = { .s_addr = htonl(address) };

	inet_ntop(AF_INET, &in, out, INET_ADDRSTRLEN);
}

/* The first free address after a start that the container's id gives; the network's own, the broadcast and the gateway's stay free. */
static int pick(struct db *db, const Davit__CoreNetwork *net, const struct subnet *s, uint32_t gateway, const char *id, uint32_t *out, struct err *e)
{
	uint32_t hosts = (uint32_t)((1ULL << (32 - s->prefix)) - 2), start = 0;
	uint32_t tries = MIN(hosts, 65536u);
	char ip[INET_ADDRSTRLEN];

	for (const char *p = id; *p; p++)
		start = start * 31 + (uint8_t)*p;
	for (uint32_t i = 0; i < tries; i++) {
		uint32_t a = s->base + 1 + (start + i) % hosts;
		bool taken = a == gateway;

		print_ip(a, ip);
		if (!taken && is_taken(db, net->name, ip, &taken, e) < 0)
			return -1;
		if (!taken) {
			*out = a;
			return 0;
		}
	}
	return err_set(e, ERR_RESOURCE, 0, "network %s: no address of %s is free", net->name, net->subnet);
}

/* The IPv6 address beside an IPv4 one: the subnet's prefix with the IPv4 address as its last four bytes. */
static int make_address6(const char *subnet6, uint32_t v4, char **out, struct err *e)
{
	char ip[INET6_ADDRSTRLEN + 5];
	struct in6_addr in;
	uint32_t be = htonl(v4);
	char *slash;

	snprintf(ip, sizeof(ip), "%s", subnet6);
	slash = strchr(ip, '/');
	if (!slash)
		return err_field(e, "subnet6", "%s has no prefix length", subnet6);
	*slash = 0;
	if (inet_pton(AF_INET6, ip, &in) != 1)
		return err_field(e, "subnet6", "%s is no IPv6 subnet", subnet6);
	memcpy(in.s6_addr + 12, &be, 4);
	inet_ntop(AF_INET6, &in, ip, sizeof(ip));
	*out = mem_printf(e, "%s%s", ip, strchr(subnet6, '/'));
	return *out ? 0 : -1;
}

/* The address of one attachment: given ones are checked, else one is chosen. */
static int complete_address(struct db *db, const Davit__CoreNetwork *net, Davit__NetworkAttachment *a, const char *id, uint32_t *address,
			    struct err *e)
{
	struct subnet s, given;
	uint32_t gateway = 0;
	struct in_addr in;
	char ip[INET_ADDRSTRLEN];

	if (subnet_parse(net->subnet, &s, NULL, "subnet", e) < 0)
		return -1;
	if (net->gateway && inet_pton(AF_INET, net->gateway, &in) == 1)
		gateway = ntohl(in.s_addr);
	if (!a->address) {
		if (pick(db, net, &s, gateway, id, address, e) < 0)
			return -1;
		print_ip(*address, ip);
		a->address = mem_printf(e, "%s/%u", ip, s.prefix);
		return a->address ? 0 : -1;
	}
	/* an address alone is meant in the network's subnet */
	if (!strchr(a->address, '/')) {
		char *whole = mem_printf(e, "%s/%u", a->address, s.prefix);

		free(a->address);
		a->address = whole;
	}
	if (!a->address || subnet_parse(a->address, &given, address, "address", e) < 0)
		return -1;
	if (!subnet_has(&s, *address) || given.prefix != s.prefix)
		return err_field(e, "address", "%s is not in %s of network %s", a->address, net->subnet, net->name);
	if (*address == gateway || *address == s.base || *address == (s.base | (uint32_t)((1ULL << (32 - s.prefix)) - 1)))
		return err_field(e, "address", "%s is the network's, its gateway's or its broadcast address", a->address);
	return 0;
}

static int complete(struct db *db, const Davit__CoreNetwork *net, Davit__NetworkAttachment *a, size_t index, const char *id, struct err *e)
{
	uint32_t address = 0;

	if (complete_address(db, net, a, id, &address, e) < 0)
		return -1;
	if (!a->interface) {
		a->interface = mem_printf(e, "eth%zu", index);
		if (!a->interface)
			return -1;
	}
	if (!a->gateway && net->gateway && pb_set_str(&a->gateway, net->gateway, e) < 0)
		return -1;
	if (!a->address6 && net->subnet6 && make_address6(net->subnet6, address, &a->address6, e) < 0)
		return -1;
	if (!a->gateway6 && net->gateway6 && pb_set_str(&a->gateway6, net->gateway6, e) < 0)
		return -1;
	if (!a->mac) {
		a->mac = mem_printf(e, "02:da:%02x:%02x:%02x:%02x", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255);
		if (!a->mac)
			return -1;
	}
	return 0;
}

int db_address_choose(struct db *db, Davit__CoreNetwork *const *networks, size_t n, Davit__ContainerSpec *spec, const char *id, struct err *e)
{
	for (size_t i = 0; i < spec->n_attachments; i++) {
		Davit__NetworkAttachment *a = spec->attachments[i];
		const Davit__CoreNetwork *net = find_network(networks, n, a->network);
		char field[40];

		snprintf(field, sizeof(field), "spec.attachments[%zu]", i);
		if (!net) {
			err_set(e, ERR_NOT_FOUND, 0, "this host has no network %s", a->network);
			err_prefix_field(e, field);
			return err_remedy(e, "name one of the agent's configuration (networks)");
		}
		if (complete(db, net, a, i, id, e) < 0) {
			err_prefix_field(e, field);
			return -1;
		}
	}
	return 0;
}

int db_address_check_networks(Davit__CoreNetwork *const *networks, size_t n, const Davit__ContainerSpec *spec, struct err *e)
{
	for (size_t i = 0; i < spec->n_attachments; i++) {
		const Davit__NetworkAttachment *a = spec->attachments[i];
		const Davit__CoreNetwork *net = find_network(networks, n, a->network);
		struct subnet s, given;
		uint32_t address;

		if (!net)
			return err_set(e, ERR_INCOMPATIBLE, 0, "this host has no network %s", a->network);
		if (!a->address)
			continue;
		if (subnet_parse(net->subnet, &s, NULL, "subnet", e) < 0 || subnet_parse(a->address, &given, &address, "address", e) < 0)
			return -1;
		if (!subnet_has(&s, address))
			return err_set(e, ERR_INCOMPATIBLE, 0, "address %s is not in network %s of this host (%s)", a->address, net->name,
				       net->subnet);
	}
	return 0;
}

/* One row, with the name of who has it when it is taken. */
static int claim_address(struct db *db, const char *network, const char *cidr, const char *container, struct err *e)
{
	struct err inner = { 0 };
	char ip[INET6_ADDRSTRLEN];
	size_t n = strcspn(cidr, "/");

	if (n >= sizeof(ip))
		return err_field(e, "address", "%s is no address", cidr);
	memcpy(ip, cidr, n);
	ip[n] = 0;
	if (db_exec(db, &inner, "INSERT INTO address VALUES(?, ?, ?)", "sss", network, ip, container) >= 0)
		return 0;
	if (inner.code == ERR_EXISTS)
		return err_set(e, ERR_EXISTS, 0, "address %s of network %s is in use by another container", ip, network);
	if (e)
		*e = inner;
	return -1;
}

static int claim_port(struct db *db, const Davit__Port *p, const char *container, struct err *e)
{
	const char *ip = p->host_ip ? p->host_ip : "", *protocol = p->protocol ? p->protocol : "tcp";
	int64_t taken = 0;

	/* "all addresses" also conflicts with each single one. */
	if (db_query_int(db, e, &taken, 0, "SELECT 1 FROM port WHERE protocol = ? AND host_port = ? AND (host_ip = ? OR host_ip = '' OR ? = '')",
			 "siss", protocol, (int64_t)p->host_port, ip, ip) < 0)
		return -1;
	if (taken)
		return err_set(e, ERR_EXISTS, 0, "port %u/%s of this host is published by another container", p->host_port, protocol);
	return db_exec(db, e, "INSERT INTO port VALUES(?, ?, ?, ?)", "ssis", protocol, ip, (int64_t)p->host_port, container) < 0 ? -1 : 0;
}

int db_address_claim(struct db *db, const Davit__ContainerSpec *spec, struct err *e)
{
	for (size_t i = 0; i < spec->n_attachments; i++) {
		const Davit__NetworkAttachment *a = spec->attachments[i];

		if ((a->address && claim_address(db, a->network, a->address, spec->name, e) < 0) ||
		    (a->address6 && claim_address(db, a->network, a->address6, spec->name, e) < 0))
			return -1;
		for (size_t j = 0; j < a->n_ports; j++)
			if (claim_port(db, a->ports[j], spec->name, e) < 0)
				return -1;
	}
	return 0;
}

int db_address_release(struct db *db, const char *container, struct err *e)
{
	if (db_exec(db, e, "DELETE FROM address WHERE container = ?", "s", container) < 0)
		return -1;
	return db_exec(db, e, "DELETE FROM port WHERE container = ?", "s", container) < 0 ? -1 : 0;
}

static void forget(char **field)
{
	free(*field);
	*field = NULL;
}

void address_forget(Davit__ContainerSpec *spec)
{
	for (size_t i = 0; i < spec->n_attachments; i++) {
		Davit__NetworkAttachment *a = spec->attachments[i];

		forget(&a->address);
		forget(&a->address6);
		forget(&a->gateway);
		forget(&a->gateway6);
		forget(&a->mac);
		for (size_t j = 0; j < a->n_ports; j++)
			pb_freep(&a->ports[j]);
		free(a->ports);
		a->ports = NULL;
		a->n_ports = 0;
	}
}
