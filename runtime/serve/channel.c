/* Channels: receiving requests, refusing what cannot be served, handing the rest to jobs.
 *
 * The other side may be anyone's by now: a datagram that is no request, a wrong name or too many requests at once are answered with an error, and
 * only a channel whose socket fails, or that does not take its answers, is closed. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "base/log.h"
#include "runtime/serve/loop.h"
#include "runtime/serve/records.h"

#define JOBS_MAX 256
#define SEND_BUFFER (4 << 20) /* POLLOUT then means that a whole datagram fits */
#define SEND_WAIT_MS 1000

static void channel_ready(struct loop *l, struct source *s);

int channel_add(struct loop *l, int fd, const char *name, bool first, struct err *e)
{
	int size = SEND_BUFFER;
	struct channel *c = mem_new(1, sizeof(*c), e);
	if (!c) {
		close(fd);
		return -1;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	c->source = (struct source){ .fd = fd, .ready = channel_ready };
	c->first = first;
	snprintf(c->name, sizeof(c->name), "%s", name ? name : "");
	if (fd_set_cloexec(fd, true, e) < 0 || loop_add(l, &c->source, e) < 0) {
		close(fd);
		free(c);
		return -1;
	}
	c->next = l->channels;
	l->channels = c;
	return 0;
}

void channel_close(struct loop *l, struct channel *c)
{
	for (struct channel **at = &l->channels; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			break;
		}
	job_cancel_of(l, c);
	loop_remove(l, &c->source);
	if (c->first)
		l->ending = true;
	free(c);
}

/* The loop must not wait for a reader: who does not take an answer within a second is cut off. Returns false if so; c is gone then. */
static bool send_now(struct loop *l, struct channel *c, const Davit__CoreReply *reply, const int *fds, size_t nfds)
{
	struct err e = { 0 };
	if (fd_wait(c->source.fd, POLLOUT, SEND_WAIT_MS, &e) > 0 && pb_send(c->source.fd, &reply->base, fds, nfds, &e) == 0)
		return true;
	if (e.code == ERR_LIMIT)
		return true; /* too large for a datagram: our fault, not theirs */
	channel_close(l, c);
	return false;
}

void channel_refuse(struct loop *l, struct channel *c, uint64_t id, const struct err *error)
{
	auto_pb(Davit__Error) *wire = pb_error(error);
	Davit__CoreReply reply = DAVIT__CORE_REPLY__INIT;
	reply.id = id;
	reply.error = wire;
	if (wire)
		(void)send_now(l, c, &reply, NULL, 0);
}

void channel_event(struct loop *l, const char *type, const char *name)
{
	char now[32];
	auto_pb(Davit__ContainerStatus) *status = record_status(l->core, name, NULL);
	Davit__CoreEvent event = DAVIT__CORE_EVENT__INIT;
	Davit__CoreReply reply = DAVIT__CORE_REPLY__INIT;
	event.type = (char *)type;
	event.name = (char *)name;
	event.status = status;
	event.time = clock_rfc3339(clock_now_ns(CLOCK_REALTIME), now);
	reply.result_case = DAVIT__CORE_REPLY__RESULT_EVENT;
	reply.event = &event;
	for (struct channel *c = l->channels, *next; c; c = next) {
		next = c->next;
		if (c->subscribed && (!*c->name || str_eq(c->name, name)))
			(void)send_now(l, c, &reply, NULL, 0);
	}
}

/* Serves `channel`: the new socket's other end rides on the answer. */
static int open_channel(struct loop *l, struct channel *c, const Davit__CoreRequest *msg, struct err *e)
{
	auto_close int theirs = -1;
	int sv[2];
	const char *name = msg->channel->name;
	if (name && str_check_name(name, "name", e) < 0)
		return -1;
	if (*c->name && !str_eq(c->name, name))
		return err_set(e, ERR_DENIED, 0, "this channel is for container %s alone", c->name);
	if (fd_socketpair(SOCK_SEQPACKET, sv, e) < 0)
		return -1;
	theirs = sv[1];
	if (channel_add(l, sv[0], name, false, e) < 0)
		return -1;
	Davit__CoreReply reply = DAVIT__CORE_REPLY__INIT;
	reply.id = msg->id;
	(void)send_now(l, c, &reply, &theirs, 1);
	return 0;
}

static int serve_inline(struct loop *l, struct channel *c, const struct op *op, const Davit__CoreRequest *msg, const char *name, struct err *e)
{
	if (msg->op_case == DAVIT__CORE_REQUEST__OP_CHANNEL)
		return open_channel(l, c, msg, e);
	auto_cleanup(answer_free) struct answer a = { 0 };
	const struct request r = { .core = l->core, .msg = msg, .name = name, .sock = c->source.fd, .cancel = -1 };
	if (answer_init(&a, msg->id, e) < 0 || (op->serve && op->serve(&r, &a, e) < 0))
		return -1;
	if (msg->op_case == DAVIT__CORE_REQUEST__OP_SUBSCRIBE)
		c->subscribed = true;
	(void)send_now(l, c, a.reply, NULL, 0);
	return 0;
}

static int check_request(const struct loop *l, const struct channel *c, const struct op *op, const Davit__CoreRequest *msg, const char *name,
			 struct err *e)
{
	if (msg->id == 0)
		return err_set(e, ERR_PROTOCOL, 0, "a request's id cannot be 0");
	if (!op)
		return err_set(e, ERR_PROTOCOL, 0, "the request asks for nothing that this core knows");
	for (const struct job *j = l->jobs; j; j = j->next)
		if (j->channel == c && j->id == msg->id)
			return err_set(e, ERR_PROTOCOL, 0, "request %llu is still being served", (unsigned long long)msg->id);
	if (op->about != ABOUT_HOST && str_check_name(name, "name", e) < 0)
		return -1;
	if (*c->name && !op->inline_ && (op->about != ABOUT_CONTAINER || !str_eq(name, c->name)))
		return err_set(e, ERR_DENIED, 0, "this channel is for container %s alone", c->name);
	if (*c->name && op->serve == op_get && !str_eq(name, c->name))
		return err_set(e, ERR_DENIED, 0, "this channel is for container %s alone", c->name);
	return l->njobs >= JOBS_MAX ? err_set(e, ERR_BUSY, 0, "%d requests are being served", JOBS_MAX) : 0;
}

static void dispatch(struct loop *l, struct channel *c, const Davit__CoreRequest *msg)
{
	struct err e = { 0 };
	const struct op *op = op_of(msg);
	const char *name = op ? op_name(msg) : NULL;
	int rc = check_request(l, c, op, msg, name, &e);
	if (rc == 0)
		rc = op->inline_ ? serve_inline(l, c, op, msg, name, &e) : job_serve(l, c, op, msg, name, &e);
	if (rc < 0)
		channel_refuse(l, c, msg->id, &e);
}

/* The id of a request that is otherwise unreadable: field 1, if it comes first. */
static uint64_t salvage_id(const uint8_t *p, size_t n)
{
	uint64_t id = 0;
	if (n < 2 || p[0] != 0x08)
		return 0;
	for (size_t i = 1; i < n && i < 10; i++) {
		id |= (uint64_t)(p[i] & 0x7f) << (7 * (i - 1));
		if (!(p[i] & 0x80))
			return id;
	}
	return 0;
}

static void channel_ready(struct loop *l, struct source *s)
{
	struct channel *c = (struct channel *)s;
	static uint8_t data[PB_DATAGRAM_MAX];
	int fds[FD_PASS_MAX];
	size_t nfds = FD_PASS_MAX;
	struct err e = { 0 };
	ssize_t n = fd_recv_msg(s->fd, data, sizeof(data), fds, &nfds, &e);
	for (size_t i = 0; n > 0 && i < nfds; i++)
		close(fds[i]); /* no request brings any */
	if (n < 0 && e.code == ERR_LIMIT) {
		channel_refuse(l, c, 0, &e);
		return;
	}
	if (n <= 0) {
		channel_close(l, c);
		return;
	}
	auto_pb(Davit__CoreRequest) *msg = pb_unpack(&davit__core_request__descriptor, data, (size_t)n, "request", &e);
	if (msg) {
		dispatch(l, c, msg);
		return;
	}
	if (e.code != ERR_LIMIT)
		e.code = ERR_PROTOCOL;
	channel_refuse(l, c, salvage_id(data, (size_t)n), &e);
}
