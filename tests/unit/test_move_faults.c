/* A move that is struck before every single piece that passes between the sides: the connection cut, either side's process ended, a bit turned.
 * However it ends, one copy runs. */
#include "tests/unit/move_world.h"

/* Tries the fault before every piece. */
static void strike_everywhere(const char *folder, enum fault f)
{
	unsigned passed, at = 0, arrived = 0;
	do {
		struct world w;
		make(&w, folder);
		if (f == FAULT_BIT)
			w.job.timeout_ms = w.host.timeout_ms = 300; /* a longer length has its reader wait */
		start(&w);
		passed = carry(&w, f, at);
		settle(&w);
		assert_one_runs(&w, at);
		arrived += is(fake_state(&w.b), "running");
		unmake(&w);
	} while (passed >= at++);
	assert_true(at > 20);
	assert_true(arrived > 0 && arrived < at);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit_in_folder(cut_before_any_piece_ends_with_one_copy),
		unit_in_folder(source_killed_before_any_piece_ends_with_one_copy),
		unit_in_folder(target_killed_before_any_piece_ends_with_one_copy),
		unit_in_folder(flipped_bit_anywhere_ends_with_one_copy),
	};
	return cmocka_run_group_tests(tests, ignore_pipe, NULL);
}
