/* The core's questions to the page store (proto/pagestore.proto). Nobody waits for a client here: one that does not take its answer is let go. */
#include <errno.h>
#include <sys/socket.h>
#include "base/log.h"
#include "pagestore.pb-c.h"
#include "proto/pb.h"
#include "runtime/pagestore/worker.h"

static void fill_status(const struct worker *w, Davit__MemoryStatus *s)
{
	const struct arena *a = w->a;
	davit__memory_status__init(s);
	s->has_held = s->has_missing = s->has_delivered = s->has_faults = s->has_fetched = s->has_round = true;
	s->has_connected = s->has_ended = s->has_filling = s->has_complete = true;
	s->held = a->held;
	s->missing = a->wanted;
	s->delivered = a->delivered;
	s->faults = a->faults;
	s->fetched = a->fetched;
	s->round = a->round;
	s->connected = a->memory >= 0;
	s->ended = a->ended;
	s->filling = a->state == ARENA_FILLING;
	s->complete = a->state == ARENA_COMPLETE;
}

static void answer(struct worker *w, struct watch *client, bool more, const struct err *error)
{
	Davit__MemoryStatus status;
	Davit__StoreReply reply = DAVIT__STORE_REPLY__INIT;
	auto_pb(Davit__Error) *wire = error ? pb_error(error) : NULL;
	fill_status(w, &status);
	reply.has_more = true;
	reply.more = more;
	reply.error = wire;
	reply.status = &status;
	if (pb_send(client->fd, &reply.base, NULL, 0, NULL) < 0)
		watch_close(w, client);
}

void control_tell(struct worker *w)
{
	bool more = w->a->state != ARENA_COMPLETE;
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct watch *c = &w->clients[i];
		if (c->fd < 0 || !c->waits)
			continue;
		answer(w, c, more, NULL);
		c->waits = more;
	}
}

void control_tell_start(struct worker *w)
{
	struct err lost = { 0 };
	bool started = w->a->state != ARENA_RECEIVING;
	if (!started && w->a->expects && (w->a->memory >= 0 || w->a->round >= w->a->awaited))
		return;
	if (!started)
		err_set(&lost, ERR_IO, 0, w->a->expects ? "the source is lost before all of its last round has come" : "no restore is expected");
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct watch *c = &w->clients[i];
		if (c->fd < 0 || !c->starts)
			continue;
		c->starts = false;
		answer(w, c, false, started ? NULL : &lost);
	}
}

static void on_init_end(struct worker *w, struct watch *at, uint32_t events)
{
	(void)at, (void)events;
	w->end = true;
}

int worker_watch_init(struct worker *w, struct err *e)
{
	return watch_open(w, &w->init, w->a->init, on_init_end, e);
}

static int take_init(struct worker *w, int *fd, struct err *e)
{
	watch_close(w, &w->init);
	w->a->init = steal_fd(fd);
	return worker_watch_init(w, e);
}

static int obey(struct worker *w, struct watch *client, const Davit__StoreRequest *q, int *fd, struct err *e)
{
	bool needs_fd = q->op_case == DAVIT__STORE_REQUEST__OP_ATTACH || q->op_case == DAVIT__STORE_REQUEST__OP_RUNNING;
	if (needs_fd != (*fd >= 0))
		return err_set(e, ERR_PROTOCOL, 0, "the request has %s descriptor", needs_fd ? "no" : "a");
	switch (q->op_case) {
	case DAVIT__STORE_REQUEST__OP_STATUS:
		return 0;
	case DAVIT__STORE_REQUEST__OP_WAIT:
		client->waits = w->a->state != ARENA_COMPLETE;
		return 0;
	case DAVIT__STORE_REQUEST__OP_ATTACH:
		worker_attach(w, steal_fd(fd));
		return 0;
	case DAVIT__STORE_REQUEST__OP_RUNNING:
		client->starts = true;
		return take_init(w, fd, e);
	case DAVIT__STORE_REQUEST__OP_RESTORE:
		w->a->expects = true;
		w->a->awaited = q->restore;
		worker_take_all(w);
		tasks_admit(w);
		return 0;
	case DAVIT__STORE_REQUEST__OP_END:
		w->end = true;
		return 0;
	default:
		return err_set(e, ERR_PROTOCOL, 0, "the request asks for nothing that this store knows");
	}
}

static void on_client(struct worker *w, struct watch *at, uint32_t events)
{
	auto_pb(Davit__StoreRequest) *q = NULL;
	struct err e = { 0 };
	int fd = -1;
	size_t n = 1;
	(void)events;
	int rc = pb_recv(at->fd, &davit__store_request__descriptor, &q, &fd, &n, &e);
	auto_close int passed = rc > 0 && n ? fd : -1;
	if (rc < 0 && e.code == ERR_BUSY)
		return;
	if (rc <= 0) {
		watch_close(w, at);
		return;
	}
	rc = obey(w, at, q, &passed, &e);
	if (!w->end && (rc < 0 || !at->starts))
		answer(w, at, at->waits, rc < 0 ? &e : NULL);
	control_tell_start(w);
}

void control_ready(struct worker *w, struct watch *at, uint32_t events)
{
	struct err e = { 0 };
	int fd = accept4(at->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	(void)events;
	if (fd < 0)
		return;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (w->clients[i].fd < 0) {
			w->clients[i].waits = w->clients[i].starts = false;
			if (watch_open(w, &w->clients[i], fd, on_client, &e) < 0)
				log_err(LOG_LEVEL_WARN, "page store", &e);
			return;
		}
	close(fd);
}
