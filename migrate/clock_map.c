/* Measuring a peer's clocks. See clock_map.h. */
#include "migrate/clock_map.h"

static bool possible(int64_t t)
{
	return t >= 0 && t <= CLOCK_LIMIT;
}

int64_t clock_map_bound(const struct clock_map *m, int64_t now)
{
	int64_t age = now - m->measured;
	return age <= 0 ? m->bound : m->bound + age / 1000000 * CLOCK_MAP_DRIFT_PPM;
}

int clock_map_add(struct clock_map *m, const Davit__StreamClockPong *pong, const struct clock_reading *arrived, struct err *e)
{
	if (!possible(pong->sent) || !possible(pong->received) || !possible(pong->replied) || !possible(pong->monotonic) ||
	    !possible(pong->realtime) || pong->replied < pong->received)
		return err_set(e, ERR_PROTOCOL, 0, "the peer's clock readings cannot be");
	int64_t round_trip = (arrived->boottime - pong->sent) - (pong->replied - pong->received);
	if (round_trip < 0)
		return err_set(e, ERR_PROTOCOL, 0, "the peer's clock ran longer than the whole exchange took");
	int64_t bound = (round_trip + 1) / 2;
	m->exchanges++;
	if (m->exchanges > 1 && bound >= clock_map_bound(m, arrived->boottime))
		return 0;
	m->bound = bound;
	m->measured = arrived->boottime;
	/* As sums of two halves: the sum of two differences could pass the type. */
	m->delta = (pong->received - pong->sent) / 2 + (pong->replied - arrived->boottime) / 2;
	/* Each host's boottime minus monotonic is its time in suspend, known exactly on each side. */
	m->delta_monotonic = m->delta - (pong->replied - pong->monotonic) + (arrived->boottime - arrived->monotonic);
	/* The peer's wall clock was read at `replied`, which is this long ago on our clock. */
	int64_t since = arrived->boottime - (pong->replied - m->delta);
	m->realtime_difference = pong->realtime - (arrived->realtime - since);
	return 0;
}

int clock_map_check(const Davit__ClockMap *m, struct err *e)
{
	bool ok = m->delta_boottime >= -CLOCK_LIMIT && m->delta_boottime <= CLOCK_LIMIT && m->bound >= 0 && m->bound <= CLOCK_LIMIT;
	return ok ? 0 : err_set(e, ERR_PROTOCOL, 0, "the peer's clock map cannot be");
}

void clock_map_get(const struct clock_map *m, int64_t now, Davit__ClockMap *out)
{
	davit__clock_map__init(out);
	out->delta_boottime = m->delta;
	out->bound = clock_map_bound(m, now);
	out->has_exchanges = 1;
	out->exchanges = m->exchanges;
	out->has_realtime_difference = 1;
	out->realtime_difference = m->realtime_difference;
	out->has_delta_monotonic = 1;
	out->delta_monotonic = m->delta_monotonic;
}
