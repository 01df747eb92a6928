/* HTTP/1.1 over a unix socket, a connection for each request.
 *
 * Only what davitd's server says is understood, which is less than HTTP allows: an answer has a head, and a body that is counted, in chunks, or ends
 * with the connection. An answer may come while the request's body still goes out (it is refused, or a session has ended): then the rest stays
 * unsent. Source: RFC 9112. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include "agent/cli/transfer.h"
#include "base/fd.h"

#define CONNECT_TIMEOUT_S 10
#define HEAD_MAX ((size_t)64 << 10)
#define CHUNK_LINE_MAX ((size_t)1 << 10)
#define PIECE ((size_t)64 << 10)
#define UNKNOWN UINT64_MAX

struct local {
	struct transfer *t;
	const char *socket;
	int fd;
	struct buf in; /* read and not used yet */
	bool chunked;
	uint64_t length;
};

static void local_free(struct local *l)
{
	fd_closep(&l->fd);
	buf_free(&l->in);
}

static int reach(struct local *l, struct err *e)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const struct timeval limit = { .tv_sec = CONNECT_TIMEOUT_S };

	if (strlen(l->socket) >= sizeof(to.sun_path)) {
		err_field(e, "--host", "the path of a socket has at most %zu characters", sizeof(to.sun_path) - 1);
		return -1;
	}
	strcpy(to.sun_path, l->socket);
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return err_sys(e, errno, "socket");
	/* What is sent does not wait by itself, so that this limit is connect's alone. */
	if (setsockopt(l->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 || connect(l->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return transfer_no_agent(l->socket, "is davitd running, and may you use its socket?", e);
	return 0;
}

/* 1: sent; 0: the agent answers already, or takes no more; -1. */
static int put(struct local *l, const char *p, size_t n, struct err *e)
{
	while (n > 0) {
		struct pollfd f = { .fd = l->fd, .events = POLLIN | POLLOUT };
		ssize_t sent;

		/* No limit: the agent may write to a slow disk what it takes. */
		if (poll(&f, 1, -1) < 0 && errno != EINTR)
			return err_sys(e, errno, "poll");
		if (f.revents & ~POLLOUT)
			return 0;
		sent = send(l->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
			return 0;
		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return err_sys(e, errno, "send to %s", l->socket);
		p += MAX(sent, 0);
		n -= (size_t)MAX(sent, 0);
	}
	return 1;
}

static int put_head(struct local *l, struct err *e)
{
	const struct transfer *t = l->t;
	auto_buf struct buf b = { 0 };

	if (buf_printf(&b, e, "%s %s HTTP/1.1\r\nHost: davit\r\nAccept: " TRANSFER_MEDIA "\r\n", t->method, t->path) < 0)
		return -1;
	if (t->in && buf_printf(&b, e, "Content-Type: " TRANSFER_MEDIA "\r\nContent-Length: %zu\r\n", t->in->len) < 0)
		return -1;
	if (t->give && t->size >= 0 && buf_printf(&b, e, "Content-Length: %lld\r\n", (long long)t->size) < 0)
		return -1;
	if (t->give && t->size < 0 && buf_puts(&b, "Transfer-Encoding: chunked\r\n", e) < 0)
		return -1;
	if (buf_puts(&b, "\r\n", e) < 0 || (t->in && buf_append(&b, t->in->data, t->in->len, e) < 0))
		return -1;
	return put(l, b.data, b.len, e);
}

static int put_chunk(struct local *l, const char *p, size_t n, struct err *e)
{
	char head[32];
	int len = snprintf(head, sizeof(head), "%zx\r\n", n), rc = put(l, head, (size_t)len, e);

	if (rc > 0)
		rc = put(l, p, n, e);
	return rc > 0 ? put(l, "\r\n", 2, e) : rc;
}

/* As put(). */
static int put_stream(struct local *l, struct err *e)
{
	const struct transfer *t = l->t;
	auto_free char *piece = mem_new(PIECE, 1, e);
	uint64_t left = t->size < 0 ? UNKNOWN : (uint64_t)t->size;
	int rc = 1;

	if (!piece)
		return -1;
	while (rc > 0 && left > 0) {
		ssize_t n = t->give(t->arg, piece, (size_t)MIN(left, PIECE));
		if (n < 0 || (n == 0 && t->size >= 0))
			return err_set(e, ERR_IO, 0, "%s: what was to be sent ended early", l->socket);
		if (t->size >= 0)
			left -= (uint64_t)n;
		rc = t->size >= 0 ? put(l, piece, (size_t)n, e) : put_chunk(l, piece, (size_t)n, e);
		if (n == 0)
			break;
	}
	return rc;
}

/* 1: there is more in the buffer; 0: the end; -1. */
static int more(struct local *l, struct err *e)
{
	ssize_t n;

	if (buf_reserve(&l->in, PIECE, e) < 0)
		return -1;
	do
		n = read(l->fd, l->in.data + l->in.len, PIECE);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, errno, "%s", l->socket);
	l->in.len += (size_t)n;
	return n > 0;
}

static int fill(struct local *l, struct err *e)
{
	int rc = more(l, e);

	return rc == 0 ? err_set(e, ERR_IO, 0, "%s: the agent ended the connection before its answer was whole", l->socket) : rc;
}

/* Waits until `end` is in the buffer. Returns how many bytes lie before it, or -1. */
static ssize_t fill_until(struct local *l, const char *end, size_t max, struct err *e)
{
	const char *at;

	while (!(at = l->in.len ? memmem(l->in.data, l->in.len, end, strlen(end)) : NULL)) {
		if (l->in.len > max)
			return err_set(e, ERR_PROTOCOL, 0, "%s does not speak HTTP", l->socket);
		if (fill(l, e) < 0)
			return -1;
	}
	return at - l->in.data;
}

static void take_field(struct local *l, const char *line)
{
	static const char length[] = "Content-Length:", encoding[] = "Transfer-Encoding:";

	if (!strncasecmp(line, length, sizeof(length) - 1))
		l->length = strtoull(line + sizeof(length) - 1, NULL, 10);
	if (!strncasecmp(line, encoding, sizeof(encoding) - 1))
		l->chunked = strcasestr(line, "chunked") != NULL;
}

static int take_head(struct local *l, struct err *e)
{
	ssize_t n = fill_until(l, "\r\n\r\n", HEAD_MAX, e);

	if (n < 0)
		return -1;
	l->in.data[n] = '\0';
	if (sscanf(l->in.data, "HTTP/1.%*1d %3ld", &l->t->status) != 1)
		return err_set(e, ERR_PROTOCOL, 0, "%s does not speak HTTP", l->socket);
	l->length = UNKNOWN;
	l->chunked = false;
	for (const char *line = l->in.data; (line = strstr(line, "\r\n")) != NULL;) {
		line += 2;
		take_field(l, line);
	}
	buf_consume(&l->in, (size_t)n + 4);
	return 0;
}

/* The next n bytes of the body. */
static int take_counted(struct local *l, uint64_t n, struct err *e)
{
	while (n > 0) {
		if (l->in.len == 0 && fill(l, e) < 0)
			return -1;
		size_t now = (size_t)MIN(n, l->in.len);
		if (transfer_take(l->t, l->in.data, now) < 0)
			return -1;
		buf_consume(&l->in, now);
		n -= now;
	}
	return 0;
}

/* A line of a chunk: its number, or nothing. */
static int take_line(struct local *l, uint64_t *number, struct err *e)
{
	ssize_t n = fill_until(l, "\r\n", CHUNK_LINE_MAX, e);
	char *end;

	if (n < 0)
		return -1;
	errno = 0;
	*number = strtoull(l->in.data, &end, 16);
	if (errno || (n > 0 && end == l->in.data))
		return err_set(e, ERR_PROTOCOL, 0, "%s: a chunk without a length", l->socket);
	buf_consume(&l->in, (size_t)n + 2);
	return n > 0;
}

static int take_chunks(struct local *l, struct err *e)
{
	uint64_t size = 1, none;

	while (size > 0) {
		int rc = take_line(l, &size, e);
		if (rc == 0)
			return err_set(e, ERR_PROTOCOL, 0, "%s: a chunk without a length", l->socket);
		if (rc < 0 || take_counted(l, size, e) < 0 || take_line(l, &none, e) < 0)
			return -1;
	}
	return 0;
}

static int take_rest(struct local *l, struct err *e)
{
	int rc;

	do
		rc = take_counted(l, l->in.len, e) < 0 ? -1 : more(l, e);
	while (rc > 0);
	return rc;
}

static int take_answer(struct local *l, struct err *e)
{
	/* One that only tells that there will be one is none. */
	do
		if (take_head(l, e) < 0)
			return -1;
	while (l->t->status < 200);
	if (l->t->status == 204)
		return 0;
	if (l->chunked)
		return take_chunks(l, e);
	return l->length != UNKNOWN ? take_counted(l, l->length, e) : take_rest(l, e);
}

int transfer_local(const char *socket, struct transfer *t)
{
	auto_cleanup(local_free) struct local l = { .t = t, .socket = socket, .fd = -1 };

	if (reach(&l, t->e) < 0)
		return -1;
	int rc = put_head(&l, t->e);
	if (rc > 0 && t->give)
		rc = put_stream(&l, t->e);
	return rc < 0 ? -1 : take_answer(&l, t->e);
}
