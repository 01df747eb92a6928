/* Requests to the runtime core and their replies. See core.h; the protocol is proto/core.proto. */
#include "migrate/core.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include "base/clock.h"

void core_fds_close(struct core_fds *f)
{
	for (size_t i = 0; i < CORE_FDS_MAX; i++)
		fd_closep(&f->fd[i]);
	f->n = 0;
}

void core_init(struct core *c, int fd)
{
	memset(c, 0, sizeof(*c));
	c->fd = fd;
	pthread_mutex_init(&c->lock, NULL);
}

void core_close(struct core *c)
{
	fd_closep(&c->fd);
	pb_freep(&c->error);
	pthread_mutex_destroy(&c->lock);
}

int core_send(struct core *c, Davit__CoreRequest *r, struct err *e)
{
	pb_freep(&c->error);
	r->id = ++c->last_id;
	return pb_send(c->fd, &r->base, NULL, 0, e);
}

/* Waits for a datagram until `deadline` (CLOCK_MONOTONIC, ns; -1: none). */
static int core_wait(struct core *c, int64_t deadline, struct err *e)
{
	int64_t left = deadline < 0 ? -1 : MAX(0, (deadline - clock_now_ns(CLOCK_MONOTONIC) + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC);
	int r = fd_wait(c->fd, POLLIN, (int)MIN(left, INT32_MAX), e);
	if (r < 0)
		return -1;
	if (r == 0)
		return err_set(e, ERR_TIMEOUT, 0, "the runtime core did not answer in time");
	return 0;
}

/* Turns an answered error into *e and keeps the whole of it. */
static Davit__CoreReply *core_refused(struct core *c, Davit__CoreReply *r, struct core_fds *fds, struct err *e)
{
	pb_error_get(r->error, e);
	pb_freep(&c->error);
	c->error = steal_ptr(&r->error);
	core_fds_close(fds);
	pb_freep(&r);
	return NULL;
}

Davit__CoreReply *core_recv(struct core *c, uint64_t id, int timeout_ms, struct core_fds *fds, struct err *e)
{
	int64_t deadline = timeout_ms < 0 ? -1 : clock_now_ns(CLOCK_MONOTONIC) + timeout_ms * NSEC_PER_MSEC;
	for (;;) {
		auto_core_fds struct core_fds got = CORE_FDS_INIT;
		auto_pb(Davit__CoreReply) *r = NULL;
		if (core_wait(c, deadline, e) < 0)
			return NULL;
		got.n = CORE_FDS_MAX;
		int rc = pb_recv(c->fd, &davit__core_reply__descriptor, &r, got.fd, &got.n, e);
		if (rc < 0)
			return NULL;
		if (rc == 0) {
			err_set(e, ERR_IO, 0, "the runtime core ended");
			return NULL;
		}
		if (r->id != id)
			continue;
		if (r->error)
			return core_refused(c, steal_ptr(&r), &got, e);
		if (fds) {
			*fds = got;
			got = (struct core_fds)CORE_FDS_INIT;
		}
		return steal_ptr(&r);
	}
}

Davit__CoreReply *core_call(struct core *c, Davit__CoreRequest *r, int timeout_ms, struct core_fds *fds, struct err *e)
{
	pthread_mutex_lock(&c->lock);
	Davit__CoreReply *reply = core_send(c, r, e) < 0 ? NULL : core_recv(c, r->id, timeout_ms, fds, e);
	pthread_mutex_unlock(&c->lock);
	return reply;
}

int core_channel_fd(struct core *c, const char *name, struct err *e)
{
	Davit__CoreChannel channel = DAVIT__CORE_CHANNEL__INIT;
	Davit__CoreRequest r = DAVIT__CORE_REQUEST__INIT;
	auto_core_fds struct core_fds fds = CORE_FDS_INIT;

	channel.name = (char *)name;
	r.op_case = DAVIT__CORE_REQUEST__OP_CHANNEL;
	r.channel = &channel;
	auto_pb(Davit__CoreReply) *reply = core_call(c, &r, CORE_TIMEOUT_MS, &fds, e);
	if (!reply)
		return -1;
	if (fds.n != 1)
		return err_set(e, ERR_PROTOCOL, 0, "the runtime core answered a channel with %zu descriptors", fds.n);
	return steal_fd(&fds.fd[0]);
}

int core_channel(struct core *c, const char *name, struct core *out, struct err *e)
{
	int fd = core_channel_fd(c, name, e);
	if (fd < 0)
		return -1;
	core_init(out, fd);
	return 0;
}
