/* The core's one loop: epoll over channels, children, signals and exit files.
 *
 * One event a turn, so that what an event removes cannot be met later in the same turn. The loop waits without a limit: it has nothing to do unless
 * something happens. */
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include "base/clock.h"
#include "base/log.h"
#include "runtime/serve/loop.h"

/* At the end jobs get this long, so that the short ones leave nothing to the next core; the others go on without us, under their locks. */
#define END_WAIT_NS (2 * NSEC_PER_SEC)

int loop_add(struct loop *l, struct source *s, struct err *e)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = s };
	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, s->fd, &ev) < 0 ? err_sys(e, errno, "watch a descriptor") : 0;
}

void loop_remove(struct loop *l, struct source *s)
{
	(void)epoll_ctl(l->epoll, EPOLL_CTL_DEL, s->fd, NULL);
	fd_closep(&s->fd);
}

static void signals_ready(struct loop *l, struct source *s)
{
	struct signalfd_siginfo info;
	if (read(s->fd, &info, sizeof(info)) == sizeof(info))
		l->ending = true;
}

static int open_signals(struct loop *l, struct err *e)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	signal(SIGPIPE, SIG_IGN); /* the agent may go at any time */
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_sys(e, errno, "block signals");
	l->signals = (struct source){ .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .ready = signals_ready };
	return l->signals.fd < 0 ? err_sys(e, errno, "signalfd") : loop_add(l, &l->signals, e);
}

static int turn(struct loop *l, int timeout_ms, struct err *e)
{
	struct epoll_event ev;
	int n = epoll_wait(l->epoll, &ev, 1, timeout_ms);
	if (n < 0 && errno != EINTR)
		return err_sys(e, errno, "epoll_wait");
	if (n == 1) {
		struct source *s = ev.data.ptr;
		s->ready(l, s);
	}
	return 0;
}

static int finish(struct loop *l, struct err *e)
{
	int64_t until = clock_now_ns(CLOCK_MONOTONIC) + END_WAIT_NS;
	while (l->channels)
		channel_close(l, l->channels);
	while (l->jobs && clock_now_ns(CLOCK_MONOTONIC) < until)
		if (turn(l, 100, e) < 0)
			return -1;
	if (l->jobs)
		log_warn("%zu requests go on without the core", l->njobs);
	return 0;
}

int serve_run(const struct core *c, struct err *e)
{
	struct loop l = { .core = c, .signals.fd = -1, .inotify.fd = -1 };
	auto_close int epoll = epoll_create1(EPOLL_CLOEXEC);
	l.epoll = epoll;
	if (epoll < 0)
		return err_sys(e, errno, "epoll_create1");
	int rc = open_signals(&l, e);
	if (rc == 0 && (rc = events_open(&l, e)) == 0 && (rc = job_take_up(&l, e)) == 0)
		rc = channel_add(&l, c->socket, NULL, true, e);
	while (rc == 0 && !l.ending)
		rc = turn(&l, -1, e);
	if (rc == 0)
		rc = finish(&l, e);
	events_close(&l);
	fd_closep(&l.signals.fd);
	return rc;
}
