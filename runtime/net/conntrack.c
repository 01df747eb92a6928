/* See conntrack.h. Sources: kernel net/netfilter/nf_conntrack_netlink.c, include/uapi/linux/netfilter/nfnetlink_conntrack.h. A new entry's reply
 * tuple is the original one turned round; CTA_NAT_DST and CTA_NAT_SRC then change it, as a rule would have. */
#include "runtime/net/conntrack.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "proto/pb.h"
#include "runtime/net/nft.h"
#include "runtime/net/nl.h"

#define TYPE(message) (NFNL_SUBSYS_CTNETLINK << 8 | (message))

struct side {
	uint8_t ip[16];
	uint16_t port; /* network's order */
};
struct tuple {
	struct side src, dst;
	uint8_t protocol;
};

static size_t ip_size(int family)
{
	return family == AF_INET ? 4 : 16;
}

static bool same(int family, const struct side *a, const struct side *b)
{
	return a->port == b->port && !memcmp(a->ip, b->ip, ip_size(family));
}

static bool take_ip(struct nlattr *a, int family, uint8_t out[16])
{
	if (!a || nla_len(a) != (int)ip_size(family))
		return false;
	memcpy(out, nla_data(a), ip_size(family));
	return true;
}

static bool parse_tuple(struct nlattr *attribute, int family, struct tuple *t)
{
	struct nlattr *tb[CTA_TUPLE_MAX + 1], *ip[CTA_IP_MAX + 1], *proto[CTA_PROTO_MAX + 1];
	bool v4 = family == AF_INET;
	if (!attribute || nla_parse_nested(tb, CTA_TUPLE_MAX, attribute, NULL) < 0 || !tb[CTA_TUPLE_IP] || !tb[CTA_TUPLE_PROTO] ||
	    nla_parse_nested(ip, CTA_IP_MAX, tb[CTA_TUPLE_IP], NULL) < 0 || nla_parse_nested(proto, CTA_PROTO_MAX, tb[CTA_TUPLE_PROTO], NULL) < 0)
		return false;
	if (!take_ip(ip[v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC], family, t->src.ip) ||
	    !take_ip(ip[v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST], family, t->dst.ip))
		return false;
	if (!proto[CTA_PROTO_NUM] || !proto[CTA_PROTO_SRC_PORT] || !proto[CTA_PROTO_DST_PORT])
		return false;
	t->protocol = nla_get_u8(proto[CTA_PROTO_NUM]);
	t->src.port = nla_get_u16(proto[CTA_PROTO_SRC_PORT]);
	t->dst.port = nla_get_u16(proto[CTA_PROTO_DST_PORT]);
	return t->protocol == IPPROTO_TCP || t->protocol == IPPROTO_UDP;
}

/* Whether it is an address of the container. */
static bool is_own(const Davit__RuntimeNetwork *n, int family, const struct side *s)
{
	for (size_t i = 0; i < n->n_attachments; i++) {
		const char *cidr = family == AF_INET ? n->attachments[i]->address : n->attachments[i]->address6;
		char plain[INET6_ADDRSTRLEN];
		uint8_t ip[16];
		snprintf(plain, sizeof(plain), "%.*s", cidr ? (int)strcspn(cidr, "/") : 0, cidr ? cidr : "");
		if (inet_pton(family, plain, ip) == 1 && !memcmp(ip, s->ip, ip_size(family)))
			return true;
	}
	return false;
}

static int put_side(ProtobufCBinaryData *ip, uint32_t *port, int family, const struct side *s, struct err *e)
{
	if (!(ip->data = mem_new(1, ip_size(family), e)))
		return -1;
	ip->len = ip_size(family);
	memcpy(ip->data, s->ip, ip->len);
	*port = ntohs(s->port);
	return 0;
}

static bool get_side(const ProtobufCBinaryData *ip, uint32_t port, int family, struct side *s)
{
	if (ip->len != ip_size(family) || port > UINT16_MAX)
		return false;
	memcpy(s->ip, ip->data, ip->len);
	s->port = htons((uint16_t)port);
	return true;
}

struct listing {
	const Davit__RuntimeNetwork *network;
	size_t *count;
	Davit__Connection ***list;
	struct err *e;
	bool failed;
};

static uint8_t tcp_state(struct nlattr *info)
{
	struct nlattr *tb[CTA_PROTOINFO_MAX + 1], *tcp[CTA_PROTOINFO_TCP_MAX + 1];
	if (!info || nla_parse_nested(tb, CTA_PROTOINFO_MAX, info, NULL) < 0 || !tb[CTA_PROTOINFO_TCP] ||
	    nla_parse_nested(tcp, CTA_PROTOINFO_TCP_MAX, tb[CTA_PROTOINFO_TCP], NULL) < 0 || !tcp[CTA_PROTOINFO_TCP_STATE])
		return 0;
	return nla_get_u8(tcp[CTA_PROTOINFO_TCP_STATE]);
}

static int keep(struct listing *l, int family, const struct tuple *o, const struct tuple *r, struct nlattr **tb)
{
	auto_pb(Davit__Connection) *c = pb_new(&davit__connection__descriptor, l->e);
	if (!c || put_side(&c->source, &c->source_port, family, &o->src, l->e) < 0 ||
	    put_side(&c->target, &c->target_port, family, &o->dst, l->e) < 0 ||
	    put_side(&c->reply_source, &c->reply_source_port, family, &r->src, l->e) < 0 ||
	    put_side(&c->reply_target, &c->reply_target_port, family, &r->dst, l->e) < 0)
		return -1;
	c->family = family == AF_INET ? 4 : 6;
	c->protocol = o->protocol;
	c->has_timeout = tb[CTA_TIMEOUT] != NULL;
	c->timeout = c->has_timeout ? ntohl(nla_get_u32(tb[CTA_TIMEOUT])) : 0;
	c->has_tcp_state = o->protocol == IPPROTO_TCP;
	c->tcp_state = tcp_state(tb[CTA_PROTOINFO]);
	return pb_push(l->count, l->list, steal_ptr(&c), l->e);
}

static int on_entry(struct nl_msg *m, void *arg)
{
	struct listing *l = arg;
	struct nlattr *tb[CTA_MAX + 1];
	struct tuple o = { 0 }, r = { 0 };
	const struct nfgenmsg *head = nlmsg_data(nlmsg_hdr(m));
	int family = head->nfgen_family;
	if ((family != AF_INET && family != AF_INET6) || *l->count >= CONNECTIONS_MAX ||
	    nlmsg_parse(nlmsg_hdr(m), sizeof(*head), tb, CTA_MAX, NULL) < 0)
		return NL_OK;
	if (!parse_tuple(tb[CTA_TUPLE_ORIG], family, &o) || !parse_tuple(tb[CTA_TUPLE_REPLY], family, &r))
		return NL_OK;
	if ((is_own(l->network, family, &o.src) || is_own(l->network, family, &r.src)) && keep(l, family, &o, &r, tb) < 0)
		l->failed = true;
	return NL_OK;
}

static struct nl_sock *open_table(struct err *e)
{
	auto_nl struct nl_sock *sk = nl_socket_alloc();
	int rc = sk ? nl_connect(sk, NETLINK_NETFILTER) : -NLE_NOMEM;
	if (rc < 0) {
		nl_fail(e, rc, "the table of connections");
		return NULL;
	}
	return steal_ptr(&sk);
}

static struct nl_msg *message(int type, int flags, int family)
{
	struct nl_msg *m = nlmsg_alloc();
	struct nfgenmsg head = { .nfgen_family = (uint8_t)family, .version = NFNETLINK_V0 };
	if (m && (!nlmsg_put(m, NL_AUTO_PORT, NL_AUTO_SEQ, TYPE(type), 0, flags) || nlmsg_append(m, &head, sizeof(head), NLMSG_ALIGNTO) < 0)) {
		nlmsg_free(m);
		return NULL;
	}
	return m;
}

static void put_tuple(struct nl_msg *m, int attribute, int family, uint8_t protocol, const struct side *src, const struct side *dst)
{
	bool v4 = family == AF_INET;
	struct nlattr *tuple = nla_nest_start(m, attribute | NLA_F_NESTED), *ip = nla_nest_start(m, CTA_TUPLE_IP | NLA_F_NESTED);
	nla_put(m, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, (int)ip_size(family), src->ip);
	nla_put(m, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, (int)ip_size(family), dst->ip);
	nla_nest_end(m, ip);
	struct nlattr *proto = nla_nest_start(m, CTA_TUPLE_PROTO | NLA_F_NESTED);
	nla_put_u8(m, CTA_PROTO_NUM, protocol);
	nla_put_u16(m, CTA_PROTO_SRC_PORT, src->port);
	nla_put_u16(m, CTA_PROTO_DST_PORT, dst->port);
	nla_nest_end(m, proto);
	nla_nest_end(m, tuple);
}

static void put_nat(struct nl_msg *m, int attribute, int family, const struct side *to)
{
	bool v4 = family == AF_INET;
	struct nlattr *nat = nla_nest_start(m, attribute | NLA_F_NESTED);
	nla_put(m, v4 ? CTA_NAT_V4_MINIP : CTA_NAT_V6_MINIP, (int)ip_size(family), to->ip);
	nla_put(m, v4 ? CTA_NAT_V4_MAXIP : CTA_NAT_V6_MAXIP, (int)ip_size(family), to->ip);
	struct nlattr *proto = nla_nest_start(m, CTA_NAT_PROTO | NLA_F_NESTED);
	nla_put_u16(m, CTA_PROTONAT_PORT_MIN, to->port);
	nla_put_u16(m, CTA_PROTONAT_PORT_MAX, to->port);
	nla_nest_end(m, proto);
	nla_nest_end(m, nat);
}

/* A TCP entry that takes what it sees, since it sees half. */
static void put_liberal(struct nl_msg *m, uint8_t state)
{
	const struct nf_ct_tcp_flags flags = { IP_CT_TCP_FLAG_BE_LIBERAL, IP_CT_TCP_FLAG_BE_LIBERAL };
	struct nlattr *info = nla_nest_start(m, CTA_PROTOINFO | NLA_F_NESTED), *tcp = nla_nest_start(m, CTA_PROTOINFO_TCP | NLA_F_NESTED);
	nla_put_u8(m, CTA_PROTOINFO_TCP_STATE, state);
	nla_put(m, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, sizeof(flags), &flags);
	nla_put(m, CTA_PROTOINFO_TCP_FLAGS_REPLY, sizeof(flags), &flags);
	nla_nest_end(m, tcp);
	nla_nest_end(m, info);
}

static int parse(const Davit__Connection *c, int *family, struct tuple *o, struct tuple *r)
{
	*family = c->family == 4 ? AF_INET : AF_INET6;
	o->protocol = r->protocol = (uint8_t)c->protocol;
	return (c->family == 4 || c->family == 6) && (c->protocol == IPPROTO_TCP || c->protocol == IPPROTO_UDP) && c->tcp_state < TCP_CONNTRACK_MAX &&
		       get_side(&c->source, c->source_port, *family, &o->src) && get_side(&c->target, c->target_port, *family, &o->dst) &&
		       get_side(&c->reply_source, c->reply_source_port, *family, &r->src) &&
		       get_side(&c->reply_target, c->reply_target_port, *family, &r->dst)
		   ? 0
		   : -1;
}

/* create: a new entry; else the one that is there becomes liberal. A libnl result. */
static int send_entry(struct nl_sock *sk, const Davit__Connection *c, bool create)
{
	struct tuple o = { 0 }, r = { 0 };
	int family;
	if (parse(c, &family, &o, &r) < 0)
		return -NLE_INVAL;
	struct nl_msg *m = message(IPCTNL_MSG_CT_NEW, NLM_F_ACK | (create ? NLM_F_CREATE | NLM_F_EXCL : 0), family);
	if (!m)
		return -NLE_NOMEM;
	put_tuple(m, CTA_TUPLE_ORIG, family, o.protocol, &o.src, &o.dst);
	if (create) {
		put_tuple(m, CTA_TUPLE_REPLY, family, o.protocol, &o.dst, &o.src);
		nla_put_u32(m, CTA_STATUS, htonl(IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED));
		nla_put_u32(m, CTA_TIMEOUT, htonl(c->timeout ? c->timeout : 60));
		if (!same(family, &r.src, &o.dst))
			put_nat(m, CTA_NAT_DST, family, &r.src);
		if (!same(family, &r.dst, &o.src))
			put_nat(m, CTA_NAT_SRC, family, &r.dst);
	}
	if (o.protocol == IPPROTO_TCP)
		put_liberal(m, (uint8_t)c->tcp_state);
	int rc = nl_send_auto(sk, m);
	nlmsg_free(m);
	return rc < 0 ? rc : nl_wait_for_ack(sk);
}

int conntrack_list(const Davit__RuntimeNetwork *n, size_t *count, Davit__Connection ***list, struct err *e)
{
	auto_nl struct nl_sock *sk = open_table(e);
	struct listing l = { n, count, list, e, false };
	struct nl_msg *m = sk ? message(IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC) : NULL;
	if (!m)
		return sk ? err_set(e, ERR_RESOURCE, ENOMEM, "the table of connections") : -1;
	nl_socket_modify_cb(sk, NL_CB_VALID, NL_CB_CUSTOM, on_entry, &l);
	int rc = nl_send_auto(sk, m);
	nlmsg_free(m);
	rc = rc < 0 ? rc : nl_recvmsgs_default(sk);
	if (rc < 0 || l.failed)
		return rc < 0 ? nl_fail(e, rc, "read the table of connections") : -1;
	for (size_t i = 0; i < *count; i++)
		if ((*list)[i]->protocol == IPPROTO_TCP)
			(void)send_entry(sk, (*list)[i], false); /* one that has ended meanwhile needs nothing */
	return 0;
}

/* Elements for nft_moved(), IPv4 and IPv6. */
struct crossing {
	struct buf family[2];
};
static void crossing_free(struct crossing *c)
{
	buf_free(&c->family[0]);
	buf_free(&c->family[1]);
}

/* "address . port . address . port" of the packets that the source's host sends on after it translated them. */
static int note_crossing(struct buf elements[2], const struct tuple *o, const struct tuple *r, int family, struct err *e)
{
	struct buf *b = &elements[family == AF_INET6];
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
	if (same(family, &r->src, &o->dst) && same(family, &r->dst, &o->src))
		return 0; /* nothing is translated */
	/* Whoever is not the container, as the container knows it. */
	bool published = !same(family, &r->src, &o->dst);
	const struct side *peer = published ? &o->src : &o->dst, *own = published ? &r->src : &o->src;
	inet_ntop(family, peer->ip, from, sizeof(from));
	inet_ntop(family, own->ip, to, sizeof(to));
	return buf_printf(b, e, "%s%s . %u . %s . %u", b->len ? ", " : "", from, ntohs(peer->port), to, ntohs(own->port));
}

int conntrack_add(const Davit__RuntimeNetwork *n, Davit__Connection *const *list, size_t count, struct err *e)
{
	if (!count)
		return 0;
	if (count > CONNECTIONS_MAX)
		return err_field(e, "connections", "more than %d", CONNECTIONS_MAX);
	auto_nl struct nl_sock *sk = open_table(e);
	auto_cleanup(crossing_free) struct crossing c = { 0 };
	for (size_t i = 0; sk && i < count; i++) {
		struct tuple o = { 0 }, r = { 0 };
		char field[40];
		int family;
		snprintf(field, sizeof(field), "connections[%zu]", i);
		if (parse(list[i], &family, &o, &r) < 0 || (!is_own(n, family, &o.src) && !is_own(n, family, &r.src)))
			return err_field(e, field, "is no connection of the container");
		int rc = send_entry(sk, list[i], true);
		if (note_crossing(c.family, &o, &r, family, e) < 0)
			return -1;
		if (rc < 0 && rc != -NLE_EXIST)
			log_warn("a connection's entry is not carried: %s", nl_geterror(rc));
	}
	for (size_t k = 0; sk && k < ARRAY_LEN(c.family); k++)
		if (c.family[k].len && nft_moved(c.family[k].data, k, e) < 0)
			return -1;
	return sk ? 0 : -1;
}
