/* Where a group's members wait for each other: davitd counts them and gives each a byte (agent/job/group.c).
 *
 * A member that waits before the freeze still runs, and one that waits before the commit is frozen, as are all others then. Nobody waits by a clock
 * of its own: a member that fails has all others cancelled, and without davitd the descriptor ends. */
#include <errno.h>
#include <unistd.h>
#include "base/clock.h"
#include "migrate/source_private.h"

/* What a writer dirties in so long fits into the freeze as well. */
#define SHORT_NS (50 * NSEC_PER_MSEC)

static const char *phase_of(enum handover_event ev)
{
	return ev == EVENT_COMMIT ? "agree" : "gather";
}

void source_meets_at(struct source *s, int fd)
{
	s->meet_fd = fd;
}

void source_meet(struct source *s, enum handover_event ev)
{
	if (s->meet_fd < 0) {
		source_event(s, ev);
		return;
	}
	s->met = ev;
	s->waits = clock_now_ns(CLOCK_MONOTONIC);
	source_phase(s, phase_of(ev));
}

void source_meet_step(struct source *s)
{
	struct err e = { 0 };
	char byte;
	if (!s->waits || s->finished)
		return;
	source_touch(s);
	ssize_t n = read(s->meet_fd, &byte, 1);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	int64_t waited = clock_now_ns(CLOCK_MONOTONIC) - s->waits;
	s->waits = 0;
	record_phase_end(&s->record, phase_of(s->met), 0);
	if (n <= 0) {
		err_set(&e, ERR_CANCELLED, 0, "davitd ended before all of the group were ready");
		source_fail(s, EVENT_FAILED, &e, NULL);
		return;
	}
	/* What was written meanwhile is not sent while it stands still, where it may follow. */
	if (s->met == EVENT_ACCEPTED && s->live.policy.may_follow && waited > SHORT_NS)
		s->live.withhold = true;
	source_event(s, s->met);
}
