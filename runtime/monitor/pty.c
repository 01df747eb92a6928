/* A terminal: the container's runtime makes it (the slave must be of the container's own devpts) and sends its master over a unix stream socket,
 * the console socket (runc's docs/terminals.md). The socket lies beside the attach socket and is gone as soon as it was used.
 *
 * PROGRAM is told the path as /proc/PID/fd/N/NAME, which always fits into sun_path. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>
#include "base/fd.h"
#include "runtime/monitor/monitor.h"

/* One message with one descriptor. Returns it, or -1. */
static int receive_master(int sock)
{
	char name[256];
	struct iovec iov = { name, sizeof(name) };
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) <= 0)
		return -1;
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
		return -1;
	int fd;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static void take_master(struct monitor *m, int master)
{
	int out = fcntl(master, F_DUPFD_CLOEXEC, 3), in = fcntl(master, F_DUPFD_CLOEXEC, 3);
	if (out < 0 || in < 0 || !isatty(master)) {
		close(master);
		(void)(out >= 0 && close(out));
		(void)(in >= 0 && close(in));
		return;
	}
	(void)fd_set_nonblock(master, true, NULL);
	m->pty = master;
	input_watch(m, in);
	output_add(m, 0, out);
	if (m->o.rows && m->o.columns)
		pty_resize(m, (unsigned)m->o.rows, (unsigned)m->o.columns);
}

/* The sender may be anything PROGRAM started; it is root's own, and its message comes at once with the connection. */
static void console_ready(struct monitor *m, struct watch *w, uint32_t events)
{
	(void)events;
	auto_close int sock = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);
	if (sock < 0)
		return;
	const struct timeval limit = { .tv_sec = 10 };
	(void)setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	int master = receive_master(sock);
	if (master < 0)
		return; /* PROGRAM will find no terminal, or sends it again */
	if (m->pty >= 0)
		close(master); /* there is one terminal */
	else
		take_master(m, master);
}

static void console_name(const struct monitor *m, char out[80])
{
	snprintf(out, 80, "%.64s.console", m->attach_name);
}

int pty_listen(struct monitor *m, char *path, size_t cap, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char name[80];
	console_name(m, name);
	(void)unlinkat(m->attach_dirfd, name, 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/%s", m->attach_dirfd, name);
	snprintf(path, cap, "/proc/%d/fd/%d/%s", (int)getpid(), m->attach_dirfd, name);
	m->console = (struct watch){ .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), .ready = console_ready };
	mode_t old = umask(0177);
	int rc = m->console.fd < 0 ? -1 : bind(m->console.fd, (struct sockaddr *)&sa, sizeof(sa));
	umask(old);
	if (rc < 0 || listen(m->console.fd, 1) < 0 || watch_set(m, &m->console, EPOLLIN) < 0)
		return err_sys(e, errno, "console socket beside %s", m->o.attach);
	return 0;
}

void pty_unlisten(struct monitor *m)
{
	char name[80];
	if (m->console.fd < 0)
		return;
	/* PROGRAM may have sent it and ended since the last look. */
	if (m->pty < 0)
		console_ready(m, &m->console, EPOLLIN);
	console_name(m, name);
	watch_close(m, &m->console);
	(void)unlinkat(m->attach_dirfd, name, 0);
}

void pty_resize(struct monitor *m, unsigned rows, unsigned columns)
{
	struct winsize size = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns };
	if (m->pty >= 0)
		(void)ioctl(m->pty, TIOCSWINSZ, &size);
}

/* A terminal has no end of input; a program that reads lines takes the end-of-file character for it. In raw mode it would be data. */
void pty_end_of_input(struct monitor *m)
{
	struct termios t;
	if (tcgetattr(m->pty, &t) == 0 && (t.c_lflag & ICANON))
		(void)!write(m->pty, &t.c_cc[VEOF], 1);
}
