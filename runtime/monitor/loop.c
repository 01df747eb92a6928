/* The loop: epoll_wait(2), with a time limit only while somebody has a deadline (a slow client, an exit record to be written again).
 *
 * After each round of events the state is looked at as a whole: has the container ended, is its output read, is the record written. So no
 * order of events can be missed. */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "runtime/monitor/monitor.h"

#define EVENTS_MAX 16

int loop_init(struct monitor *m, struct err *e)
{
	m->epoll = epoll_create1(EPOLL_CLOEXEC);
	return m->epoll < 0 ? err_sys(e, errno, "epoll") : 0;
}

int watch_set(struct monitor *m, struct watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };
	if (w->fd < 0 || w->events == events)
		return 0;
	int op = !w->events ? EPOLL_CTL_ADD : !events ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
	if (epoll_ctl(m->epoll, op, w->fd, &ev) < 0)
		return -1;
	w->events = events;
	return 0;
}

void watch_close(struct monitor *m, struct watch *w)
{
	if (w->fd < 0)
		return;
	(void)watch_set(m, w, 0);
	close(w->fd);
	w->fd = -1;
}

/* Ends of the container's life, step by step. Returns true when there is nothing left to do. */
static bool finish(struct monitor *m)
{
	if (!m->exited)
		return false;
	if (!m->told && output_drain(m)) {
		m->told = true;
		reap_record(m);
		attach_exit(m);
	}
	if (m->told && !m->recorded && clock_now_ns(CLOCK_MONOTONIC) >= m->record_again_ns)
		reap_record(m);
	return m->told && m->recorded && output_all_closed(m) && !attach_any_owes(m);
}

static int wait_ms(const struct monitor *m, int64_t deadline_ns)
{
	int64_t next = deadline_ns;
	if (m->told && !m->recorded && (!next || m->record_again_ns < next))
		next = m->record_again_ns;
	if (!next)
		return -1; /* a container may do nothing for years */
	int64_t left = next - clock_now_ns(CLOCK_MONOTONIC);
	return left <= 0 ? 0 : (int)(left / NSEC_PER_MSEC) + 1;
}

int loop_run(struct monitor *m, struct err *e)
{
	while (!finish(m)) {
		struct epoll_event ev[EVENTS_MAX];
		int64_t deadline = attach_check_deadlines(m, clock_now_ns(CLOCK_MONOTONIC));
		int n = epoll_wait(m->epoll, ev, EVENTS_MAX, wait_ms(m, deadline));
		if (n < 0 && errno != EINTR)
			return err_sys(e, errno, "epoll_wait");
		for (int i = 0; i < n; i++) {
			struct watch *w = ev[i].data.ptr;
			/* An earlier event of this round may have closed or paused it. */
			if (w->fd >= 0 && w->events)
				w->ready(m, w, ev[i].events);
		}
		int status;
		if (m->program > 0 && reap_program(m, &status) && start_done(m, status, e) < 0)
			return -1;
	}
	return 0;
}
