/* What tasks get from the page store, whatever they do meanwhile. */
#include "tests/unit/pagestore.h"

/* A task that lives until its memory is complete without touching it, and then looks. */
static int sleep_then_look(const struct world *w)
{
	while (pagestore_is_busy(w->dir))
		poll(NULL, 0, 5);
	return holds(w->area, 0, PAGES) ? 0 : 1;
}

static void copied_pages_are_given_untouched(void **state)
{
	struct world *w = *state;
	put(w, MEMORY_DATA, 0, PAGES, false);
	put(w, MEMORY_END, 0, 0, false);
	pid_t task = start_task(w, sleep_then_look);
	auto_pb(Davit__MemoryStatus) *s = wait_complete(w);
	assert_int_equal(s->fetched, 0);
	assert_int_equal(status_of(task), 0);
	assert_false(pagestore_is_busy(w->dir));
}

static void a_touched_page_does_not_wait_for_those_before_it(void **state)
{
	struct world *w = *state;
	put(w, MEMORY_DATA, 0, PAGES, false);
	pid_t task = start_task(w, look);
	assert_int_equal(status_of(task), 0);
}

static void a_later_record_counts(void **state)
{
	struct world *w = *state;
	put(w, MEMORY_DATA, 0, PAGES, true);
	put(w, MEMORY_ZERO, 0, PAGES, false);
	put(w, MEMORY_DATA, 0, 128, true);
	put(w, MEMORY_DROP, 64, 128, false);
	put(w, MEMORY_DATA, 0, PAGES, false);
	put(w, MEMORY_END, 0, 0, false);
	pid_t task = start_task(w, look);
	assert_int_equal(status_of(task), 0);
}

static int look_for_zeros(const struct world *w)
{
	return holds(w->area, 0, 100) && is_zero(w->area + 100 * PAGE, PAGES - 100) ? 0 : 1;
}
static void zeros_are_zeros_even_over_data(void **state)
{
	struct world *w = *state;
	put(w, MEMORY_DATA, 0, 200, false);
	put(w, MEMORY_ZERO, 100, PAGES - 100, false);
	put(w, MEMORY_END, 0, 0, false);
	pid_t task = start_task(w, look_for_zeros);
	assert_int_equal(status_of(task), 0);
}

static void a_withheld_page_is_fetched_when_touched_and_the_others_follow(void **state)
{
	struct world *w = *state;
	uint64_t n;
	put(w, MEMORY_DATA, 0, PAGES, true);
	put(w, MEMORY_DROP, 200, 20, false);
	put(w, MEMORY_DATA, 0, 200, false);
	put(w, MEMORY_DATA, 220, PAGES - 220, false);
	pid_t task = start_task(w, look);
	assert_int_equal(fetched(w, &n), 200);
	assert_int_equal(n, 1);
	assert_int_equal(fetched(w, &n), 201);
	assert_int_equal(n, 15);
	put(w, MEMORY_DATA, 200, 1, false);
	put(w, MEMORY_DATA, 201, 19, false);
	assert_int_equal(status_of(task), 0);
}

static void what_the_end_left_out_is_asked_for(void **state)
{
	struct world *w = *state;
	uint64_t n;
	pid_t task = start_task(w, sleep_then_look);
	put(w, MEMORY_DATA, 0, 250, false);
	put(w, MEMORY_END, 0, 0, false);
	assert_int_equal(fetched(w, &n), 250);
	assert_int_equal(n, 6);
	put(w, MEMORY_DATA, 250, 6, false);
	auto_pb(Davit__MemoryStatus) *s = wait_complete(w);
	assert_int_equal(status_of(task), 0);
}

static int fork_and_look(const struct world *w)
{
	if (!holds(w->area + 10 * PAGE, 10, 1))
		return 2;
	pid_t child = fork();
	if (child == 0) {
		pid_t second = fork();
		if (second == 0)
			_exit(look(w));
		_exit(look(w) || status_of(second));
	}
	memset(w->area, 0xee, PAGE); /* ours alone */
	if (!holds(w->area + PAGE, 1, PAGES - 1) || w->area[5] != 0xee)
		return 3;
	return status_of(child);
}
static void forks_get_what_their_parent_lacked(void **state)
{
	struct world *w = *state;
	pid_t task = start_task(w, fork_and_look);
	put(w, MEMORY_DATA, 10, 20, false);
	poll(NULL, 0, 50);
	put(w, MEMORY_DATA, 0, PAGES, false);
	put(w, MEMORY_END, 0, 0, false);
	assert_int_equal(status_of(task), 0);
}

static int fork_often(const struct world *w)
{
	for (int i = 0; i < 200; i++) {
		pid_t child = fork();
		if (child == 0)
			_exit(holds(w->area + (unsigned)i * PAGE, (unsigned)i, 1) ? 0 : 1);
		if (status_of(child) != 0)
			return 2;
	}
	return sleep_then_look(w);
}
static void forks_in_quick_succession_hold_nothing_up(void **state)
{
	struct world *w = *state;
	put(w, MEMORY_DATA, 0, PAGES, false);
	put(w, MEMORY_END, 0, 0, false);
	pid_t task = start_task(w, fork_often);
	assert_int_equal(status_of(task), 0);
}

static int move_and_look(const struct world *w)
{
	uint8_t *place = mmap(NULL, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *moved = mremap(w->area + 50 * PAGE, 100 * PAGE, 100 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place);
	uint8_t *again = mremap(moved + 30 * PAGE, 20 * PAGE, 20 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place + 200 * PAGE);
	if (moved == MAP_FAILED || again == MAP_FAILED)
		return 2;
	if (madvise(w->area + 10 * PAGE, 10 * PAGE, MADV_DONTNEED) || munmap(w->area + 20 * PAGE, 10 * PAGE) || madvise(again, PAGE, MADV_DONTNEED))
		return 3;
	pid_t child = fork();
	if (!holds(w->area, 0, 10) || !is_zero(w->area + 10 * PAGE, 10) || !holds(w->area + 30 * PAGE, 30, 20) ||
	    !holds(w->area + 150 * PAGE, 150, PAGES - 150))
		return 4;
	if (!holds(moved, 50, 30) || !is_zero(again, 1) || !holds(again + PAGE, 81, 19) || !holds(moved + 50 * PAGE, 100, 50))
		return 5;
	if (child == 0)
		_exit(0);
	return status_of(child);
}
static void moved_emptied_and_unmapped_memory_is_followed(void **state)
{
	struct world *w = *state;
	pid_t task = start_task(w, move_and_look);
	poll(NULL, 0, 100);
	put(w, MEMORY_DATA, 0, PAGES, false);
	put(w, MEMORY_END, 0, 0, false);
	assert_int_equal(status_of(task), 0);
}

static int exec_something(const struct world *w)
{
	(void)w;
	execl("/bin/true", "true", NULL);
	return 1;
}
static void a_task_that_runs_another_program_lacks_nothing(void **state)
{
	struct world *w = *state;
	pid_t task = start_task(w, exec_something);
	auto_pb(Davit__MemoryStatus) *s = wait_complete(w);
	assert_int_equal(status_of(task), 0);
	assert_int_equal(s->missing, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(copied_pages_are_given_untouched, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_touched_page_does_not_wait_for_those_before_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_later_record_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(zeros_are_zeros_even_over_data, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_withheld_page_is_fetched_when_touched_and_the_others_follow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_the_end_left_out_is_asked_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(forks_get_what_their_parent_lacked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(forks_in_quick_succession_hold_nothing_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(moved_emptied_and_unmapped_memory_is_followed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_task_that_runs_another_program_lacks_nothing, set_up, tear_down),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
