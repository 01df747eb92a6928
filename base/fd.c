/* Reading and writing descriptors whole, and passing them. Sources: pipe(7), unix(7), tcp(7), poll(2), cmsg(3). */
#include "base/fd.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/str.h"

int fd_wait(int fd, short events, int timeout_ms, struct err *e)
{
	int64_t deadline = clock_now_ns(CLOCK_MONOTONIC) + timeout_ms * NSEC_PER_MSEC;
	struct pollfd p = { .fd = fd, .events = events };
	for (int left = timeout_ms;;) {
		int n = poll(&p, 1, left);
		if (n >= 0)
			return n == 0 ? 0 : p.revents;
		if (errno != EINTR)
			return err_sys(e, errno, "poll");
		if (timeout_ms >= 0)
			left = (int)(MAX(deadline - clock_now_ns(CLOCK_MONOTONIC), 0) / NSEC_PER_MSEC);
	}
}

int fd_write_all(int fd, const void *buf, size_t n, struct err *e)
{
	const char *p = buf;
	while (n > 0) {
		ssize_t got = write(fd, p, n);
		if (got >= 0) {
			p += got;
			n -= (size_t)got;
		} else if (errno == EAGAIN) {
			/* No limit: the caller chose to write everything; it ends when the reader closes. */
			if (fd_wait(fd, POLLOUT, -1, e) < 0)
				return -1;
		} else if (errno != EINTR) {
			return err_sys(e, errno, "write");
		}
	}
	return 0;
}

/* read(2) that waits on a non-blocking descriptor too. */
static ssize_t read_some(int fd, void *buf, size_t n, struct err *e)
{
	for (;;) {
		ssize_t got = read(fd, buf, n);
		if (got >= 0)
			return got;
		if (errno == EAGAIN) {
			if (fd_wait(fd, POLLIN, -1, e) < 0) /* no limit: as for a blocking descriptor */
				return -1;
		} else if (errno != EINTR) {
			return err_sys(e, errno, "read");
		}
	}
}

int fd_read_exact(int fd, void *buf, size_t n, struct err *e)
{
	size_t have = 0;
	while (have < n) {
		ssize_t got = read_some(fd, (char *)buf + have, n - have, e);
		if (got < 0)
			return -1;
		if (got == 0)
			return have == 0 ? 0 : err_set(e, ERR_PROTOCOL, 0, "ended after %zu of %zu bytes", have, n);
		have += (size_t)got;
	}
	return 1;
}

char *fd_read_all(int fd, size_t max, size_t *len, struct err *e)
{
	auto_buf struct buf b = { 0 };
	struct stat st;
	size_t hint = fstat(fd, &st) == 0 && st.st_size > 0 ? (size_t)st.st_size : 0;
	if (buf_reserve(&b, MIN(hint, max) + 1, e) < 0)
		return NULL;
	for (;;) {
		if (b.cap - b.len < 2 && buf_reserve(&b, MAX(b.len, 4096), e) < 0)
			return NULL;
		ssize_t got = read_some(fd, b.data + b.len, b.cap - b.len - 1, e);
		if (got < 0)
			return NULL;
		if (got == 0)
			break;
		b.len += (size_t)got;
		if (b.len > max) {
			err_set(e, ERR_LIMIT, 0, "larger than %zu bytes", max);
			return NULL;
		}
	}
	b.data[b.len] = '\0';
	if (len)
		*len = b.len;
	return steal_ptr(&b.data);
}

int fd_pipe(int p[2], struct err *e)
{
	return pipe2(p, O_CLOEXEC) < 0 ? err_sys(e, errno, "make a pipe") : 0;
}

int fd_socketpair(int type, int sv[2], struct err *e)
{
	return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, sv) < 0 ? err_sys(e, errno, "make a socket pair") : 0;
}

static int set_flag(int fd, int get, int set, int flag, bool on, struct err *e)
{
	int flags = fcntl(fd, get);
	if (flags < 0 || fcntl(fd, set, on ? flags | flag : flags & ~flag) < 0)
		return err_sys(e, errno, "change flags of descriptor %d", fd);
	return 0;
}

int fd_set_nonblock(int fd, bool on, struct err *e)
{
	return set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on, e);
}

int fd_set_cloexec(int fd, bool on, struct err *e)
{
	return set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on, e);
}

int fd_dup(int fd, struct err *e)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return copy < 0 ? err_sys(e, errno, "copy descriptor %d", fd) : copy;
}

/* Room for the descriptors of one datagram, aligned as cmsg(3) asks. */
union control {
	char bytes[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
	struct cmsghdr align;
};

int fd_send_msg(int sock, const void *buf, size_t n, const int *fds, size_t nfds, struct err *e)
{
	if (nfds > FD_PASS_MAX)
		return err_set(e, ERR_LIMIT, 0, "%zu descriptors in one message, at most %d pass", nfds, FD_PASS_MAX);
	union control control = { 0 };
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (nfds > 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	while (sendmsg(sock, &m, MSG_NOSIGNAL) < 0) {
		if (errno == EAGAIN) {
			/* No limit: ends when the peer reads or closes. */
			if (fd_wait(sock, POLLOUT, -1, e) < 0)
				return -1;
		} else if (errno != EINTR) {
			return err_sys(e, errno, "send a message of %zu bytes", n);
		}
	}
	return 0;
}

/* Takes the descriptors out of a received message; those beyond cap are closed. Returns how many came. */
static size_t take_fds(struct msghdr *m, int *fds, size_t cap)
{
	size_t came = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++, came++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (came < cap)
				fds[came] = fd;
			else
				close(fd);
		}
	}
	return came;
}

ssize_t fd_recv_msg(int sock, void *buf, size_t cap, int *fds, size_t *nfds, struct err *e)
{
	union control control;
	struct iovec iov = { .iov_base = buf, .iov_len = cap };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes) };
	size_t room = nfds ? MIN(*nfds, (size_t)FD_PASS_MAX) : 0;
	if (nfds)
		*nfds = 0;
	ssize_t n;
	/* A peer that closed without having read all of ours: the kernel tells that once, before what the peer had sent (net/unix/af_unix.c). */
	do
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return err_sys(e, errno, "receive a message");
	size_t came = take_fds(&m, fds, room);
	if (came > room || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		for (size_t i = 0; i < MIN(came, room); i++)
			close(fds[i]);
		return err_set(e, ERR_LIMIT, 0, "received a message of more than %zu bytes or %zu descriptors", cap, room);
	}
	if (nfds)
		*nfds = came;
	return n;
}

void fd_keep_alive(int fd)
{
	const struct {
		int level, name, value;
	} options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 }, { IPPROTO_TCP, TCP_KEEPIDLE, 2 }, { IPPROTO_TCP, TCP_KEEPINTVL, 2 }, { IPPROTO_TCP, TCP_KEEPCNT, 14 }
	};

	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		(void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(options[i].value));
}
