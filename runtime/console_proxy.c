/* A runtime in the foreground: bytes, signals and window sizes between the caller and the container. One epoll-free poll(2) loop over five fds:
 * stdin, master, signalfd, and the child's pidfd. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include "base/fd.h"
#include "base/proc.h"
#include "runtime/console.h"

struct proxy {
	int master, pidfd, signals;
	bool stdin_open;
	bool raw;
	struct termios saved;
};

static void follow_size(int master)
{
	struct winsize w;

	if (master >= 0 && ioctl(0, TIOCGWINSZ, &w) == 0)
		ioctl(master, TIOCSWINSZ, &w);
}

static void make_raw(struct proxy *p)
{
	struct termios t;

	if (p->master < 0 || tcgetattr(0, &p->saved) < 0)
		return;
	t = p->saved;
	cfmakeraw(&t);
	p->raw = tcsetattr(0, TCSANOW, &t) == 0;
}

int console_take(int sock, struct err *e)
{
	int master = console_receive(sock, e);

	follow_size(master);
	return master;
}

/* Returns false at the end of `from`. */
static bool copy(int from, int to)
{
	char b[8192];
	ssize_t n = read(from, b, sizeof(b));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	return n > 0 && fd_write_all(to, b, (size_t)n, NULL) == 0;
}

/* A terminal in raw mode turns the end of its input into the character that means it. */
static void end_input(struct proxy *p)
{
	char eof = 4;

	p->stdin_open = false;
	if (p->master >= 0)
		fd_write_all(p->master, &eof, 1, NULL);
}

static void take_signal(const struct proxy *p)
{
	struct signalfd_siginfo s;

	if (read(p->signals, &s, sizeof(s)) != sizeof(s))
		return;
	if (s.ssi_signo == SIGWINCH)
		follow_size(p->master);
	else if (s.ssi_signo != SIGCHLD)
		proc_pidfd_kill(p->pidfd, (int)s.ssi_signo, NULL);
}

/* What the container wrote before it ended is still in the pty. */
static void drain(const struct proxy *p)
{
	while (p->master >= 0 && fd_wait(p->master, POLLIN, 0, NULL) & POLLIN)
		if (!copy(p->master, 1))
			return;
}

static void loop(struct proxy *p)
{
	for (;;) {
		struct pollfd f[] = {
			{ .fd = p->pidfd, .events = POLLIN },
			{ .fd = p->signals, .events = POLLIN },
			{ .fd = p->master, .events = POLLIN },
			{ .fd = p->master >= 0 && p->stdin_open ? 0 : -1, .events = POLLIN },
		};

		/* No limit: a container runs as long as it likes. */
		if (poll(f, 4, -1) < 0 && errno != EINTR)
			return;
		if (f[1].revents & POLLIN)
			take_signal(p);
		if (f[2].revents && !copy(p->master, 1) && f[0].revents == 0)
			p->master = -1;
		if (f[3].revents && !copy(0, p->master))
			end_input(p);
		if (f[0].revents)
			return drain(p);
	}
}

int console_proxy(int master, pid_t pid, int pidfd, struct err *e)
{
	struct proxy p = { .master = master, .pidfd = pidfd, .stdin_open = true };
	sigset_t all, old;
	int status;

	sigfillset(&all);
	for (const int *s = (const int[]){ SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTTIN, SIGTTOU, SIGTSTP, SIGPIPE, SIGURG, 0 }; *s; s++)
		sigdelset(&all, *s);
	sigprocmask(SIG_BLOCK, &all, &old);
	auto_close int signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		return err_sys(e, errno, "signalfd");
	p.signals = signals;
	follow_size(master); /* which may have changed since */
	make_raw(&p);
	loop(&p);
	if (p.raw)
		tcsetattr(0, TCSANOW, &p.saved);
	status = proc_wait(pid, -1, e);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return status;
}
