/* Clocks over moves: measured with hosts whose every skew is known, and chained. */
#include "tests/unit/unit.h"
#include "base/clock.h"
#include "migrate/clock_policy.h"

#define DAY (86400 * NSEC_PER_SEC)

/* A host: its clocks stand at these values when the world's time is 0, and may run fast by some parts in a million. */
struct host {
	int64_t boottime, suspended, realtime;
	int64_t ppm;
};

static struct clock_reading read_at(const struct host *h, int64_t world)
{
	int64_t ran = world + world / 1000000 * h->ppm;
	return (struct clock_reading){ h->boottime + ran, h->boottime - h->suspended + ran, h->realtime + ran };
}

/* One exchange: the ways take these times. */
static void exchange(struct clock_map *m, const struct host *a, const struct host *b, int64_t world, int64_t way_up, int64_t way_down)
{
	Davit__StreamClockPong p = DAVIT__STREAM_CLOCK_PONG__INIT;
	struct err e = { 0 };
	struct clock_reading there = read_at(b, world + way_up), back = read_at(b, world + way_up + 3000);
	struct clock_reading arrived = read_at(a, world + way_up + 3000 + way_down);
	p.sent = read_at(a, world).boottime;
	p.received = there.boottime;
	p.replied = back.boottime;
	p.has_realtime = p.has_monotonic = 1;
	p.realtime = back.realtime;
	p.monotonic = back.monotonic;
	assert_int_equal(clock_map_add(m, &p, &arrived, &e), 0);
}

static void error_is_within_the_bound_however_lopsided_the_ways(void **state)
{
	const struct host a = { 5 * DAY, 0, 50 * 365 * DAY, 0 }, b = { 900 * DAY, 7 * DAY, 10 * 365 * DAY, 0 };
	const int64_t ways[][2] = { { 100, 100 }, { 0, 200000 }, { 200000, 0 }, { 1, 99999 } };
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct clock_map m = { 0 };
		exchange(&m, &a, &b, 1000, ways[i][0], ways[i][1]);
		int64_t error = m.delta - (b.boottime - a.boottime);
		assert_int_equal(m.bound, (ways[i][0] + ways[i][1] + 1) / 2);
		assert_true(error <= m.bound && error >= -m.bound);
		assert_true(llabs(m.realtime_difference - (b.realtime - a.realtime)) <= m.bound);
		assert_true(llabs(m.delta_monotonic - (b.boottime - b.suspended - a.boottime)) <= m.bound);
	}
}

static void quickest_exchange_wins(void **state)
{
	const struct host a = { DAY, 0, DAY, 0 }, b = { 2 * DAY, 0, DAY, 0 };
	struct clock_map m = { 0 };
	(void)state;
	exchange(&m, &a, &b, 0, 90000, 10);
	exchange(&m, &a, &b, 1000000, 50, 50);
	exchange(&m, &a, &b, 2000000, 10, 90000);
	assert_int_equal(m.exchanges, 3);
	assert_int_equal(m.bound, 50);
	assert_int_equal(m.delta, DAY);
}

static void old_exchange_loses_to_a_slower_fresh_one_when_clocks_may_have_drifted(void **state)
{
	const struct host a = { DAY, 0, DAY, 0 }, b = { DAY, 0, DAY, 50 };
	struct clock_map m = { 0 };
	int64_t later = 100 * NSEC_PER_SEC;
	(void)state;
	exchange(&m, &a, &b, 0, 50, 50);
	assert_true(clock_map_bound(&m, read_at(&a, later).boottime) >= 5 * NSEC_PER_MSEC);
	exchange(&m, &a, &b, later, 40000, 60000);
	assert_int_equal(m.bound, 50000);
	int64_t truth = read_at(&b, later).boottime - read_at(&a, later).boottime;
	assert_true(llabs(m.delta - truth) <= m.bound);
}

static void impossible_readings_are_refused(void **state)
{
	struct clock_map m = { 0 };
	struct clock_reading arrived = { .boottime = 2000, .monotonic = 2000, .realtime = 2000 };
	const Davit__StreamClockPong base = { PROTOBUF_C_MESSAGE_INIT(&davit__stream_clock_pong__descriptor), .sent = 1000, .received = 1,
					      .replied = 2 };
	struct err e = { 0 };
	(void)state;
	Davit__StreamClockPong p = base;
	p.replied = 5000; /* longer than the whole exchange */
	assert_int_equal(clock_map_add(&m, &p, &arrived, &e), -1);
	p = base;
	p.received = INT64_MIN;
	assert_int_equal(clock_map_add(&m, &p, &arrived, &e), -1);
	p = base;
	p.replied = INT64_MAX;
	assert_int_equal(clock_map_add(&m, &p, &arrived, &e), -1);
	assert_int_equal(e.code, ERR_PROTOCOL);
	assert_int_equal(m.exchanges, 0);
}

static Davit__ClockSample sample(const struct host *h, int64_t world, int64_t monotonic, int64_t boottime)
{
	struct clock_reading r = read_at(h, world);
	Davit__ClockSample s = DAVIT__CLOCK_SAMPLE__INIT;
	s.has_host_boottime = s.has_host_monotonic = s.has_realtime = s.has_container_monotonic = s.has_container_boottime = 1;
	s.host_boottime = r.boottime;
	s.host_monotonic = r.monotonic;
	s.realtime = r.realtime;
	s.container_monotonic = monotonic;
	s.container_boottime = boottime;
	return s;
}

/* A container's clocks as offsets against its host's. */
struct clocks {
	int64_t monotonic, boottime;
};

/* One move: frozen at `world`, restored `downtime` later, thawed a millisecond after that; the map is wrong by `error`. Returns what went by. */
static struct clocks move(enum clock_policy p, const struct host *from, const struct host *to, struct clocks off, int64_t world, int64_t downtime,
			  int64_t error)
{
	struct clock_reading f = read_at(from, world), now = read_at(to, world + downtime), thaw = read_at(to, world + downtime + NSEC_PER_MSEC);
	Davit__ClockSample before = sample(from, world, f.monotonic + off.monotonic, f.boottime + off.boottime), after;
	Davit__ClockResult result = DAVIT__CLOCK_RESULT__INIT;
	struct clocks next;
	struct err e = { 0 };
	int64_t delta = read_at(to, world).boottime - f.boottime + error;
	int64_t elapsed = clock_elapsed(&before, delta, &now);
	assert_int_equal(clock_policy_offsets(p, &before, elapsed, &now, &next.monotonic, &next.boottime, &e), 0);
	after = sample(to, world + downtime + NSEC_PER_MSEC, thaw.monotonic + next.monotonic, thaw.boottime + next.boottime);
	result.before = &before;
	clock_policy_judge(p, delta, thaw.boottime, &after, &result);
	assert_false(result.backwards);
	assert_true(after.container_monotonic >= before.container_monotonic);
	assert_true(after.container_boottime >= before.container_boottime);
	int64_t real = downtime + NSEC_PER_MSEC, slack = llabs(error) + NSEC_PER_MSEC + 1000 + downtime / 1000000 * 150;
	int64_t monotonic = after.container_monotonic - before.container_monotonic, boottime = after.container_boottime - before.container_boottime;
	assert_true(llabs(monotonic - (p == CLOCK_CONTINUE ? real : 0)) <= slack);
	assert_true(llabs(boottime - (p == CLOCK_FREEZE ? 0 : real)) <= slack);
	assert_true(llabs(result.downtime - real) <= slack);
	return next;
}

static void no_clock_goes_back_over_any_chain_of_moves(void **state)
{
	const struct host hosts[] = {
		{ 1000 * NSEC_PER_SEC, 0, 56 * 365 * DAY, 0 },
		{ 900 * DAY, 30 * DAY, 2 * 365 * DAY, 80 },
		{ 2 * DAY, DAY, 90 * 365 * DAY, -60 },
	};
	const int64_t downtimes[] = { 0, 1, 50000, 30 * NSEC_PER_MSEC, 10 * NSEC_PER_SEC, 3 * DAY };
	(void)state;
	srand(1);
	for (int p = CLOCK_CONTINUE; p <= CLOCK_FREEZE; p++) {
		struct clocks off = { 0, 0 };
		int64_t world = NSEC_PER_SEC;
		int at = 0;
		for (int i = 0; i < 1000; i++) {
			int next = (at + 1 + rand() % 2) % 3;
			int64_t error = rand() % 200001 - 100000; /* up to a bound of 100 µs, either way */
			int64_t downtime = downtimes[rand() % ARRAY_LEN(downtimes)];
			off = move(p, &hosts[at], &hosts[next], off, world, downtime, error);
			world += downtime + NSEC_PER_MSEC + rand() % NSEC_PER_SEC;
			at = next;
		}
	}
}

static void map_that_tells_a_negative_time_is_taken_as_none(void **state)
{
	const struct host h = { DAY, 0, DAY, 0 };
	Davit__ClockSample before = sample(&h, 1000, 500, 700);
	struct clock_reading now = read_at(&h, 1000);
	int64_t monotonic, boottime;
	struct err e = { 0 };
	(void)state;
	assert_int_equal(clock_elapsed(&before, 90000, &now), 0);
	assert_int_equal(clock_policy_offsets(CLOCK_CONTINUE, &before, -90000, &now, &monotonic, &boottime, &e), 0);
	assert_int_equal(now.monotonic + monotonic, 500);
	assert_int_equal(now.boottime + boottime, 700);
}

static void snapshot_of_another_boot_goes_by_the_wall_clock(void **state)
{
	const struct host h = { DAY, 0, 100 * DAY, 0 };
	Davit__ClockSample before = sample(&h, 0, 500, 700);
	struct clock_reading now = { .boottime = 10, .monotonic = 10, .realtime = 103 * DAY };
	(void)state;
	before.boot_id = (char *)"one";
	assert_int_equal(clock_elapsed_local(&before, "two", &now), 3 * DAY);
	now.realtime = 0; /* set back */
	assert_int_equal(clock_elapsed_local(&before, "two", &now), 0);
	now.boottime = before.host_boottime + 5;
	assert_int_equal(clock_elapsed_local(&before, "one", &now), 5);
}

static void samples_that_cannot_be_are_refused(void **state)
{
	const struct host h = { DAY, 0, DAY, 0 };
	Davit__ClockSample s = sample(&h, 0, INT64_MAX, 0);
	struct clock_reading now = read_at(&h, 0);
	int64_t monotonic, boottime;
	struct err e = { 0 };
	(void)state;
	assert_int_equal(clock_policy_offsets(CLOCK_CONTINUE, &s, 0, &now, &monotonic, &boottime, &e), -1);
	assert_int_equal(e.code, ERR_RANGE);
	s = sample(&h, 0, 5, 5);
	s.has_container_boottime = 0;
	assert_int_equal(clock_policy_offsets(CLOCK_CONTINUE, &s, 0, &now, &monotonic, &boottime, &e), -1);
	assert_string_equal(e.field, "dump.clock");
}

static void policies_are_known_by_name(void **state)
{
	enum clock_policy p;
	struct err e = { 0 };
	(void)state;
	assert_int_equal(clock_policy_of("suspend", &p, &e), 0);
	assert_int_equal(p, CLOCK_SUSPEND);
	assert_string_equal(clock_policy_name(CLOCK_FREEZE), "freeze");
	assert_int_equal(clock_policy_of("stop", &p, &e), -1);
	assert_string_equal(e.field, "clockPolicy");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(error_is_within_the_bound_however_lopsided_the_ways),
		cmocka_unit_test(quickest_exchange_wins),
		cmocka_unit_test(old_exchange_loses_to_a_slower_fresh_one_when_clocks_may_have_drifted),
		cmocka_unit_test(impossible_readings_are_refused),
		cmocka_unit_test(no_clock_goes_back_over_any_chain_of_moves),
		cmocka_unit_test(map_that_tells_a_negative_time_is_taken_as_none),
		cmocka_unit_test(snapshot_of_another_boot_goes_by_the_wall_clock),
		cmocka_unit_test(samples_that_cannot_be_are_refused),
		cmocka_unit_test(policies_are_known_by_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
