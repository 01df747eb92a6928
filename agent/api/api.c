/* What handlers share. */
#include "agent/api/api.h"
#include <string.h>
#include "agent/view.h"
#include "base/clock.h"

int api_core_open(struct request *r, struct api_core *out, struct err *e)
{
	out->r = r;
	out->open = core_channel(&r->agent->core, NULL, &out->core, e) == 0;
	return out->open ? 0 : -1;
}

void api_core_close(struct api_core *c)
{
	if (!c->open)
		return;
	if (c->core.error) {
		pb_freep(&c->r->details);
		c->r->details = steal_ptr(&c->core.error);
	}
	core_close(&c->core);
	c->open = false;
}

int api_call(struct request *r, Davit__CoreRequest *q, int timeout_ms, Davit__CoreReply **reply, struct err *e)
{
	auto_api_core struct api_core c = { 0 };
	auto_pb(Davit__CoreReply) *got = NULL;

	if (api_core_open(r, &c, e) < 0)
		return -1;
	got = core_call(&c.core, q, timeout_ms, NULL, e);
	if (!got)
		return -1;
	if (reply)
		*reply = steal_ptr(&got);
	return 0;
}

int api_wait_stopped(struct request *r, const char *name, int timeout_ms, Davit__ContainerStatus **out, struct err *e)
{
	int64_t end = clock_now_ns(CLOCK_MONOTONIC) + timeout_ms * NSEC_PER_MSEC;
	uint64_t seen = r->agent->events.last;

	for (;;) {
		auto_pb(Davit__ContainerStatus) *s = core_get(&r->agent->core, name, e);
		int64_t left = (end - clock_now_ns(CLOCK_MONOTONIC)) / NSEC_PER_MSEC;

		if (!s)
			return -1;
		if (str_eq(s->state, "stopped")) {
			*out = steal_ptr(&s);
			return 1;
		}
		if (left <= 0)
			return 0;
		/* The core tells exits as events; the second's limit is for a lost one and for a client that went away. */
		if (event_wait(&r->agent->events, seen, (int)MIN(left, 1000)) < 0)
			return err_set(e, ERR_CANCELLED, 0, "davitd is ending");
		if (request_is_gone(r->connection))
			return err_set(e, ERR_CANCELLED, 0, "the client went away");
		seen = r->agent->events.last;
	}
}

int api_answer_container(struct request *r, const char *name, struct err *e)
{
	r->answer = view_container(r->agent, name, e);
	return r->answer ? 0 : -1;
}

int api_query_seconds(const struct request *r, const char *name, uint64_t max, uint64_t otherwise, uint64_t *out, struct err *e)
{
	const char *v = request_query(r, name);

	*out = otherwise;
	return v ? str_to_u64(v, 0, max, out, name, e) : 0;
}

int api_stream(struct request *r, size_t block, MHD_ContentReaderCallback read, void *arg, MHD_ContentReaderFreeCallback done, struct err *e)
{
	r->response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, block, read, arg, done);
	if (r->response)
		return 0;
	done(arg);
	return err_set(e, ERR_RESOURCE, 0, "no memory for a stream");
}
