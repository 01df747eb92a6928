/* stdin: datagrams of clients, written to a pipe or the terminal. One datagram waits at most: until it is written no client is read, so a
 * container that does not read its stdin costs no memory. Without --stdin and without a terminal there is none, and input is dropped. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "base/mem.h"
#include "runtime/monitor/monitor.h"

static void give_up(struct monitor *m)
{
	watch_close(m, &m->in);
	m->in_n = m->in_off = 0;
}

static void finish_end(struct monitor *m)
{
	m->in_eof = false;
	if (m->pty >= 0)
		pty_end_of_input(m);
	else
		give_up(m);
}

static void flush(struct monitor *m)
{
	while (m->in_n) {
		ssize_t n = write(m->in.fd, m->in_data + m->in_off, m->in_n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			give_up(m); /* the container closed its stdin */
			break;
		}
		m->in_off += (size_t)n;
		m->in_n -= (size_t)n;
	}
	if (!m->in_n && m->in_eof)
		finish_end(m);
	(void)watch_set(m, &m->in, m->in_n ? EPOLLOUT : 0);
	attach_update(m);
}

static void input_ready(struct monitor *m, struct watch *w, uint32_t events)
{
	(void)w;
	(void)events;
	flush(m);
}

void input_watch(struct monitor *m, int fd)
{
	m->in = (struct watch){ .fd = fd, .ready = input_ready };
}

void input_write(struct monitor *m, const uint8_t *p, size_t n)
{
	if (m->in.fd < 0)
		return;
	memcpy(m->in_data, p, MIN(n, sizeof(m->in_data)));
	m->in_off = 0;
	m->in_n = n;
	flush(m);
}

void input_end(struct monitor *m)
{
	if (m->in.fd < 0)
		return;
	m->in_eof = true;
	flush(m);
}
