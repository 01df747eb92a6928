/* Packet rules of the host. Sources: libnftables(3), nft(8).
 *
 * One table "davit" in each family. Published ports are elements of maps, not rules, so that a packet's cost does not grow with their number and a
 * container's ports come and go as elements: {tcp,udp}_any (port → container), {tcp,udp}_at (host address . port → container).
 * Networks that are masqueraded are elements of the set `nat`. Packets of connections that another host translates towards here (conntrack.h) only
 * cross the bridge: where the bridge calls these hooks (br_netfilter) they are not tracked, or they would be taken for a second connection with the
 * same answers. Connections of the host itself to its loopback address reach published ports too: that takes route_localnet on the bridge, so packets
 * from outside to 127/8 are dropped before routing. */
#include "runtime/net/nft.h"
#include <arpa/inet.h>
#include <errno.h>
#include <nftables/libnftables.h>
#include <string.h>
#include "base/mem.h"
#include "base/str.h"
#include "runtime/lazy.h"

struct family {
	const char *name, *type, *loopback;
};
static const struct family families[] = {
	{ "ip", "ipv4_addr", "127.0.0.0/8" },
	{ "ip6", "ipv6_addr", "::1" },
};

/* libnftables, loaded with the first rule: most containers publish no port (runtime/lazy.h). */
static struct {
	__typeof__(nft_ctx_new) *new;
	__typeof__(nft_ctx_free) *free;
	__typeof__(nft_ctx_buffer_error) *buffer_error;
	__typeof__(nft_ctx_buffer_output) *buffer_output;
	__typeof__(nft_ctx_output_set_flags) *set_flags;
	__typeof__(nft_ctx_get_output_buffer) *output_buffer;
	__typeof__(nft_ctx_get_error_buffer) *error_buffer;
	__typeof__(nft_run_cmd_from_buffer) *run;
} nft_api;
static const struct lazy_function functions[] = {
	{ "nft_ctx_new", &nft_api.new },
	{ "nft_ctx_free", &nft_api.free },
	{ "nft_ctx_buffer_error", &nft_api.buffer_error },
	{ "nft_ctx_buffer_output", &nft_api.buffer_output },
	{ "nft_ctx_output_set_flags", &nft_api.set_flags },
	{ "nft_ctx_get_output_buffer", &nft_api.output_buffer },
	{ "nft_ctx_get_error_buffer", &nft_api.error_buffer },
	{ "nft_run_cmd_from_buffer", &nft_api.run },
};

/* Runs a script; out (may be NULL) gets what it lists. */
static int run(const struct buf *script, struct buf *out, struct err *e)
{
	if (lazy_load("libnftables.so.1", functions, ARRAY_LEN(functions), e) < 0)
		return -1;
	struct nft_ctx *nft = nft_api.new(NFT_CTX_DEFAULT);
	if (!nft)
		return err_set(e, ERR_RESOURCE, ENOMEM, "nftables");
	nft_api.buffer_error(nft);
	nft_api.buffer_output(nft);
	nft_api.set_flags(nft, NFT_CTX_OUTPUT_NUMERIC_ALL);
	int rc = nft_api.run(nft, script->data);
	if (rc) {
		const char *text = nft_api.error_buffer(nft);
		/* A key that is there with another value is told as busy by newer kernels. */
		bool exists = strstr(text, "File exists") || strstr(text, "resource busy"),
		     missing = strstr(text, "No such file") || strstr(text, "does not exist");
		err_set(e, exists ? ERR_EXISTS : missing ? ERR_NOT_FOUND : ERR_INTERNAL, 0, "nftables: %.*s", (int)strcspn(text, "\n"), text);
	} else if (out && buf_puts(out, nft_api.output_buffer(nft), e) < 0) {
		rc = -1;
	}
	nft_api.free(nft);
	return rc ? -1 : 0;
}

static const char *const base_rules = "add table %1$s davit\n"
				      "add set %1$s davit nat { type %2$s; flags interval; }\n"
				      "add map %1$s davit tcp_any { type inet_service : %2$s . inet_service; }\n"
				      "add map %1$s davit udp_any { type inet_service : %2$s . inet_service; }\n"
				      "add map %1$s davit tcp_at { type %2$s . inet_service : %2$s . inet_service; }\n"
				      "add map %1$s davit udp_at { type %2$s . inet_service : %2$s . inet_service; }\n"
				      "add set %1$s davit moved { type %2$s . inet_service . %2$s . inet_service; timeout 1d; }\n"
				      "add chain %1$s davit guard { type filter hook prerouting priority raw; }\n"
				      "add chain %1$s davit publish\n"
				      "add chain %1$s davit pre { type nat hook prerouting priority dstnat; }\n"
				      "add chain %1$s davit out { type nat hook output priority -100; }\n"
				      "add chain %1$s davit post { type nat hook postrouting priority srcnat; }\n"
				      "flush chain %1$s davit guard\n"
				      "flush chain %1$s davit publish\n"
				      "flush chain %1$s davit pre\n"
				      "flush chain %1$s davit out\n"
				      "flush chain %1$s davit post\n"
				      "add rule %1$s davit guard iifname != \"lo\" %1$s daddr %3$s drop\n"
				      "add rule %1$s davit guard meta l4proto { tcp, udp } "
				      "%1$s saddr . th sport . %1$s daddr . th dport @moved notrack\n"
				      "add rule %1$s davit publish dnat %1$s addr . port to %1$s daddr . tcp dport map @tcp_at\n"
				      "add rule %1$s davit publish dnat %1$s addr . port to %1$s daddr . udp dport map @udp_at\n"
				      "add rule %1$s davit publish dnat %1$s addr . port to tcp dport map @tcp_any\n"
				      "add rule %1$s davit publish dnat %1$s addr . port to udp dport map @udp_any\n"
				      "add rule %1$s davit pre fib daddr type local jump publish\n"
				      "add rule %1$s davit out fib daddr type local jump publish\n"
				      "add rule %1$s davit post %1$s saddr @nat %1$s daddr != @nat masquerade\n"
				      "add rule %1$s davit post %1$s saddr %3$s oifname != \"lo\" masquerade\n"
				      /* A container that reaches another of its network by a published port: answers must come back through here. */
				      "add rule %1$s davit post ct status dnat %1$s saddr @nat %1$s daddr @nat masquerade\n";

static int base(struct buf *b, const struct family *f, struct err *e)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	return buf_printf(b, e, base_rules, f->name, f->type, f->loopback);
#pragma GCC diagnostic pop
}

static int nat_element(const Davit__CoreNetwork *net, const char *verb, struct err *e)
{
	const char *subnets[] = { net->subnet, net->subnet6 };
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		if (!subnets[i])
			continue;
		auto_buf struct buf b = { 0 };
		if (base(&b, &families[i], e) < 0 || buf_printf(&b, e, "%s element %s davit nat { %s }\n", verb, families[i].name, subnets[i]) < 0 ||
		    run(&b, NULL, e) < 0)
			return err_prefix(e, "NAT of network %s", net->name);
	}
	return 0;
}

int nft_masquerade(const Davit__CoreNetwork *net, struct err *e)
{
	return nat_element(net, "add", e);
}

int nft_unmasquerade(const Davit__CoreNetwork *net, struct err *e)
{
	struct err own;
	err_clear(&own);
	if (nat_element(net, "delete", &own) == 0 || own.code == ERR_NOT_FOUND)
		return 0;
	if (e)
		*e = own;
	return -1;
}

/* "name { key : address . port }" of one port; `at`: host address or NULL. Key alone when deleting. */
static int port_element(struct buf *b, const struct family *f, const char *verb, const Davit__Port *p, const char *address, struct err *e)
{
	const char *proto = p->protocol ? p->protocol : "tcp";
	if (buf_printf(b, e, "%s element %s davit %s_%s { ", verb, f->name, proto, p->host_ip ? "at" : "any") < 0)
		return -1;
	if (p->host_ip && buf_printf(b, e, "%s . ", p->host_ip) < 0)
		return -1;
	if (buf_printf(b, e, "%u", p->host_port) < 0)
		return -1;
	if (str_eq(verb, "add") && buf_printf(b, e, " : %s . %u", address, p->container_port) < 0)
		return -1;
	return buf_puts(b, " }\n", e);
}

/* The address without its prefix length. */
static void plain_address(const char *cidr, char out[INET6_ADDRSTRLEN])
{
	snprintf(out, INET6_ADDRSTRLEN, "%.*s", (int)strcspn(cidr, "/"), cidr);
}

static bool port_fits(const struct family *f, const Davit__Port *p)
{
	if (!p->host_ip)
		return true;
	return strchr(p->host_ip, ':') ? str_eq(f->name, "ip6") : str_eq(f->name, "ip");
}

static int check_port(const Davit__Port *p, struct err *e)
{
	uint8_t tmp[16];
	if (p->host_ip && inet_pton(AF_INET, p->host_ip, tmp) != 1 && inet_pton(AF_INET6, p->host_ip, tmp) != 1)
		return err_field(e, "ports.hostIp", "%s is no address", p->host_ip);
	if (p->protocol && !str_eq(p->protocol, "tcp") && !str_eq(p->protocol, "udp"))
		return err_field(e, "ports.protocol", "%s is neither tcp nor udp", p->protocol);
	if (!p->host_port || p->host_port > 65535)
		return err_field(e, "ports.hostPort", "%u is not in 1..65535", p->host_port);
	if (!p->container_port || p->container_port > 65535)
		return err_field(e, "ports.containerPort", "%u is not in 1..65535", p->container_port);
	return 0;
}

/* with_base: the table and its rules first. They are there since the first network was made, so this is done only where elements alone fail: it takes
 * most of the time, and a restored container's ports are published while it stands still. */
static int publish_family(const struct family *f, const Davit__NetworkAttachment *a, const char *cidr, bool with_base, struct err *e)
{
	char address[INET6_ADDRSTRLEN];
	struct err own;
	auto_buf struct buf b = { 0 };
	err_clear(&own);
	plain_address(cidr, address);
	if (with_base && base(&b, f, e) < 0)
		return -1;
	for (size_t i = 0; i < a->n_ports; i++)
		if (port_fits(f, a->ports[i]) && port_element(&b, f, "add", a->ports[i], address, e) < 0)
			return -1;
	if (!b.len || run(&b, NULL, &own) == 0)
		return 0;
	if (own.code == ERR_NOT_FOUND && !with_base)
		return publish_family(f, a, cidr, true, e);
	if (own.code == ERR_EXISTS)
		return err_set(e, ERR_EXISTS, 0, "one of the ports is published by another container");
	if (e)
		*e = own;
	return -1;
}

int nft_publish(const Davit__NetworkAttachment *a, struct err *e)
{
	const char *cidr[] = { a->address, a->address6 };
	if (!a->n_ports)
		return 0;
	for (size_t i = 0; i < a->n_ports; i++)
		if (check_port(a->ports[i], e) < 0)
			return -1;
	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		if (cidr[i] && publish_family(&families[i], a, cidr[i], false, e) < 0)
			return err_prefix(e, "publish ports of %s", cidr[i]);
	return 0;
}

/* Whether the port leads to this address: it may have become another container's. 1, 0, or -1. */
static int is_published(const struct family *f, const Davit__Port *p, const char *address, struct err *e)
{
	auto_buf struct buf script = { 0 }, found = { 0 };
	struct err own;
	err_clear(&own);
	auto_free char *value = mem_printf(e, ": %s . %u", address, p->container_port);
	if (!value || port_element(&script, f, "get", p, NULL, e) < 0)
		return -1;
	if (run(&script, &found, &own) == 0) {
		const char *at = found.data ? strstr(found.data, value) : NULL;
		return at && !strchr("0123456789", at[strlen(value)]);
	}
	if (own.code == ERR_NOT_FOUND)
		return 0;
	if (e)
		*e = own;
	return -1;
}

static int unpublish_port(const struct family *f, const Davit__Port *p, const char *cidr, struct err *e)
{
	char address[INET6_ADDRSTRLEN];
	auto_buf struct buf script = { 0 };
	plain_address(cidr, address);
	int published = port_fits(f, p) ? is_published(f, p, address, e) : 0;
	if (published <= 0)
		return published;
	return port_element(&script, f, "delete", p, NULL, e) < 0 ? -1 : run(&script, NULL, e);
}

int nft_unpublish(const Davit__NetworkAttachment *a, struct err *e)
{
	const char *cidr[] = { a->address, a->address6 };
	int worst = 0;
	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		for (size_t j = 0; cidr[i] && j < a->n_ports; j++)
			if (unpublish_port(&families[i], a->ports[j], cidr[i], e) < 0)
				worst = err_prefix(e, "unpublish ports of %s", cidr[i]);
	return worst;
}

int nft_moved(const char *elements, bool v6, struct err *e)
{
	const struct family *f = &families[v6];
	struct err own;
	auto_buf struct buf b = { 0 };
	err_clear(&own);
	if (buf_printf(&b, e, "add element %s davit moved { %s }\n", f->name, elements) < 0)
		return -1;
	if (run(&b, NULL, &own) == 0)
		return 0;
	auto_buf struct buf whole = { 0 };
	if (base(&whole, f, e) < 0 || buf_append(&whole, b.data, b.len, e) < 0)
		return -1;
	return run(&whole, NULL, e);
}

int nft_save(struct buf *out, struct err *e)
{
	auto_buf struct buf script = { 0 };
	if (buf_puts(&script, "list ruleset\n", e) < 0 || run(&script, out, e) < 0)
		return -1;
	if (out->len && (strstr(out->data, "xt match \"") || strstr(out->data, "xt target \"")))
		return err_set(e, ERR_UNSUPPORTED, 0, "rules of iptables' compatibility layer");
	return 0;
}

/* A script can also read files. */
static bool includes(const char *script)
{
	for (const char *line = script; line; line = strchr(line, '\n')) {
		line += strspn(line, " \t\n;{}");
		if (str_prefix(line, "include"))
			return true;
	}
	return false;
}

int nft_load(const char *script, struct err *e)
{
	auto_buf struct buf whole = { 0 };
	if (includes(script))
		return err_set(e, ERR_INVALID, 0, "a ruleset that includes files");
	return buf_printf(&whole, e, "flush ruleset\n%s", script) < 0 ? -1 : run(&whole, NULL, e);
}
