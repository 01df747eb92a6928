/* Addresses, routes and rules of a network namespace, as rtnetlink tells and takes them. Sources: rtnetlink(7), kernel net/core/rtnetlink.c,
 * net/ipv4/fib_frontend.c, net/ipv6/route.c, net/core/fib_rules.c.
 *
 * A message is kept as the kernel gave it, less its header, less every attribute that only tells a state; one with an attribute that is neither kept
 * nor known as such cannot be taken along. What is made is checked by the same tables, so nothing else gets to the kernel. The index of an interface
 * is another one on the target and is put in by its name; a route's gateway that was the source's bridge becomes the target's. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/route/addr.h>
#include <stdio.h>
#include <string.h>
#include "base/str.h"
#include "proto/pb.h"
#include "runtime/net/inside_private.h"
#include "runtime/net/nl.h"

#define OBJECTS_MAX 20000

#define BIT(n) (UINT64_C(1) << (n))
#define ATTRIBUTES 64
const struct inside_object inside_addresses = { "address",
						"network_address",
						RTM_GETADDR,
						RTM_NEWADDR,
						sizeof(struct ifaddrmsg),
						BIT(IFA_ADDRESS) | BIT(IFA_LOCAL) | BIT(IFA_LABEL) | BIT(IFA_BROADCAST) | BIT(IFA_FLAGS) |
						    BIT(IFA_RT_PRIORITY) | BIT(11 /* IFA_PROTO */),
						BIT(IFA_CACHEINFO) };
const struct inside_object inside_routes = { "route",
					     "network_route",
					     RTM_GETROUTE,
					     RTM_NEWROUTE,
					     sizeof(struct rtmsg),
					     BIT(RTA_DST) | BIT(RTA_SRC) | BIT(RTA_OIF) | BIT(RTA_GATEWAY) | BIT(RTA_VIA) | BIT(RTA_PRIORITY) |
						 BIT(RTA_PREFSRC) | BIT(RTA_METRICS) | BIT(RTA_FLOW) | BIT(RTA_TABLE) | BIT(RTA_PREF) |
						 BIT(RTA_MULTIPATH),
					     BIT(RTA_CACHEINFO) | BIT(RTA_EXPIRES) | BIT(RTA_PAD) };
const struct inside_object inside_rules = { "rule",
					    "network_rule",
					    RTM_GETRULE,
					    RTM_NEWRULE,
					    sizeof(struct fib_rule_hdr),
					    BIT(FRA_DST) | BIT(FRA_SRC) | BIT(FRA_IIFNAME) | BIT(FRA_OIFNAME) | BIT(FRA_GOTO) | BIT(FRA_PRIORITY) |
						BIT(FRA_FWMARK) | BIT(FRA_FWMASK) | BIT(FRA_FLOW) | BIT(FRA_SUPPRESS_IFGROUP) |
						BIT(FRA_SUPPRESS_PREFIXLEN) | BIT(FRA_TABLE) | BIT(FRA_L3MDEV) | BIT(FRA_UID_RANGE) |
						BIT(FRA_PROTOCOL) | BIT(FRA_IP_PROTO) | BIT(FRA_SPORT_RANGE) | BIT(FRA_DPORT_RANGE),
					    BIT(FRA_PAD) };

/* What a walk over one kind of object goes with. */
struct walk {
	struct nl_sock *sk;
	const struct inside_object *o;
	Davit__NetworkInside *in;
	size_t *n;
	ProtobufCBinaryData **list;
	bool (*wanted)(const struct walk *w, const void *head, struct rtattr *const *attributes);
	int rc;
	struct err *e;
};

static int push_bytes(struct walk *w, const struct buf *b)
{
	ProtobufCBinaryData *more = *w->n < OBJECTS_MAX ? realloc(*w->list, (*w->n + 1) * sizeof(*more)) : NULL;
	uint8_t *data = malloc(b->len);
	if (more)
		*w->list = more;
	if (!more || !data) {
		free(data);
		return err_set(w->e, ERR_RESOURCE, 0, "too many of kind %s in the container's network", w->o->what);
	}
	memcpy(data, b->data, b->len);
	more[(*w->n)++] = (ProtobufCBinaryData){ b->len, data };
	return 0;
}

/* Whether a route over several hops has no more of each than its way. */
static bool hops_known(const struct rtattr *a)
{
	int left = (int)RTA_PAYLOAD(a);
	/* RTNH_OK looks into what it shall judge. */
	for (struct rtnexthop *h = RTA_DATA(a); left >= (int)sizeof(*h) && RTNH_OK(h, left); left -= (int)RTNH_ALIGN(h->rtnh_len), h = RTNH_NEXT(h)) {
		int rest = h->rtnh_len - (int)RTNH_LENGTH(0);
		for (const struct rtattr *x = RTNH_DATA(h); RTA_OK(x, rest); x = RTA_NEXT(x, rest))
			if (x->rta_type != RTA_GATEWAY && x->rta_type != RTA_VIA && x->rta_type != RTA_FLOW)
				return false;
	}
	return true;
}

int inside_copy_kept(const struct inside_object *o, const uint8_t *p, size_t n, struct buf *out, struct err *e)
{
	if (n < o->head || buf_append(out, p, o->head, e) < 0)
		return n < o->head ? 0 : -1;
	int left = (int)(n - RTA_ALIGN(o->head));
	for (const struct rtattr *a = (const struct rtattr *)(p + RTA_ALIGN(o->head)); left > 0 && RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		unsigned type = a->rta_type & NLA_TYPE_MASK;
		bool known = type < 64, is_state = known && (o->state & BIT(type));
		static const uint8_t zeros[RTA_ALIGNTO];
		if (is_state)
			continue;
		if (!known || !(o->kept & BIT(type)) || (o == &inside_routes && type == RTA_MULTIPATH && !hops_known(a)))
			return 0;
		if (buf_append(out, a, a->rta_len, e) < 0 || buf_append(out, zeros, RTA_ALIGN(a->rta_len) - a->rta_len, e) < 0)
			return -1;
	}
	return 1;
}

static void parse(const struct inside_object *o, const void *p, size_t n, struct rtattr **out, size_t max)
{
	memset(out, 0, max * sizeof(*out));
	int left = (int)(n - RTA_ALIGN(o->head));
	for (struct rtattr *a = (struct rtattr *)((uint8_t *)(uintptr_t)p + RTA_ALIGN(o->head)); left > 0 && RTA_OK(a, left); a = RTA_NEXT(a, left))
		if ((a->rta_type & NLA_TYPE_MASK) < max)
			out[a->rta_type & NLA_TYPE_MASK] = a;
}

static int on_object(struct nl_msg *m, void *arg)
{
	struct walk *w = arg;
	const struct nlmsghdr *h = nlmsg_hdr(m);
	const uint8_t *p = NLMSG_DATA(h);
	size_t n = NLMSG_PAYLOAD(h, 0);
	struct rtattr *attributes[ATTRIBUTES];
	auto_buf struct buf b = { 0 };
	if (w->rc < 0 || h->nlmsg_type != w->o->new || n < w->o->head)
		return NL_OK;
	parse(w->o, p, n, attributes, ATTRIBUTES);
	if (!w->wanted(w, p, attributes))
		return NL_OK;
	int kept = inside_copy_kept(w->o, p, n, &b, w->e);
	if (kept == 0)
		w->rc = inside_problem(w->in, w->o->kind, NULL, w->e);
	else
		w->rc = kept < 0 ? -1 : push_bytes(w, &b);
	return NL_OK;
}

static int walk_family(struct walk *w, uint8_t family)
{
	struct fib_rule_hdr head = { .family = family }; /* of all three the first byte is the family */
	nl_socket_modify_cb(w->sk, NL_CB_VALID, NL_CB_CUSTOM, on_object, w);
	int rc = nl_send_simple(w->sk, w->o->get, NLM_F_DUMP, &head, w->o->head);
	if (rc >= 0)
		rc = nl_recvmsgs_default(w->sk);
	if (rc < 0)
		return nl_fail(w->e, rc, "read the container's %ss", w->o->what);
	return w->rc;
}

static const Davit__InsideLink *link_of(const Davit__NetworkInside *in, uint32_t index)
{
	for (size_t i = 0; i < in->n_links; i++)
		if (in->links[i]->index == index)
			return in->links[i];
	return NULL;
}

/* Addresses that come by themselves: those of lo, link-local ones, what a router's advertisement gave. */
static bool address_wanted(const struct walk *w, const void *head, struct rtattr *const *a)
{
	const struct ifaddrmsg *m = head;
	const Davit__InsideLink *link = link_of(w->in, m->ifa_index);
	if (!link || !(m->ifa_flags & IFA_F_PERMANENT) || (m->ifa_family == AF_INET6 && m->ifa_scope == RT_SCOPE_LINK))
		return false;
	const struct rtattr *local = a[IFA_LOCAL] ? a[IFA_LOCAL] : a[IFA_ADDRESS];
	static const uint8_t v4[4] = { 127, 0, 0, 1 }, v6[16] = { [15] = 1 };
	return !local || !str_eq(link->name, "lo") ||
	       memcmp(RTA_DATA(local), m->ifa_family == AF_INET ? v4 : v6, m->ifa_family == AF_INET ? 4 : 16) != 0;
}

static bool route_wanted(const struct walk *w, const void *head, struct rtattr *const *a)
{
	const struct rtmsg *m = head;
	(void)w, (void)a;
	return m->rtm_protocol != RTPROT_KERNEL && m->rtm_protocol != RTPROT_RA && !(m->rtm_flags & RTM_F_CLONED);
}

static bool rule_wanted(const struct walk *w, const void *head, struct rtattr *const *a)
{
	(void)w, (void)head, (void)a;
	return true;
}

int inside_objects_read(struct nl_sock *sk, Davit__NetworkInside *in, struct err *e)
{
	struct walk walks[] = { { .o = &inside_addresses, .n = &in->n_addresses, .list = &in->addresses, .wanted = address_wanted },
				{ .o = &inside_routes, .n = &in->n_routes, .list = &in->routes, .wanted = route_wanted },
				{ .o = &inside_rules, .n = &in->n_rules, .list = &in->rules, .wanted = rule_wanted } };
	for (size_t i = 0; i < ARRAY_LEN(walks); i++) {
		walks[i].sk = sk;
		walks[i].in = in;
		walks[i].e = e;
		if (walk_family(&walks[i], AF_INET) < 0 || walk_family(&walks[i], AF_INET6) < 0)
			return -1;
	}
	return 0;
}
