/* A move that is struck before every single piece that passes between the sides: the connection cut, either side's process ended, a bit turned.
 * However it ends, one copy runs. */
#include "tests/unit/move_world.h"

/* What runs has the memory that it had. */
static void assert_memory(struct world *w, unsigned at)
{
	if (!is(fake_state(&w->b), "running"))
		return;
	/* Its socket may hold the end yet when the move has ended. */
	for (int tries = 0; !w->b.memory_ended && tries < 2000; tries++)
		poll(NULL, 0, 1);
	for (size_t i = 0; i < FAKE_PAGES_N; i++)
		if (!w->b.has_page[i] || memcmp(w->a.memory[i], w->b.memory[i], FAKE_PAGE) != 0)
			fail_msg("after a fault before piece %u: page %zu %s", at, i, w->b.has_page[i] ? "differs" : "is missing");
}

/* Tries the fault before every piece, in a mode (NULL: without tracking of memory). */
static void strike_everywhere_in(const char *folder, enum fault f, const char *mode)
{
	unsigned passed, at = 0, arrived = 0;
	do {
		struct world w;
		make(&w, folder);
		w.facts.has_memory_tracking = w.facts.memory_tracking = mode != NULL;
		w.job.mode = (char *)mode;
		w.a.dirty = 3;
		if (f == FAULT_BIT)
			w.job.timeout_ms = w.host.timeout_ms = 300; /* a longer length has its reader wait */
		start(&w);
		passed = carry(&w, f, at);
		settle(&w);
		assert_one_runs(&w, at);
		if (mode)
			assert_memory(&w, at);
		arrived += is(fake_state(&w.b), "running");
		unmake(&w);
	} while (passed >= at++);
	assert_true(at > 20);
	assert_true(arrived > 0 && arrived < at);
}

static void strike_everywhere(const char *folder, enum fault f)
{
	strike_everywhere_in(folder, f, NULL);
}

static void cut_before_any_piece_ends_with_one_copy(void **state)
{
	strike_everywhere(*state, FAULT_CUT);
}

static void source_killed_before_any_piece_ends_with_one_copy(void **state)
{
	strike_everywhere(*state, FAULT_SOURCE_KILLED);
}

static void target_killed_before_any_piece_ends_with_one_copy(void **state)
{
	strike_everywhere(*state, FAULT_TARGET_KILLED);
}

static void flipped_bit_anywhere_ends_with_one_copy(void **state)
{
	strike_everywhere(*state, FAULT_BIT);
}

static void memory_that_follows_arrives_whole_whatever_happens(void **state)
{
	strike_everywhere_in(*state, FAULT_CUT, "post-copy");
	strike_everywhere_in(*state, FAULT_SOURCE_KILLED, "post-copy");
	strike_everywhere_in(*state, FAULT_TARGET_KILLED, "post-copy");
}

static void memory_that_is_copied_arrives_whole_whatever_happens(void **state)
{
	strike_everywhere_in(*state, FAULT_CUT, "hybrid");
	strike_everywhere_in(*state, FAULT_SOURCE_KILLED, "hybrid");
	strike_everywhere_in(*state, FAULT_TARGET_KILLED, "hybrid");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit_in_folder(cut_before_any_piece_ends_with_one_copy),
		unit_in_folder(source_killed_before_any_piece_ends_with_one_copy),
		unit_in_folder(target_killed_before_any_piece_ends_with_one_copy),
		unit_in_folder(flipped_bit_anywhere_ends_with_one_copy),
		unit_in_folder(memory_that_follows_arrives_whole_whatever_happens),
		unit_in_folder(memory_that_is_copied_arrives_whole_whatever_happens),
	};
	return cmocka_run_group_tests(tests, ignore_pipe, NULL);
}
