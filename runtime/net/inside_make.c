/* Making what inside_link.c has read, in a namespace that has its attachments already: what is there and was not is removed, what was and is not is
 * added. A route may need another before it (a gateway that is reached by a route), so those that fail are tried again as long as one of them
 * succeeds. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <string.h>
#include "base/str.h"
#include "proto/pb.h"
#include "runtime/net/inside_private.h"

struct make {
	struct nl_sock *sk;
	const Davit__NetworkInside *in;	 /* as it was */
	Davit__NetworkInside *now;	 /* as it is here */
	const Davit__RuntimeNetwork *to; /* attachments here, or NULL */
	bool same;			 /* the attachments have their addresses */
	struct err *e;
};

static bool attachments_same(const Davit__NetworkInside *in, const Davit__RuntimeNetwork *to)
{
	if (in->n_attachments != (to ? to->n_attachments : 0))
		return false;
	for (size_t i = 0; i < in->n_attachments; i++) {
		const Davit__NetworkAttachment *a = in->attachments[i], *b = to->attachments[i];
		if (!str_eq(a->interface, b->interface) || !str_eq(a->address, b->address) || !str_eq(a->address6, b->address6))
			return false;
	}
	return true;
}

static int make_link(struct make *m, const Davit__InsideLink *l)
{
	auto_link struct rtnl_link *link = rtnl_link_alloc();
	struct nl_addr *mac = NULL;
	int rc = link ? 0 : -NLE_NOMEM;
	if (rc == 0 && (!str_eq(l->kind, "dummy") || nl_addr_parse(l->mac ? l->mac : "", AF_LLC, &mac) < 0))
		rc = -NLE_INVAL;
	if (rc == 0) {
		rtnl_link_set_name(link, l->name);
		rtnl_link_set_type(link, l->kind);
		rtnl_link_set_addr(link, mac);
		rtnl_link_set_mtu(link, l->mtu);
		if (l->up)
			rtnl_link_set_flags(link, IFF_UP);
		rc = rtnl_link_add(m->sk, link, NLM_F_CREATE | NLM_F_EXCL);
	}
	nl_addr_put(mac);
	return rc < 0 ? nl_fail(m->e, rc, "make link %s", l->name) : 0;
}

static int change_link(struct make *m, const Davit__InsideLink *l)
{
	auto_link struct rtnl_link *link = nl_link(m->sk, l->name, m->e), *change = rtnl_link_alloc();
	bool down = link && !l->up && (rtnl_link_get_flags(link) & IFF_UP), mtu = link && l->has_mtu && rtnl_link_get_mtu(link) != l->mtu;
	if (!link || !change)
		return -1;
	if (!down && !mtu)
		return 0;
	if (mtu)
		rtnl_link_set_mtu(change, l->mtu);
	if (down)
		rtnl_link_unset_flags(change, IFF_UP);
	int rc = rtnl_link_change(m->sk, link, change, 0);
	return rc < 0 ? nl_fail(m->e, rc, "set link %s", l->name) : 0;
}

static int make_links(struct make *m)
{
	for (size_t i = 0; i < m->in->n_links; i++) {
		const Davit__InsideLink *l = m->in->links[i];
		if (l->kind ? make_link(m, l) < 0 : m->same && change_link(m, l) < 0)
			return -1;
	}
	return 0;
}

/* This namespace's index of an interface there. 0: it has none, or one whose addresses are others. */
static uint32_t index_here(const struct make *m, uint32_t index)
{
	const Davit__InsideLink *there = NULL;
	for (size_t i = 0; i < m->in->n_links; i++)
		if (m->in->links[i]->index == index)
			there = m->in->links[i];
	if (!there || (!m->same && !there->kind && !str_eq(there->name, "lo")))
		return 0;
	for (size_t i = 0; i < m->now->n_links; i++)
		if (str_eq(m->now->links[i]->name, there->name))
			return m->now->links[i]->index;
	return 0;
}

static bool put_index(const struct make *m, void *at)
{
	uint32_t index;
	memcpy(&index, at, sizeof(index));
	index = index_here(m, index);
	memcpy(at, &index, sizeof(index));
	return index != 0;
}

/* A gateway that was the source's bridge. */
static void put_gateway(const struct make *m, struct rtattr *a)
{
	size_t n = RTA_PAYLOAD(a);
	int family = n == 4 ? AF_INET : AF_INET6;
	for (size_t i = 0; m->to && i < m->in->n_attachments && i < m->to->n_attachments; i++) {
		const Davit__NetworkAttachment *from = m->in->attachments[i], *to = m->to->attachments[i];
		const char *old = n == 4 ? from->gateway : from->gateway6, *new = n == 4 ? to->gateway : to->gateway6;
		uint8_t was[16], is[16];
		if (!old || !new || inet_pton(family, old, was) != 1 || inet_pton(family, new, is) != 1 || memcmp(RTA_DATA(a), was, n) != 0)
			continue;
		memcpy(RTA_DATA(a), is, n);
		return;
	}
}

static bool put_hops(const struct make *m, struct rtattr *a)
{
	int left = (int)RTA_PAYLOAD(a);
	for (struct rtnexthop *h = RTA_DATA(a); RTNH_OK(h, left); left -= (int)RTNH_ALIGN(h->rtnh_len), h = RTNH_NEXT(h)) {
		int rest = h->rtnh_len - (int)RTNH_LENGTH(0);
		h->rtnh_flags &= RTNH_F_ONLINK;
		if (!put_index(m, &h->rtnh_ifindex))
			return false;
		for (struct rtattr *x = RTNH_DATA(h); RTA_OK(x, rest); x = RTA_NEXT(x, rest))
			if (x->rta_type == RTA_GATEWAY)
				put_gateway(m, x);
	}
	return true;
}

static bool put_route(const struct make *m, struct buf *b)
{
	struct rtmsg *head = (struct rtmsg *)b->data;
	int left = (int)(b->len - sizeof(*head));
	head->rtm_flags &= RTNH_F_ONLINK;
	for (struct rtattr *a = (struct rtattr *)(b->data + sizeof(*head)); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if ((a->rta_type == RTA_OIF && !put_index(m, RTA_DATA(a))) || (a->rta_type == RTA_MULTIPATH && !put_hops(m, a)))
			return false;
		if (a->rta_type == RTA_GATEWAY && (RTA_PAYLOAD(a) == 4 || RTA_PAYLOAD(a) == 16))
			put_gateway(m, a);
	}
	return true;
}

/* As it would be told here. 1, 0: not to be made here, -1. */
static int translate(const struct make *m, const struct inside_object *o, const ProtobufCBinaryData *from, struct buf *out)
{
	int kept = inside_copy_kept(o, from->data, from->len, out, m->e);
	if (kept <= 0)
		return kept < 0 ? -1 : err_set(m->e, ERR_INVALID, 0, "a %s of the container's network that is none", o->what);
	if (o == &inside_addresses)
		return put_index(m, &((struct ifaddrmsg *)out->data)->ifa_index);
	return o == &inside_routes ? put_route(m, out) : 1;
}

static int send_object(struct make *m, int type, int flags, const struct buf *b)
{
	int rc = nl_send_simple(m->sk, type, flags, b->data, b->len);
	return rc < 0 ? rc : nl_wait_for_ack(m->sk);
}

struct objects {
	const struct inside_object *o;
	size_t n_was, n_now;
	const ProtobufCBinaryData *was, *now;
};

static bool equals(const struct buf *b, const ProtobufCBinaryData *d)
{
	return b->len == d->len && memcmp(b->data, d->data, b->len) == 0;
}

/* Those that are here and were not there. */
static int remove_others(struct make *m, const struct objects *x, const struct buf *wanted)
{
	for (size_t i = 0; i < x->n_now; i++) {
		bool stays = false;
		for (size_t k = 0; k < x->n_was && !stays; k++)
			stays = equals(&wanted[k], &x->now[i]);
		const struct buf b = { .data = (char *)x->now[i].data, .len = x->now[i].len };
		int rc = stays ? 0 : send_object(m, x->o->new + 1, 0, &b);
		if (rc < 0 && rc != -NLE_OBJ_NOTFOUND && rc != -NLE_NOADDR && rc != -NLE_RANGE)
			return nl_fail(m->e, rc, "remove a %s that the container had not", x->o->what);
	}
	return 0;
}

static int flags_of(const struct inside_object *o, struct buf *b)
{
	const struct rtmsg *head = (const struct rtmsg *)b->data;
	if (o == &inside_addresses && ((struct ifaddrmsg *)b->data)->ifa_family == AF_INET6)
		((struct ifaddrmsg *)b->data)->ifa_flags |= IFA_F_NODAD;
	return NLM_F_CREATE | (o == &inside_rules ? NLM_F_EXCL : o == &inside_routes && head->rtm_family == AF_INET ? NLM_F_APPEND : 0);
}

static int add_missing(struct make *m, const struct objects *x, struct buf *wanted)
{
	int rc = 0;
	for (size_t added = 1, failed = 1; added && failed;) {
		added = failed = 0;
		for (size_t i = 0; i < x->n_was; i++) {
			if (!wanted[i].len)
				continue;
			int one = send_object(m, x->o->new, flags_of(x->o, &wanted[i]), &wanted[i]);
			if (one < 0 && one != -NLE_EXIST) {
				failed++;
				rc = one;
				continue;
			}
			added++;
			wanted[i].len = 0;
		}
		if (failed && !added)
			return nl_fail(m->e, rc, "add a %s of the container's", x->o->what);
	}
	return 0;
}

static int make_objects(struct make *m, const struct objects *x, struct buf *wanted)
{
	for (size_t i = 0; i < x->n_was; i++) {
		int told = translate(m, x->o, &x->was[i], &wanted[i]);
		if (told < 0)
			return -1;
		if (told == 0)
			wanted[i].len = 0;
	}
	/* Where addresses are others, what is here stays as well. */
	if ((m->same || x->o == &inside_rules) && remove_others(m, x, wanted) < 0)
		return -1;
	for (size_t i = 0; i < x->n_was; i++)
		for (size_t k = 0; k < x->n_now && wanted[i].len; k++)
			if (equals(&wanted[i], &x->now[k]))
				wanted[i].len = 0;
	return add_missing(m, x, wanted);
}

static int make_all(struct make *m, const struct objects *x)
{
	struct buf *wanted = x->n_was ? mem_new(x->n_was, sizeof(*wanted), m->e) : NULL;
	if (x->n_was && !wanted)
		return -1;
	int rc = make_objects(m, x, wanted);
	for (size_t i = 0; i < x->n_was; i++)
		buf_free(&wanted[i]);
	free(wanted);
	return rc;
}

int inside_link_write(const Davit__NetworkInside *in, const Davit__RuntimeNetwork *n, struct err *e)
{
	auto_nl struct nl_sock *sk = nl_open(-1, e);
	auto_pb(Davit__NetworkInside) *now = pb_new(&davit__network_inside__descriptor, e);
	struct make m = { .sk = sk, .in = in, .now = now, .to = n, .same = attachments_same(in, n), .e = e };
	if (!sk || !now || make_links(&m) < 0)
		return -1;
	now->n_attachments = n ? n->n_attachments : 0;
	now->attachments = n ? n->attachments : NULL;
	int rc = inside_link_read(now, e);
	now->n_attachments = 0; /* borrowed */
	now->attachments = NULL;
	if (rc < 0)
		return -1;
	const struct objects all[] = { { &inside_addresses, in->n_addresses, now->n_addresses, in->addresses, now->addresses },
				       { &inside_routes, in->n_routes, now->n_routes, in->routes, now->routes },
				       { &inside_rules, in->n_rules, now->n_rules, in->rules, now->rules } };
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (make_all(&m, &all[i]) < 0)
			return -1;
	return 0;
}
