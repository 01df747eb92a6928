/* Clock exchanges, one after the other: a ping waits for the pong before it, so that none queues behind another. On a busy host single ones are slow,
 * so after those asked for further ones follow until one was quick, but not for long. */
#include "base/clock.h"
#include "migrate/source_private.h"

/* Further exchanges, and when they are not worth it: half a round trip on a local link. */
#define PINGS_FURTHER 24
#define BOUND_QUICK_NS (20 * NSEC_PER_USEC)

static int ping(struct source *s, struct err *e)
{
	Davit__StreamClockPing p = DAVIT__STREAM_CLOCK_PING__INIT;
	Davit__StreamFrame f = DAVIT__STREAM_FRAME__INIT;

	p.seq = ++s->ping_seq;
	p.sent = clock_now_ns(CLOCK_BOOTTIME);
	f.body_case = DAVIT__STREAM_FRAME__BODY_CLOCK_PING;
	f.clock_ping = &p;
	return stream_put(&s->out, &f, e);
}

void source_ping_start(struct source *s, uint32_t count)
{
	struct err e = { 0 };
	s->pings_left = count;
	s->pings_further = PINGS_FURTHER;
	s->pinging = true;
	if (ping(s, &e) < 0)
		source_fail(s, EVENT_FAILED, &e, NULL);
}

int source_pong(struct source *s, const Davit__StreamClockPong *pong, struct err *e)
{
	struct clock_reading now = clock_read();
	if (!s->pinging || pong->seq != s->ping_seq)
		return err_set(e, ERR_PROTOCOL, 0, "a clock answer (%u) that was not asked for", pong->seq);
	if (clock_map_add(&s->map, pong, &now, e) < 0)
		return -1;
	if (s->pings_left > 0)
		s->pings_left--;
	else
		s->pings_further--;
	if (s->pings_left > 0 || (s->pings_further > 0 && clock_map_bound(&s->map, now.boottime) > BOUND_QUICK_NS))
		return ping(s, e);
	s->pinging = false;
	return 0;
}
