/* Clients: a listening SOCK_SEQPACKET socket (unix(7)) and what its clients say and are told (proto/attach.h).
 *
 * The socket has mode 600: the core connects and hands the connection on. Its path may be longer than sun_path takes: it is bound through
 * /proc/self/fd/N/NAME. A client's credentials do not matter, whoever could connect is root or was given the connection by root.
 *
 * Sends never block. A client whose queue is full owes the chunk; until it has taken it no output is read, for a second at most, then the
 * client is ended. The client of --attach-fd is waited for without limit where there is no log: it has the only copy of a session's output. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "runtime/monitor/monitor.h"

static void client_ready(struct monitor *m, struct watch *w, uint32_t events);

/* What a client is watched for: room while it owes, else its datagrams, as long as stdin takes them. */
static void client_update(struct monitor *m, struct client *c)
{
	uint32_t events = c->owes_chunk || c->owes_exit ? EPOLLOUT : m->in_n ? 0 : EPOLLIN;
	(void)watch_set(m, &c->w, events);
}

void attach_update(struct monitor *m)
{
	for (size_t i = 0; i < ATTACH_CLIENTS_MAX; i++)
		client_update(m, &m->clients[i]);
}

/* Whether the chunk is free again, after a client took it or went. */
static void chunk_settle(struct monitor *m)
{
	for (size_t i = 0; i < ATTACH_CLIENTS_MAX; i++)
		if (m->clients[i].w.fd >= 0 && m->clients[i].owes_chunk)
			return;
	m->chunk_n = 0;
	output_update(m);
}

static void client_close(struct monitor *m, struct client *c)
{
	watch_close(m, &c->w);
	c->owes_chunk = c->owes_exit = false;
}

/* 1: sent, 0: no room now, -1: the client is gone. */
static int send_datagram(int fd, enum attach_type type, const void *p, size_t n)
{
	uint8_t t = (uint8_t)type;
	struct iovec iov[] = { { &t, 1 }, { (void *)p, n } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t rc = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (rc >= 0)
		return 1;
	return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -1;
}

static void owe(struct client *c, bool *what)
{
	if (!c->owes_chunk && !c->owes_exit)
		c->deadline_ns = c->has_time ? INT64_MAX : clock_now_ns(CLOCK_MONOTONIC) + CLIENT_PATIENCE_NS;
	*what = true;
}

static void send_chunk(struct monitor *m, struct client *c)
{
	c->owes_chunk = false;
	int rc = send_datagram(c->w.fd, m->chunk_type, m->chunk, m->chunk_n);
	if (rc < 0)
		client_close(m, c);
	else if (rc == 0)
		owe(c, &c->owes_chunk);
}

static void send_exit(struct monitor *m, struct client *c)
{
	uint32_t code = (uint32_t)reap_exit_code(m);
	uint8_t data[] = { (uint8_t)(code >> 24), (uint8_t)(code >> 16), (uint8_t)(code >> 8), (uint8_t)code };
	c->owes_exit = false;
	if (send_datagram(c->w.fd, ATTACH_EXIT, data, sizeof(data)) == 0)
		owe(c, &c->owes_exit);
	else
		client_close(m, c); /* it was the last datagram */
}

void attach_broadcast(struct monitor *m)
{
	for (size_t i = 0; i < ATTACH_CLIENTS_MAX; i++) {
		struct client *c = &m->clients[i];
		if (c->w.fd < 0 || c->owes_exit)
			continue;
		send_chunk(m, c);
		client_update(m, c);
	}
	chunk_settle(m);
}

void attach_exit(struct monitor *m)
{
	for (size_t i = 0; i < ATTACH_CLIENTS_MAX; i++)
		if (m->clients[i].w.fd >= 0) {
			send_exit(m, &m->clients[i]);
			client_update(m, &m->clients[i]);
		}
}

int64_t attach_check_deadlines(struct monitor *m, int64_t now_ns)
{
	int64_t next = 0;
	for (size_t i = 0; i < ATTACH_CLIENTS_MAX; i++) {
		struct client *c = &m->clients[i];
		if (c->w.fd < 0 || (!c->owes_chunk && !c->owes_exit))
			continue;
		if (now_ns >= c->deadline_ns) {
			client_close(m, c);
			chunk_settle(m);
		} else if (c->deadline_ns != INT64_MAX && (!next || c->deadline_ns < next)) {
			next = c->deadline_ns;
		}
	}
	return next;
}

bool attach_any_owes(const struct monitor *m)
{
	for (size_t i = 0; i < ATTACH_CLIENTS_MAX; i++)
		if (m->clients[i].w.fd >= 0 && (m->clients[i].owes_chunk || m->clients[i].owes_exit))
			return true;
	return false;
}

static void obey(struct monitor *m, const struct attach_msg *msg)
{
	if (msg->type == ATTACH_STDIN)
		input_write(m, msg->data, msg->n);
	else if (msg->type == ATTACH_STDIN_EOF)
		input_end(m);
	else if (msg->type == ATTACH_RESIZE)
		pty_resize(m, msg->rows, msg->columns);
}

static void client_ready(struct monitor *m, struct watch *w, uint32_t events)
{
	struct client *c = (struct client *)w;
	struct attach_msg msg;
	if (c->owes_chunk || c->owes_exit) {
		if (c->owes_chunk)
			send_chunk(m, c);
		if (c->w.fd >= 0 && c->owes_exit && !c->owes_chunk)
			send_exit(m, c);
	} else if (events) {
		ssize_t n = recv(w->fd, m->datagram, sizeof(m->datagram), MSG_DONTWAIT | MSG_TRUNC);
		/* ECONNRESET: it went without reading all; what it sent comes next. */
		if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNRESET))
			return;
		/* One that breaks the protocol is ended as one that hung up. */
		if (n <= 0 || (size_t)n > sizeof(m->datagram) || attach_parse(m->datagram, (size_t)n, &msg, NULL) < 0)
			client_close(m, c);
		else
			obey(m, &msg);
	}
	client_update(m, c);
	if (m->chunk_n)
		chunk_settle(m);
}

int attach_add(struct monitor *m, int fd, bool has_time)
{
	for (size_t i = 0; i < ATTACH_CLIENTS_MAX; i++) {
		struct client *c = &m->clients[i];
		if (c->w.fd >= 0)
			continue;
		*c = (struct client){ .w = { .fd = fd, .ready = client_ready }, .has_time = has_time };
		if (m->told)
			send_exit(m, c);
		client_update(m, c);
		return 0;
	}
	close(fd); /* the caller is told by the end of its connection */
	return -1;
}

static void listener_ready(struct monitor *m, struct watch *w, uint32_t events)
{
	(void)events;
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		(void)attach_add(m, fd, false);
}

int attach_listen(struct monitor *m, struct err *e)
{
	char dir[4096], base[4096];
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	if (!m->o.attach)
		return 0;
	snprintf(dir, sizeof(dir), "%s", m->o.attach);
	snprintf(base, sizeof(base), "%s", m->o.attach);
	m->attach_dirfd = open(dirname(dir), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (m->attach_dirfd < 0)
		return err_sys(e, errno, "folder of the attach socket %s", m->o.attach);
	if (snprintf(m->attach_name, sizeof(m->attach_name), "%s", basename(base)) > 64)
		return err_field(e, "attach", "%s: the name is longer than 64 characters", m->o.attach);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/%.64s", m->attach_dirfd, m->attach_name);
	(void)unlinkat(m->attach_dirfd, m->attach_name, 0); /* of a monitor that was killed */
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	m->listener = (struct watch){ .fd = fd, .ready = listener_ready };
	mode_t old = umask(0177);
	int rc = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&sa, sizeof(sa));
	umask(old);
	if (rc < 0 || listen(fd, 16) < 0 || watch_set(m, &m->listener, EPOLLIN) < 0)
		return err_sys(e, errno, "attach socket %s", m->o.attach);
	return 0;
}

void attach_unlink(struct monitor *m)
{
	if (m->attach_dirfd >= 0)
		(void)unlinkat(m->attach_dirfd, m->attach_name, 0);
}
