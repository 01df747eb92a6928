/* network_ensure, network_remove, announce. Bridges are the administrator's: see policy_check_network(). */
#include <errno.h>
#include <stdio.h>
#include "base/file.h"
#include "proto/pb.h"
#include "runtime/namespace.h"
#include "runtime/net/net.h"
#include "runtime/serve/ops.h"
#include "runtime/serve/policy.h"
#include "runtime/serve/records.h"

int op_network_ensure(const struct request *r, struct answer *a, struct err *e)
{
	(void)a;
	if (policy_check_network(r->core, r->msg->network_ensure, e) < 0)
		return -1;
	return net_bridge_ensure(r->msg->network_ensure, e);
}

int op_network_remove(const struct request *r, struct answer *a, struct err *e)
{
	(void)a;
	const Davit__CoreNetwork *n = policy_network(r->core, r->name, e);
	return n ? net_bridge_remove(n, e) : -1;
}

int op_announce(const struct request *r, struct answer *a, struct err *e)
{
	(void)a;
	auto_place p = { 0 };
	auto_pb(Davit__ContainerStatus) *s = record_require(r->core, r->name, "created running paused", e);
	if (!s || place_of(r->core, r->name, &p, e) < 0)
		return -1;
	if (!file_exists(AT_FDCWD, p.network))
		return 0;
	auto_pb(Davit__RuntimeNetwork) *n = net_load(p.network, e);
	auto_close int netns = n ? ns_open(s->pid, NS_NETWORK, e) : -1;
	return netns < 0 ? -1 : net_announce(n, netns, e);
}
