/* See peers.h. The message is a DumpDone with nothing else in it. */
#include "runtime/serve/peers.h"
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include "base/log.h"
#include "proto/pb.h"
#include "runtime/namespace.h"
#include "runtime/net/conntrack.h"
#include "runtime/net/neighbour.h"
#include "runtime/net/net.h"

static int find_neighbours(pid_t pid, Davit__DumpDone *out, struct err *e)
{
	auto_close int netns = ns_open(pid, NS_NETWORK, e);
	return netns < 0 ? -1 : net_neighbours(netns, &out->n_neighbours, &out->neighbours, e);
}

static int find_connections(const char *network, Davit__DumpDone *out, struct err *e)
{
	auto_pb(Davit__RuntimeNetwork) *n = net_load(network, e);
	return n ? conntrack_list(n, &out->n_connections, &out->connections, e) : -1;
}

static int look(void *arg, uint64_t *bytes, struct err *e)
{
	const struct peers *p = arg;
	auto_pb(Davit__DumpDone) *found = pb_new(&davit__dump_done__descriptor, e);
	auto_buf struct buf packed = { 0 };
	struct err why = { 0 };
	if (!found || !(found->clock = pb_new(&davit__clock_sample__descriptor, e))) /* required, and nobody's */
		return -1;
	if (p->connections && find_connections(p->network, found, &why) < 0)
		log_err(LOG_LEVEL_WARN, "connections of a container", &why);
	err_clear(&why);
	if (find_neighbours(p->pid, found, &why) < 0)
		log_err(LOG_LEVEL_WARN, "neighbours of a container", &why);
	*bytes = 0;
	return pb_pack(&found->base, &packed, e) < 0 ? -1 : fd_write_all(p->message, packed.data, packed.len, e);
}

int peers_begin(struct peers *p, const struct place *place, pid_t pid, bool connections, struct err *e)
{
	p->network = place->network;
	p->pid = pid;
	p->connections = connections;
	if ((p->message = memfd_create("davit-peers", MFD_CLOEXEC)) < 0)
		return err_sys(e, errno, "a container's peers");
	return task_start(&p->task, "peers", &p->message, 1, look, p, e);
}

int peers_take(struct peers *p, Davit__DumpDone *out, struct err *e)
{
	size_t n = 0;
	if (p->message < 0)
		return 0;
	if (task_wait_all(&p->task, 1, -1, e) < 0) /* no limit: it only asks the kernel */
		return -1;
	if (lseek(p->message, 0, SEEK_SET) < 0)
		return err_sys(e, errno, "a container's peers");
	auto_free char *packed = fd_read_all(p->message, PB_DATAGRAM_MAX, &n, e);
	auto_pb(Davit__DumpDone) *found = packed ? pb_unpack(&davit__dump_done__descriptor, packed, n, "a container's peers", e) : NULL;
	if (!found)
		return -1;
	out->neighbours = steal_ptr(&found->neighbours);
	out->n_neighbours = found->n_neighbours;
	out->connections = steal_ptr(&found->connections);
	out->n_connections = found->n_connections;
	found->n_neighbours = found->n_connections = 0;
	return 0;
}

void peers_end(struct peers *p)
{
	task_end_all(&p->task, 1);
	fd_closep(&p->message);
}
