/* Output of the container: read, logged, sent to the clients.
 *
 * One chunk at a time. While a client has not taken the chunk, nothing is read: the pipe fills and the container waits, so nothing is lost; a
 * client that keeps it waiting for a second is ended (attach.c). The log is written before clients are served.
 *
 * When the container's first process has ended, what lay in its pipes at that moment is still read before the end is told, and no more: another
 * process that holds a pipe (one that an exec session left behind) could go on for ever. Its output is logged as long as it comes. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/mem.h"
#include "runtime/monitor/monitor.h"

/* A terminal's bytes may wait in places that FIONREAD does not tell of; it is read until it has nothing, this many bytes at most. */
#define PTY_OWED_MAX (1 << 20)

static void keep_tail(struct monitor *m, const uint8_t *p, size_t n)
{
	if (n > PROGRAM_TAIL_MAX) {
		p += n - PROGRAM_TAIL_MAX;
		n = PROGRAM_TAIL_MAX;
	}
	size_t keep = MIN(m->tail_n, PROGRAM_TAIL_MAX - n);
	memmove(m->tail, m->tail + m->tail_n - keep, keep);
	memcpy(m->tail + keep, p, n);
	m->tail_n = keep + n;
}

static bool is_terminal(const struct monitor *m, const struct output *o)
{
	return m->pty >= 0 && o->stream == 0;
}

/* An output came to its end. A terminal without an open slave looks the same, but its next opener may come (a shell that starts
 * another): it is then waited for by edges, since the level would be told without pause. */
static void at_end(struct monitor *m, struct output *o)
{
	o->owed = 0;
	if (is_terminal(m, o) && !m->exited)
		(void)watch_set(m, &o->w, EPOLLIN | EPOLLET);
	else
		watch_close(m, &o->w);
}

/* Reads one chunk. Returns its length, or 0 when there is nothing now. */
static size_t read_chunk(struct monitor *m, struct output *o)
{
	ssize_t n = read(o->w.fd, m->chunk, sizeof(m->chunk));
	if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
		if (errno == EAGAIN)
			o->owed = 0;
		return 0;
	}
	if (n <= 0) {
		at_end(m, o);
		return 0;
	}
	m->chunk_type = o->stream ? ATTACH_STDERR : ATTACH_STDOUT;
	m->chunk_n = (size_t)n;
	o->owed -= MIN(o->owed, (size_t)n);
	return (size_t)n;
}

static void take_chunk(struct monitor *m, struct output *o)
{
	size_t n = read_chunk(m, o);
	if (!n)
		return;
	if (!m->init && o->stream == 1)
		keep_tail(m, m->chunk, n);
	log_output(&m->log, &m->o, o->stream, m->chunk, n);
	attach_broadcast(m);
	output_update(m);
}

static void output_ready(struct monitor *m, struct watch *w, uint32_t events)
{
	(void)events;
	take_chunk(m, (struct output *)w);
}

void output_add(struct monitor *m, int stream, int fd)
{
	struct output *o = &m->out[stream];
	o->stream = stream;
	o->w = (struct watch){ .fd = fd, .ready = output_ready };
	(void)watch_set(m, &o->w, EPOLLIN);
}

void output_note_exit(struct monitor *m)
{
	for (size_t i = 0; i < ARRAY_LEN(m->out); i++) {
		int n = 0;
		if (m->out[i].w.fd >= 0 && ioctl(m->out[i].w.fd, FIONREAD, &n) == 0)
			m->out[i].owed = is_terminal(m, &m->out[i]) ? PTY_OWED_MAX : (size_t)n;
	}
}

bool output_drain(struct monitor *m)
{
	for (size_t i = 0; i < ARRAY_LEN(m->out); i++)
		while (m->out[i].w.fd >= 0 && m->out[i].owed) {
			if (m->chunk_n)
				return false;
			take_chunk(m, &m->out[i]);
		}
	return !m->chunk_n;
}

void output_update(struct monitor *m)
{
	for (size_t i = 0; i < ARRAY_LEN(m->out); i++)
		(void)watch_set(m, &m->out[i].w, m->chunk_n ? 0 : EPOLLIN);
}

bool output_all_closed(const struct monitor *m)
{
	return m->out[0].w.fd < 0 && m->out[1].w.fd < 0;
}
