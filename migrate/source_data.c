/* The dump's streams on their way into the upload.
 *
 * A data frame is built where the transport wants it: the payload is read from the core's pipe or CRIU's socket to behind the place of the
 * frame's head, whose length is known, then summed and headed. A page is copied from the kernel once here. */
#include <errno.h>
#include <string.h>
#include "base/clock.h"
#include "migrate/source_private.h"

static const Davit__StreamChannel channel_of[SOURCE_CHANNELS] = {
	DAVIT__STREAM_CHANNEL__CHANNEL_IMAGES, DAVIT__STREAM_CHANNEL__CHANNEL_LAYER,  DAVIT__STREAM_CHANNEL__CHANNEL_PAGES,
	DAVIT__STREAM_CHANNEL__CHANNEL_LOG,    DAVIT__STREAM_CHANNEL__CHANNEL_MEMORY,
};

int source_dump_start(struct source *s, struct err *e)
{
	Davit__CoreDump dump = DAVIT__CORE_DUMP__INIT;
	Davit__CoreRequest r = DAVIT__CORE_REQUEST__INIT;

	dump.name = s->job->container;
	dump.has_tcp_close = dump.tcp_close = s->record.m->tcp_reset;
	dump.has_lazy_pages = dump.has_without_layer = 1;
	dump.lazy_pages = dump.without_layer = s->apart;
	r.op_case = DAVIT__CORE_REQUEST__OP_DUMP;
	r.dump = &dump;
	if (core_send(&s->core, &r, e) < 0)
		return -1;
	s->dump_id = r.id;
	return 0;
}

static int take_streams(struct source *s, struct core_fds *fds, struct err *e)
{
	if (s->dumping || fds->n != SOURCE_DUMP_CHANNELS)
		return err_set(e, ERR_PROTOCOL, 0, "the runtime core answered a dump with %zu descriptors", fds->n);
	for (size_t i = 0; i < SOURCE_DUMP_CHANNELS; i++) {
		if (i == SOURCE_LAYER && s->apart)
			continue; /* on its way since long */
		s->channel[i].fd = steal_fd(&fds->fd[i]);
		if (fd_set_nonblock(s->channel[i].fd, true, e) < 0)
			return -1;
	}
	s->dumping = true;
	if (!s->rate_start)
		s->rate_start = clock_now_ns(CLOCK_MONOTONIC);
	record_phase(&s->record, "transfer");
	return 0;
}

int source_dump_reply(struct source *s, struct err *e)
{
	auto_core_fds struct core_fds fds = CORE_FDS_INIT;
	auto_pb(Davit__CoreReply) *r = core_recv(&s->core, s->dump_id, 0, &fds, e);
	if (!r) {
		s->dump_id = 0;
		return -1;
	}
	source_touch(s);
	if (r->result_case == DAVIT__CORE_REPLY__RESULT_STREAMS && r->more)
		return take_streams(s, &fds, e);
	if (r->result_case != DAVIT__CORE_REPLY__RESULT_DUMP || r->more || !s->dumping)
		return err_set(e, ERR_PROTOCOL, 0, "the runtime core answered a dump with result %d", (int)r->result_case);
	s->dump_id = 0;
	s->dump = steal_ptr(&r->dump);
	r->result_case = DAVIT__CORE_REPLY__RESULT__NOT_SET;
	record_phase_end(&s->record, "dump", 0);
	return 0;
}

/* Closing the streams ends a dump that is still under way; its error reply is left on the socket. */
void source_dump_close(struct source *s)
{
	for (size_t i = 0; i < SOURCE_DUMP_CHANNELS; i++)
		fd_closep(&s->channel[i].fd);
	s->dump_id = 0;
	s->dumping = false;
}

bool source_data_done(const struct source *s)
{
	for (size_t i = 0; i < SOURCE_DUMP_CHANNELS; i++)
		if (!s->channel[i].ended)
			return false;
	return s->dump && (!s->apart || s->live.final_done);
}

bool source_data_flows(const struct source *s)
{
	for (size_t i = 0; i < SOURCE_CHANNELS; i++)
		if (s->channel[i].fd >= 0 && !s->channel[i].ended)
			return true;
	return false;
}

/* The least that is worth a frame under a bandwidth: what it allows in 20 ms. */
static uint64_t quantum(const struct source *s)
{
	return MIN(64 << 10, s->job->bandwidth / 50 + 1);
}

/* Bytes that the bandwidth allows now. Unused allowance is kept for a tenth of a second. */
static uint64_t allowance(struct source *s)
{
	if (!s->job->bandwidth)
		return UINT64_MAX;
	int64_t now = clock_now_ns(CLOCK_MONOTONIC);
	double earned = (double)(now - s->rate_start) / 1e9 * (double)s->job->bandwidth;
	double most = (double)s->rate_sent + (double)s->job->bandwidth / 10;
	if (earned > most) {
		s->rate_start = now - (int64_t)(most / (double)s->job->bandwidth * 1e9);
		earned = most;
	}
	double allowed = earned - (double)s->rate_sent;
	return allowed >= (double)quantum(s) ? (uint64_t)allowed : 0;
}

int64_t source_data_wait(const struct source *s)
{
	if (!s->job->bandwidth || !source_data_flows(s))
		return 0;
	double due = (double)s->rate_start + (double)(s->rate_sent + quantum(s)) / (double)s->job->bandwidth * 1e9;
	return MAX(0, (int64_t)due - clock_now_ns(CLOCK_MONOTONIC));
}

static int end_channel(struct source *s, size_t i, struct err *e)
{
	struct source_channel *c = &s->channel[i];
	if (i == SOURCE_LAYER && s->apart && !s->live.last_pass)
		return source_layer_broke(s, e);
	/* The pages' socket is kept for CRIU's last answers until the dump is done. */
	if (i != SOURCE_PAGES)
		fd_closep(&c->fd);
	c->ended = true;
	return stream_put_end(&s->out, channel_of[i], &c->sum, e);
}

uint8_t *source_data_space(struct source *s, uint8_t *buf)
{
	return s->codec ? codec_writer_space(s->codec) : buf + STREAM_DATA_HEAD;
}

/* A frame whose payload lies in the compressor's space. Its head is longer if it was worth it, and then its payload is moved behind it. */
static ssize_t coded_frame(struct source *s, size_t i, uint8_t *buf, size_t n, uint64_t *digest)
{
	size_t len;
	uint8_t *payload = buf + STREAM_CODED_HEAD;
	enum codec c = codec_write(s->codec, n, payload, n, &len, clock_now_ns(CLOCK_MONOTONIC));
	uint64_t offset = s->channel[i].sum.bytes;
	if (c != CODEC_NONE) {
		*digest = stream_coded_head(buf, channel_of[i], offset, payload, (uint32_t)len, (uint32_t)c, (uint32_t)n);
		return STREAM_CODED_HEAD + (ssize_t)len;
	}
	memmove(buf + STREAM_DATA_HEAD, payload, n);
	*digest = stream_data_head(buf, channel_of[i], offset, buf + STREAM_DATA_HEAD, (uint32_t)n);
	return STREAM_DATA_HEAD + (ssize_t)n;
}

ssize_t source_data_frame(struct source *s, size_t i, uint8_t *buf, size_t n)
{
	struct source_channel *c = &s->channel[i];
	Davit__MoveRecord *m = s->record.m;
	uint64_t digest;
	ssize_t len = STREAM_DATA_HEAD + (ssize_t)n;
	if (s->codec)
		len = coded_frame(s, i, buf, n, &digest);
	else
		digest = stream_data_head(buf, channel_of[i], c->sum.bytes, buf + STREAM_DATA_HEAD, (uint32_t)n);
	stream_sum_add(&c->sum, n, digest);
	s->rate_sent += (uint64_t)len;
	m->has_bytes = m->has_wire_bytes = 1;
	m->bytes += n;
	m->wire_bytes += (uint64_t)len;
	return len;
}

/* One frame of channel i into buf. Returns its length, 0: nothing there now (or its end was queued). */
static ssize_t pull_channel(struct source *s, size_t i, uint8_t *buf, size_t room, struct err *e)
{
	struct source_channel *c = &s->channel[i];
	if (c->ended || c->fd < 0)
		return 0;
	if (i == SOURCE_MEMORY)
		return source_memory_pull(s, buf, room, e);
	ssize_t n = read(c->fd, source_data_space(s, buf), room);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	/* The pages' peer may reset its socket instead of closing it. */
	if (n < 0)
		return err_sys(e, errno, "read the %s of the dump", stream_channel_name(channel_of[i]));
	if (n == 0)
		return end_channel(s, i, e);
	return source_data_frame(s, i, buf, (size_t)n);
}

size_t source_data_pull(struct source *s, uint8_t *buf, size_t cap, struct err *e)
{
	uint64_t allowed = allowance(s);
	size_t room = MIN(MIN(cap - STREAM_CODED_HEAD, s->codec ? CODEC_FRAME_MAX : FRAME_PAYLOAD_MAX), allowed);
	for (size_t tried = 0; room > 0 && tried < SOURCE_CHANNELS; tried++) {
		size_t i = s->next_channel;
		s->next_channel = (i + 1) % SOURCE_CHANNELS;
		ssize_t n = pull_channel(s, i, buf, room, e);
		if (n != 0)
			return n < 0 ? 0 : (size_t)n;
	}
	return 0;
}
