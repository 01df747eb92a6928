/* Sets of pages, against a plain array of truths. */
#include "tests/unit/unit.h"
#include "runtime/track/pageset.h"

#define WORLD 200000 /* pages: several pieces */
#define BASE (1ULL << 34)

static uint64_t random_number(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return *seed >> 33;
}

static void assert_same(const struct pageset *s, const bool *world)
{
	uint64_t page = BASE, n, at = 0, count = 0;

	while ((n = pageset_next(s, page, BASE + WORLD, &page)) > 0) {
		for (; at < page - BASE; at++)
			assert_false(world[at]);
		for (; at < page - BASE + n; at++)
			assert_true(world[at]);
		count += n;
		page += n;
	}
	for (; at < WORLD; at++)
		assert_false(world[at]);
	assert_int_equal(s->pages, count);
}

static void a_set_is_what_was_added_and_not_removed(void **state)
{
	static bool world[WORLD];
	struct pageset s = { 0 };
	uint64_t seed = 7;

	(void)state;
	for (int i = 0; i < 400; i++) {
		uint64_t at = random_number(&seed) % WORLD, n = 1 + random_number(&seed) % (i % 10 ? 100 : 70000);
		bool in = random_number(&seed) % 3 > 0;
		n = n > WORLD - at ? WORLD - at : n;
		memset(world + at, in, n);
		if (in)
			assert_int_equal(pageset_add(&s, BASE + at, n, NULL), 0);
		else
			pageset_remove(&s, BASE + at, n);
		if (i % 20 == 0)
			assert_same(&s, world);
	}
	assert_same(&s, world);
	for (int i = 0; i < 2000; i++) {
		uint64_t at = random_number(&seed) % WORLD, n = 1 + random_number(&seed) % (WORLD - at), expected = 1;
		bool in;
		while (expected < n && world[at + expected] == world[at])
			expected++;
		assert_int_equal(pageset_run(&s, BASE + at, n, &in), expected);
		assert_int_equal(in, world[at]);
	}
	pageset_free(&s);
}

static void an_empty_set_holds_no_memory(void **state)
{
	struct pageset s = { 0 };
	uint64_t page;

	(void)state;
	assert_int_equal(pageset_add(&s, 5, 100000, NULL), 0);
	assert_int_equal(pageset_add(&s, 1ULL << 44, 1, NULL), 0);
	assert_true(s.n < 6);
	pageset_remove(&s, 0, UINT64_MAX / 2);
	assert_int_equal(s.n, 0);
	assert_int_equal(s.pages, 0);
	assert_int_equal(pageset_next(&s, 0, UINT64_MAX, &page), 0);
	pageset_free(&s);
}

static void next_stays_before_its_limit(void **state)
{
	struct pageset s = { 0 };
	uint64_t page;

	(void)state;
	assert_int_equal(pageset_add(&s, 100, 100, NULL), 0);
	assert_int_equal(pageset_next(&s, 0, 100, &page), 0);
	assert_int_equal(pageset_next(&s, 0, 101, &page), 1);
	assert_int_equal(page, 100);
	assert_int_equal(pageset_next(&s, 150, 1000, &page), 50);
	assert_int_equal(page, 150);
	pageset_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_is_what_was_added_and_not_removed),
		cmocka_unit_test(an_empty_set_holds_no_memory),
		cmocka_unit_test(next_stays_before_its_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
