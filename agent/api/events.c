/* GET /v1/events: server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) with resume by Last-Event-ID.
 *
 * A client that names no id gets what happens from now on. One that was away too long is told so by an event "lost" first. A comment each 15 s
 * keeps the connection known to be alive on both sides. */
#include <string.h>
#include "agent/api/api.h"
#include "proto/json.h"

#define KEEP_ALIVE_MS 15000
#define BATCH 100

struct event_reader {
	struct agent *agent;
	struct MHD_Connection *connection;
	uint64_t after;
	struct buf out;
	char container[ROUTE_PARAM_MAX + 1]; /* only of this one; "" for all */
};

static void reader_free(void *arg)
{
	struct event_reader *s = arg;

	buf_free(&s->out);
	free(s);
}

static int put(struct event_reader *s, const Davit__Event *ev, struct err *e)
{
	s->after = ev->id;
	if (s->container[0] && !str_eq(ev->container, s->container))
		return 0;
	if (buf_printf(&s->out, e, "id: %llu\nevent: %s\ndata: ", (unsigned long long)ev->id, ev->type) < 0 ||
	    json_print(&ev->base, false, &s->out, e) < 0)
		return -1;
	return buf_puts(&s->out, "\n\n", e);
}

static int put_batch(struct event_reader *s, struct err *e)
{
	Davit__Event *batch[BATCH];
	bool lost = false;
	int n = event_read(&s->agent->events, s->after, batch, BATCH, &lost, e), r = n < 0 ? -1 : 0;

	if (r == 0 && lost)
		r = buf_puts(&s->out, "event: lost\ndata: {}\n\n", e);
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = put(s, batch[i], e);
		pb_freep(&batch[i]);
	}
	return r;
}

static ssize_t read_events(void *arg, uint64_t pos, char *out, size_t max)
{
	struct event_reader *s = arg;
	struct err e = { 0 };
	size_t n;

	(void)pos;
	for (int waited = 0; s->out.len == 0;) {
		int news = event_wait(&s->agent->events, s->after, 1000);

		if (news < 0 || (news == 0 && request_is_gone(s->connection)))
			return MHD_CONTENT_READER_END_OF_STREAM;
		waited += 1000;
		if (news > 0 ? put_batch(s, &e) < 0 : waited >= KEEP_ALIVE_MS && buf_puts(&s->out, ": alive\n\n", &e) < 0)
			return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	n = MIN(max, s->out.len);
	memcpy(out, s->out.data, n);
	buf_consume(&s->out, n);
	return (ssize_t)n;
}

int event_stream(struct request *r, struct err *e)
{
	const char *last = request_header(r, "Last-Event-ID"), *after = request_query(r, "after"), *container = request_query(r, "container");
	uint64_t from = r->agent->events.last;
	struct event_reader *s;

	if (!last)
		last = after;
	if ((last && str_to_u64(last, 0, INT64_MAX, &from, "Last-Event-ID", e) < 0) || (container && str_check_name(container, "container", e) < 0))
		return -1;
	s = mem_new(1, sizeof(*s), e);
	if (!s)
		return -1;
	s->agent = r->agent;
	s->connection = r->connection;
	s->after = from;
	if (container)
		memcpy(s->container, container, strlen(container) + 1);
	/* At once something: so that the client sees the answer's head before the first event. */
	if (buf_puts(&s->out, ": davit events\n\n", e) < 0) {
		reader_free(s);
		return -1;
	}
	return api_stream(r, 16 << 10, read_events, s, reader_free, e);
}
