/* The memory socket on its way into the upload.
 *
 * Its bytes are read to where the transport wants them and go on as they are; here they are only looked through: pages are counted, and the answer
 * to our own commands (ROUND_DONE, FAILED; one at a time) is cut out. Pages that the target had asked for may follow it closely. A record whose bytes
 * came only in part waits in the reader and goes in front of the next piece. What the target's store asks for is taken apart and told on record by
 * record: no other command of the other host reaches the process that serves the memory. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "migrate/source_private.h"

static bool is_answer(enum memory_type t)
{
	return t == MEMORY_ROUND_DONE || t == MEMORY_FAILED;
}

/* n bytes of an answer, which are one after the other. */
static void cut_out(struct source_memory *m, size_t n)
{
	if (m->ours == 0)
		m->ours_at = m->at;
	m->ours += n;
}

static int on_record(void *arg, const struct memory_record *r, struct err *e)
{
	struct source_memory *m = &((struct source *)arg)->memory;
	(void)e;
	m->in_answer = is_answer(r->type);
	if (m->in_answer) {
		m->answer = *r;
		m->text_len = 0;
		cut_out(m, MEMORY_RECORD_SIZE);
		m->answer_whole = r->type == MEMORY_FAILED && r->value == 0;
	}
	m->at += MEMORY_RECORD_SIZE;
	m->ended |= r->type == MEMORY_END;
	return 0;
}

static int on_data(void *arg, const uint8_t *p, size_t n, uint64_t left, struct err *e)
{
	struct source_memory *m = &((struct source *)arg)->memory;
	if (m->in_answer) {
		if (m->text_len + n > sizeof(m->text))
			return err_set(e, ERR_PROTOCOL, 0, "an answer of %llu bytes", (unsigned long long)(m->text_len + n + left));
		memcpy(m->text + m->text_len, p, n);
		m->text_len += n;
		cut_out(m, n);
		m->answer_whole = left == 0;
	} else {
		m->bytes += n;
	}
	m->at += n;
	return 0;
}

static int take_answer(struct source *s, struct err *e)
{
	struct source_memory *m = &s->memory;
	m->answer_whole = false;
	if (m->answer.type == MEMORY_FAILED)
		return err_set(e, ERR_IO, 0, "the memory of the container: %.*s", (int)m->text_len, (const char *)m->text);
	return source_live_round_done(s, e);
}

ssize_t source_memory_pull(struct source *s, uint8_t *buf, size_t room, struct err *e)
{
	const struct memory_sink sink = { .record = on_record, .data = on_data, .arg = s };
	struct source_memory *m = &s->memory;
	uint8_t *at = source_data_space(s, buf);
	size_t kept = m->in.have;
	if (room <= kept)
		return 0;
	ssize_t n = read(s->channel[SOURCE_MEMORY].fd, at + kept, room - kept);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return err_set(e, ERR_IO, n < 0 ? errno : 0, "the process that serves the container's memory ended");
	memcpy(at, m->in.partial, kept);
	m->at = m->ours = 0;
	if (memory_feed(&m->in, &sink, at + kept, (size_t)n, e) < 0)
		return -1;
	size_t whole = m->at - m->ours;
	if (m->ours > 0)
		memmove(at + m->ours_at, at + m->ours_at + m->ours, whole - m->ours_at);
	ssize_t frame = whole > 0 ? source_data_frame(s, SOURCE_MEMORY, buf, whole) : 0;
	if (m->answer_whole && take_answer(s, e) < 0)
		return -1;
	if (m->ended && !s->channel[SOURCE_MEMORY].ended) {
		s->channel[SOURCE_MEMORY].ended = true;
		if (stream_put_end(&s->out, DAVIT__STREAM_CHANNEL__CHANNEL_MEMORY, &s->channel[SOURCE_MEMORY].sum, e) < 0)
			return -1;
	}
	return frame;
}

int source_memory_open(struct source *s, struct err *e)
{
	auto_core_fds struct core_fds fds = CORE_FDS_INIT;
	uint64_t id;

	if (core_open(&s->core, DAVIT__CORE_REQUEST__OP_MEMORY, s->job->container, 1, &fds, &id, e) < 0)
		return -1;
	s->channel[SOURCE_MEMORY].fd = steal_fd(&fds.fd[0]);
	s->memory.in.allowed = MEMORY_OF_SOURCE;
	s->memory.wanted.allowed = MEMORY_OF_TARGET;
	s->memory.in.page_size = s->memory.wanted.page_size = (size_t)sysconf(_SC_PAGESIZE);
	return fd_set_nonblock(s->channel[SOURCE_MEMORY].fd, true, e);
}

int source_memory_flush(struct source *s, struct err *e)
{
	struct source_memory *m = &s->memory;
	while (m->out.len > 0 && s->channel[SOURCE_MEMORY].fd >= 0) {
		ssize_t n = send(s->channel[SOURCE_MEMORY].fd, m->out.data, m->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n < 0)
			return err_sys(e, errno, "tell the process that serves the container's memory");
		buf_consume(&m->out, (size_t)n);
	}
	return 0;
}

static int say(struct source *s, const struct memory_record *r, struct err *e)
{
	uint8_t bytes[MEMORY_RECORD_SIZE];
	memory_put(r, bytes);
	return buf_append(&s->memory.out, bytes, sizeof(bytes), e) < 0 ? -1 : source_memory_flush(s, e);
}

int source_memory_say(struct source *s, enum memory_type type, uint16_t flags, uint64_t value, struct err *e)
{
	const struct memory_record r = { .type = type, .flags = flags, .value = value };
	return say(s, &r, e);
}

static int on_wanted(void *arg, const struct memory_record *r, struct err *e)
{
	return say(arg, r, e);
}

int source_memory_wanted(struct source *s, const uint8_t *p, size_t n, struct err *e)
{
	const struct memory_sink sink = { .record = on_wanted, .arg = s };
	/* Everything was sent: what it asked for is on its way. */
	return s->channel[SOURCE_MEMORY].fd < 0 || s->memory.ended ? 0 : memory_feed(&s->memory.wanted, &sink, p, n, e);
}
