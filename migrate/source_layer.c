/* Passes over the writable layer while the container runs (CoreReply.layer_copied tells of the core's side). */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include "migrate/source_private.h"

#define BROKE_MS 1000 /* the core tells why within that */

int source_layer_start(struct source *s, struct err *e)
{
	struct source_live *l = &s->live;
	auto_core_fds struct core_fds fds = CORE_FDS_INIT;

	if (core_channel(&s->core, s->job->container, &l->layer_core, e) < 0)
		return -1;
	l->has_layer_core = true;
	if (core_open(&l->layer_core, DAVIT__CORE_REQUEST__OP_LAYER_COPY, s->job->container, 2, &fds, &l->layer_id, e) < 0)
		return -1;
	s->channel[SOURCE_LAYER].fd = steal_fd(&fds.fd[0]);
	l->go = steal_fd(&fds.fd[1]);
	return fd_set_nonblock(s->channel[SOURCE_LAYER].fd, true, e) < 0 ? -1 : fd_set_nonblock(l->go, true, e);
}

int source_layer_pass(struct source *s, bool last, struct err *e)
{
	s->live.passing = true;
	s->live.last_pass |= last;
	return fd_write_all(s->live.go, last ? "f" : "p", 1, e);
}

int source_layer_answer(struct source *s, struct err *e)
{
	struct source_live *l = &s->live;
	ssize_t n = read(l->go, l->pass_answer + l->pass_have, sizeof(l->pass_answer) - l->pass_have);
	uint64_t bytes;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return source_layer_broke(s, e);
	if ((l->pass_have += (size_t)n) < sizeof(l->pass_answer))
		return 0;
	l->pass_have = 0;
	l->passing = false;
	l->passes++;
	memcpy(&bytes, l->pass_answer, sizeof(bytes));
	source_touch(s);
	return source_live_pass_done(s, le64toh(bytes), e);
}

int source_layer_broke(struct source *s, struct err *e)
{
	auto_pb(Davit__CoreReply) *r = core_recv(&s->live.layer_core, s->live.layer_id, BROKE_MS, NULL, e);
	return r ? err_set(e, ERR_PROTOCOL, 0, "the runtime core ended the layer before its last pass") : -1;
}
