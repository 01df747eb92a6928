/* Links of a network namespace, and its queues. Source: rtnetlink(7). */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <stdio.h>
#include "base/str.h"
#include "proto/pb.h"
#include "runtime/net/inside_private.h"

/* The kernel makes these in every namespace when their modules are loaded. */
static const char *const fallback_links[] = { "tunl0", "sit0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6tnl0", "ip6gre0" };

int inside_problem(Davit__NetworkInside *in, const char *kind, const char *detail, struct err *e)
{
	Davit__KeyValue *kv = pb_new(&davit__key_value__descriptor, e);
	if (!kv || pb_push(&in->n_problems, &in->problems, kv, e) < 0 || pb_set_str(&kv->key, kind, e) < 0)
		return -1;
	return pb_set_str(&kv->value, detail, e);
}

static bool is_fallback(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(fallback_links); i++)
		if (str_eq(name, fallback_links[i]))
			return true;
	return false;
}

static bool is_attachment(size_t n, Davit__NetworkAttachment *const *attachments, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(attachments[i]->interface ? attachments[i]->interface : "eth0", name))
			return true;
	return false;
}

static int read_link(struct rtnl_link *found, Davit__NetworkInside *in, struct err *e)
{
	const char *name = rtnl_link_get_name(found), *kind = rtnl_link_get_type(found);
	bool ours = str_eq(name, "lo") || is_attachment(in->n_attachments, in->attachments, name), up = rtnl_link_get_flags(found) & IFF_UP;
	char mac[32], detail[64];
	if (!ours && is_fallback(name) && !up)
		return 0;
	snprintf(detail, sizeof(detail), "%s %s", kind ? kind : "device", name);
	if (!ours && !(kind && str_eq(kind, "dummy")))
		return inside_problem(in, "network_link", detail, e);
	Davit__InsideLink *l = pb_new(&davit__inside_link__descriptor, e);
	if (!l || pb_push(&in->n_links, &in->links, l, e) < 0 || pb_set_str(&l->name, name, e) < 0 || (!ours && pb_set_str(&l->kind, kind, e) < 0))
		return -1;
	l->index = (uint32_t)rtnl_link_get_ifindex(found);
	l->has_mtu = l->has_up = true;
	l->mtu = rtnl_link_get_mtu(found);
	l->up = up;
	nl_addr2str(rtnl_link_get_addr(found), mac, sizeof(mac));
	return str_eq(name, "lo") ? 0 : pb_set_str(&l->mac, mac, e);
}

/* Queues and filters of tc(8): a namespace that did nothing has none but "noqueue". */
struct queues {
	Davit__NetworkInside *in;
	int rc;
	struct err *e;
};

static int on_queue(struct nl_msg *m, void *arg)
{
	struct queues *q = arg;
	const struct nlmsghdr *h = nlmsg_hdr(m);
	const struct nlattr *kind = nlmsg_find_attr(nlmsg_hdr(m), sizeof(struct tcmsg), TCA_KIND);
	if (q->rc < 0 || h->nlmsg_type != RTM_NEWQDISC || !kind || str_eq(nla_data(kind), "noqueue"))
		return NL_OK;
	q->rc = inside_problem(q->in, "network_queue", nla_data(kind), q->e);
	return NL_OK;
}

static int read_queues(struct nl_sock *sk, Davit__NetworkInside *in, struct err *e)
{
	struct tcmsg head = { .tcm_family = AF_UNSPEC };
	struct queues q = { in, 0, e };
	nl_socket_modify_cb(sk, NL_CB_VALID, NL_CB_CUSTOM, on_queue, &q);
	int rc = nl_send_simple(sk, RTM_GETQDISC, NLM_F_DUMP, &head, sizeof(head));
	if (rc >= 0)
		rc = nl_recvmsgs_default(sk);
	return rc < 0 ? nl_fail(e, rc, "read the container's queues") : q.rc;
}

int inside_link_read(Davit__NetworkInside *in, struct err *e)
{
	auto_nl struct nl_sock *sk = nl_open(-1, e);
	struct nl_cache *cache = NULL;
	int rc = sk ? rtnl_link_alloc_cache(sk, AF_UNSPEC, &cache) : -1;
	if (!sk || rc < 0)
		return sk ? nl_fail(e, rc, "read the container's links") : -1;
	rc = 0;
	for (struct nl_object *o = nl_cache_get_first(cache); o && rc == 0; o = nl_cache_get_next(o))
		rc = read_link((struct rtnl_link *)o, in, e);
	nl_cache_free(cache);
	return rc < 0 || read_queues(sk, in, e) < 0 ? -1 : inside_objects_read(sk, in, e);
}
