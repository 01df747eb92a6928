/* One thread that waits for the core without a limit: when the core ends, so does davitd (main.c). */
#include "agent/subscriber.h"
#include "agent/view.h"
#include "base/log.h"
#include "base/thread.h"

#define STACK ((size_t)256 << 10)

struct subscriber {
	struct agent *agent;
	struct core core;
};

static void *listen_to_core(void *arg)
{
	struct subscriber *s = arg;
	struct err e = { 0 };

	for (;;) {
		auto_pb(Davit__CoreReply) *r = core_recv(&s->core, 0, -1, NULL, &e);

		if (!r)
			break;
		/* That a container was made or removed is told by who did it, when the database knows too. */
		if (r->result_case == DAVIT__CORE_REPLY__RESULT_EVENT && !str_eq(r->event->type, "container.created") &&
		    !str_eq(r->event->type, "container.removed"))
			view_tell(s->agent, r->event->type, r->event->name);
	}
	if (!s->agent->stopping)
		log_err(LOG_LEVEL_ERROR, "events of the core", &e);
	core_close(&s->core);
	free(s);
	return NULL;
}

static int subscribe(struct subscriber *s, struct err *e)
{
	Davit__CoreSubscribe subscribe = DAVIT__CORE_SUBSCRIBE__INIT;
	Davit__CoreRequest q = DAVIT__CORE_REQUEST__INIT;
	auto_pb(Davit__CoreReply) *reply = NULL;

	q.op_case = DAVIT__CORE_REQUEST__OP_SUBSCRIBE;
	q.subscribe = &subscribe;
	reply = core_call(&s->core, &q, CORE_TIMEOUT_MS, NULL, e);
	return reply ? 0 : -1;
}

int subscriber_start(struct agent *a, struct err *e)
{
	struct subscriber *s = mem_new(1, sizeof(*s), e);

	if (!s)
		return -1;
	s->agent = a;
	if (core_channel(&a->core, NULL, &s->core, e) < 0) {
		free(s);
		return -1;
	}
	if (subscribe(s, e) < 0) {
		core_close(&s->core);
		free(s);
		return -1;
	}
	return thread_detach(STACK, listen_to_core, s, "the events' thread", e);
}
