/* Clocks, spans and RFC 3339. */
#include "tests/unit/unit.h"
#include "base/clock.h"

static void spans_are_parsed(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = {
		{ "300ms", 300000000 },
		{ "1.5s", 1500000000 },
		{ "2h30m", 9000000000000 },
		{ "7d", 604800000000000 },
		{ "10", 10000000000 },
		{ "0", 0 },
		{ "0.25", 250000000 },
		{ "1us", 1000 },
		{ "5ns", 5 },
		{ "1w1d", 691200000000000 },
		{ "1.0000000001s", 1000000000 },
	};
	struct err e = { 0 };
	int64_t ns;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		if (clock_span_parse(good[i].text, &ns, "timeout", &e) < 0)
			fail_msg("%s", e.msg);
		assert_int_equal(ns, good[i].ns);
	}
}

static void what_is_no_span_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "s", "-1s", "1 s", "1x", "1.s", ".5s", "1s2", "1h 2m", "1S", "1sm" };
	struct err e = { 0 };
	int64_t ns;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(clock_span_parse(bad[i], &ns, "timeout", &e), -1);
		assert_int_equal(e.code, ERR_INVALID);
		assert_string_equal(e.field, "timeout");
		assert_true(e.remedy[0]);
	}
	assert_int_equal(clock_span_parse("99999999999999999999s", &ns, "timeout", &e), -1);
	assert_int_equal(e.code, ERR_RANGE);
	assert_int_equal(clock_span_parse("200000d", &ns, "timeout", &e), -1);
	assert_int_equal(e.code, ERR_RANGE);
}

static void timespec_has_positive_nanoseconds(void **state)
{
	(void)state;
	static const int64_t values[] = { 0, 1, -1, -1000000000, 1500000000, -1500000001, INT64_MAX, INT64_MIN };
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		struct timespec t = clock_timespec_of_ns(values[i]);
		assert_true(t.tv_nsec >= 0 && t.tv_nsec < NSEC_PER_SEC);
		if (values[i] != INT64_MIN)
			assert_int_equal(clock_ns_of_timespec(t), values[i]);
	}
}

static void rfc3339_goes_both_ways(void **state)
{
	(void)state;
	char out[32];
	int64_t ns;
	assert_string_equal(clock_rfc3339(1793786400123456789, out), "2026-11-04T10:00:00.123456Z");
	assert_int_equal(clock_rfc3339_parse(out, &ns, "since", NULL), 0);
	assert_int_equal(ns, 1793786400123456000);
	assert_string_equal(clock_rfc3339(-1, out), "1969-12-31T23:59:59.999999Z");
	assert_int_equal(clock_rfc3339_parse("2026-11-04T12:30:00.123456789+02:30", &ns, "since", NULL), 0);
	assert_int_equal(ns, 1793786400123456789);
	assert_int_equal(clock_rfc3339_parse("2024-02-29T00:00:00Z", &ns, "since", NULL), 0);
	assert_int_equal(clock_rfc3339_parse("2016-12-31T23:59:60Z", &ns, "since", NULL), 0);
}

static void what_is_no_time_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "",
					   "2026-11-24",
					   "2026-11-24T10:00:00",
					   "2026-11-24T10:00:00.Z",
					   "2026-11-24T10:00:00Zx",
					   "2026-02-30T10:00:00Z",
					   "2026-13-01T10:00:00Z",
					   "2026-00-01T10:00:00Z",
					   "2026-01-00T10:00:00Z",
					   "2026-11-24T24:00:00Z",
					   "2026-11-24T10:60:00Z",
					   "26-11-24T10:00:00Z",
					   "2026-11-24T10:00:00+2:00",
					   "2023-02-29T00:00:00Z" };
	struct err e = { 0 };
	int64_t ns;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (clock_rfc3339_parse(bad[i], &ns, "since", &e) == 0)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_int_equal(e.code, ERR_INVALID);
	}
	assert_int_equal(clock_rfc3339_parse("2262-05-01T00:00:00Z", &ns, "since", &e), -1);
	assert_int_equal(e.code, ERR_RANGE);
}

static void clocks_advance(void **state)
{
	(void)state;
	int64_t before = clock_now_ns(CLOCK_MONOTONIC);
	assert_true(before > 0);
	assert_true(clock_now_ns(CLOCK_MONOTONIC) >= before);
}

static void clocks_read_together_agree_on_the_time_in_suspend(void **state)
{
	int64_t least = INT64_MAX, most = 0;
	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct clock_reading r = clock_read();
		least = MIN(least, r.boottime - r.monotonic);
		most = MAX(most, r.boottime - r.monotonic);
	}
	/* Whoever is kept from running between two of them is so for longer. */
	assert_in_range(most - least, 0, NSEC_PER_MSEC / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans_are_parsed),
		cmocka_unit_test(what_is_no_span_is_refused),
		cmocka_unit_test(timespec_has_positive_nanoseconds),
		cmocka_unit_test(rfc3339_goes_both_ways),
		cmocka_unit_test(what_is_no_time_is_refused),
		cmocka_unit_test(clocks_advance),
		cmocka_unit_test(clocks_read_together_agree_on_the_time_in_suspend),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
