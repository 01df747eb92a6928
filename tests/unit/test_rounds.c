/* The policy of rounds: which numbers lead to which end. */
#include "tests/unit/unit.h"
#include "base/clock.h"
#include "migrate/mode.h"
#include "migrate/rounds.h"

#define PAGES_OF_MIB(n) ((uint64_t)(n)*256)

static struct rounds policy(enum rounds_otherwise otherwise)
{
	return (struct rounds){
		.otherwise = otherwise, .downtime_ns = 100 * NSEC_PER_MSEC, .overhead_ns = 40 * NSEC_PER_MSEC, .max = ROUNDS_MAX, .page_size = 4096
	};
}

/* A round over a link of 100 MiB/s that leaves so many MiB. */
static enum rounds_next round_of(struct rounds *r, uint64_t sent_mib, uint64_t left_mib)
{
	const char *why = NULL;
	const struct rounds_result result = { .sent = PAGES_OF_MIB(sent_mib),
					      .left = PAGES_OF_MIB(left_mib),
					      .duration_ns = (int64_t)sent_mib * NSEC_PER_SEC / 100 };
	enum rounds_next next = rounds_after(r, &result, &why);
	assert_non_null(why);
	return next;
}

static void rest_that_fits_is_sent_frozen(void **state)
{
	struct rounds r = policy(ROUNDS_GIVE_UP);
	(void)state;
	assert_int_equal(round_of(&r, 1000, 50), ROUNDS_AGAIN);	   /* 500 ms */
	assert_int_equal(round_of(&r, 50, 5), ROUNDS_FREEZE_SEND); /* 50 ms, and 40 for the freeze itself */
	r = policy(ROUNDS_GIVE_UP);
	assert_int_equal(round_of(&r, 1000, 8), ROUNDS_AGAIN); /* 80 ms and 40 are too much */
	r = policy(ROUNDS_FOLLOW);
	assert_int_equal(round_of(&r, 1000, 5), ROUNDS_AGAIN); /* it can get better yet */
	assert_int_equal(round_of(&r, 5, 2), ROUNDS_FREEZE_SEND);
}

static void estimate_is_rest_by_rate(void **state)
{
	struct rounds r = policy(ROUNDS_GIVE_UP);
	(void)state;
	r.left = 1;
	assert_true(rounds_estimate(&r) == INT64_MAX);
	r.left = 0;
	round_of(&r, 1000, 10);
	assert_int_equal(rounds_estimate(&r), 100 * NSEC_PER_MSEC);
	/* A round of a few pages says nothing about the rate. */
	const char *why;
	const struct rounds_result tiny = { .sent = 1, .left = PAGES_OF_MIB(10), .duration_ns = NSEC_PER_SEC };
	rounds_after(&r, &tiny, &why);
	assert_int_equal(rounds_estimate(&r), 100 * NSEC_PER_MSEC);
}

static enum rounds_next without_progress(struct rounds *r)
{
	enum rounds_next next = round_of(r, 1000, 100);
	for (int i = 0; i < 10 && next == ROUNDS_AGAIN; i++)
		next = round_of(r, 100, 100);
	return next;
}

static void writer_that_is_too_fast_ends_as_asked(void **state)
{
	struct rounds r = policy(ROUNDS_FOLLOW);
	(void)state;
	assert_int_equal(without_progress(&r), ROUNDS_FREEZE_FOLLOW);
	assert_int_equal(r.done, 3);
	r = policy(ROUNDS_GIVE_UP);
	assert_int_equal(without_progress(&r), ROUNDS_STOP);
	r = policy(ROUNDS_THROTTLE);
	assert_int_equal(without_progress(&r), ROUNDS_THROTTLE_AGAIN);
}

static void throttle_grows_in_steps_to_its_end(void **state)
{
	struct rounds r = policy(ROUNDS_THROTTLE);
	unsigned last = 0, steps = 0;
	enum rounds_next next;
	(void)state;
	r.max = 1000;
	while ((next = without_progress(&r)) == ROUNDS_THROTTLE_AGAIN) {
		assert_true(r.throttle > last && r.throttle <= ROUNDS_THROTTLE_MAX);
		last = r.throttle;
		assert_true(++steps < 20);
	}
	assert_int_equal(next, ROUNDS_STOP);
	assert_int_equal(last, ROUNDS_THROTTLE_MAX);
	r.may_follow = true;
	assert_int_equal(without_progress(&r), ROUNDS_FREEZE_FOLLOW);
}

static void rounds_and_time_are_limited(void **state)
{
	struct rounds r = policy(ROUNDS_GIVE_UP);
	(void)state;
	r.max = 2;
	assert_int_equal(round_of(&r, 1000, 100), ROUNDS_AGAIN);
	assert_int_equal(round_of(&r, 100, 50), ROUNDS_STOP);
	r = policy(ROUNDS_FOLLOW);
	r.timeout_ns = 10 * NSEC_PER_SEC;
	assert_int_equal(round_of(&r, 1000, 100), ROUNDS_FREEZE_FOLLOW);
	r = policy(ROUNDS_THROTTLE); /* no throttling beyond the limit */
	r.max = 1;
	assert_int_equal(round_of(&r, 1000, 100), ROUNDS_STOP);
}

static void mode_is_what_both_can_or_what_is_asked(void **state)
{
	Davit__HostFacts can = DAVIT__HOST_FACTS__INIT, cannot = DAVIT__HOST_FACTS__INIT;
	struct err e = { 0 };
	const char *why;
	enum mode m;
	(void)state;
	can.has_memory_tracking = can.memory_tracking = 1;
	assert_int_equal(mode_choose(NULL, &can, &can, &m, &why, &e), 0);
	assert_int_equal(m, MODE_HYBRID);
	assert_int_equal(mode_choose(NULL, &can, &cannot, &m, &why, &e), 0);
	assert_int_equal(m, MODE_STOP_AND_COPY);
	assert_non_null(strstr(why, "target"));
	assert_int_equal(mode_choose("post-copy", &can, &can, &m, &why, &e), 0);
	assert_int_equal(m, MODE_POST_COPY);
	assert_int_equal(mode_choose("pre-copy", &cannot, &can, &m, &why, &e), -1);
	assert_int_equal(e.code, ERR_INCOMPATIBLE);
	unit_assert_message(&e, "source");
	assert_int_equal(mode_choose("warp", &can, &can, &m, &why, &e), -1);
	assert_string_equal(e.field, "mode");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rest_that_fits_is_sent_frozen),	 cmocka_unit_test(estimate_is_rest_by_rate),
		cmocka_unit_test(writer_that_is_too_fast_ends_as_asked), cmocka_unit_test(throttle_grows_in_steps_to_its_end),
		cmocka_unit_test(rounds_and_time_are_limited),		 cmocka_unit_test(mode_is_what_both_can_or_what_is_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
