/* memory_attach, memory_wait: a container whose memory follows it.
 *
 * A container whose page store has fallen for good runs on with what it was given, and would be given zeros for the rest: it is ended. The store's
 * guard does that; here it is done for a guard that was killed as well. */
#include <signal.h>
#include "base/clock.h"
#include "base/log.h"
#include "proto/pb.h"
#include "runtime/pagestore/pagestore.h"
#include "runtime/serve/ops.h"
#include "runtime/serve/records.h"

#define FILLING_WAIT_MS 20000

static void end_container(const struct request *r)
{
	struct err e = { 0 };
	auto_pb(Davit__ContainerStatus) *s = record_status(r->core, r->name, NULL);
	if (!s || str_eq(s->state, "stopped") || str_eq(s->state, "restoring"))
		return;
	if (container_kill(&r->core->rt, r->name, SIGKILL, true, &e) < 0)
		log_err(LOG_LEVEL_ERROR, "end a container without memory", &e);
}

struct patience {
	const char *name;
	int64_t until; /* ns of CLOCK_MONOTONIC */
};

static int lose_patience(void *arg, const Davit__MemoryStatus *s, struct err *e)
{
	const struct patience *p = arg;
	if (clock_now_ns(CLOCK_MONOTONIC) < p->until)
		return 0;
	err_set(e, ERR_STATE, 0, "container %s does not have all of its memory yet: %llu pages are missing", p->name, (unsigned long long)s->missing);
	return err_remedy(e, "wait until the move that brought it here is complete");
}

int filling_wait(const struct request *r, struct err *e)
{
	auto_place p = { 0 };
	struct patience patience = { r->name, clock_now_ns(CLOCK_MONOTONIC) + FILLING_WAIT_MS * NSEC_PER_MSEC };
	if (place_of(r->core, r->name, &p, e) < 0)
		return -1;
	auto_pb(Davit__MemoryStatus) *whole = pagestore_wait(p.monitor, r->cancel, lose_patience, &patience, e);
	return whole ? 0 : -1;
}

int op_memory_attach(const struct request *r, struct answer *a, struct err *e)
{
	auto_place p = { 0 };
	if (place_of(r->core, r->name, &p, e) < 0)
		return -1;
	int fd = pagestore_attach(p.monitor, e);
	if (fd < 0)
		return -1;
	a->fds[a->nfds++] = fd;
	a->reply->result_case = DAVIT__CORE_REPLY__RESULT_STREAMS;
	a->reply->streams = pb_new(&davit__streams_ready__descriptor, e);
	return a->reply->streams ? 0 : -1;
}

static int tell(void *arg, const Davit__MemoryStatus *s, struct err *e)
{
	Davit__CoreReply part = DAVIT__CORE_REPLY__INIT;
	part.result_case = DAVIT__CORE_REPLY__RESULT_MEMORY;
	part.memory = (Davit__MemoryStatus *)s;
	return request_part(arg, &part, e);
}

int op_memory_wait(const struct request *r, struct answer *a, struct err *e)
{
	auto_place p = { 0 };
	auto_pb(Davit__ContainerStatus) *s = record_status(r->core, r->name, e);
	if (!s || place_of(r->core, r->name, &p, e) < 0)
		return -1;
	a->reply->memory = pagestore_wait(p.monitor, r->cancel, tell, (void *)r, e);
	if (!a->reply->memory) {
		if (e->code == ERR_CORRUPT)
			end_container(r);
		return -1;
	}
	a->reply->result_case = DAVIT__CORE_REPLY__RESULT_MEMORY;
	return 0;
}
