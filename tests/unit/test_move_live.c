/* Moves whose memory is copied while the container runs, between two fake cores. */
#include "tests/unit/move_world.h"

static void prepare(struct world *w, const char *folder, const char *mode)
{
	make(w, folder);
	w->facts.has_memory_tracking = w->facts.memory_tracking = 1;
	w->job.mode = (char *)mode;
	for (size_t i = 0; i < FAKE_PAGES_N; i++)
		memset(w->a.memory[i], (int)i + 1, FAKE_PAGE);
}

static void arrives(struct world *w)
{
	const Davit__Error *detail;
	struct err e = { 0 };
	start(w);
	carry(w, FAULT_NONE, 0);
	if (source_result(w->s, &detail, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(target_wait(w->t, 5000));
	assert_true(is(fake_state(&w->a), NULL) && is(fake_state(&w->b), "running"));
	for (int tries = 0; !w->b.memory_ended && tries < 1000; tries++)
		poll(NULL, 0, 1);
	for (size_t i = 0; i < FAKE_PAGES_N; i++) {
		assert_true(w->b.has_page[i]);
		assert_memory_equal(w->a.memory[i], w->b.memory[i], FAKE_PAGE);
	}
	assert_int_equal(w->a.data[1].len, w->b.data[1].len);
	assert_string_equal(source_record(w->s)->mode, w->job.mode);
}

static void end(struct world *w)
{
	source_free(w->s);
	target_unref(w->t);
	unmake(w);
}

static void memory_that_rests_goes_before_the_thaw(void **state)
{
	static const char *const modes[] = { "pre-copy", "hybrid" };
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		struct world w;
		prepare(&w, *state, modes[i]);
		arrives(&w);
		const Davit__MoveRecord *r = source_record(w.s);
		assert_true(r->n_rounds >= 1);
		assert_int_equal(r->rounds[0]->pages, FAKE_PAGES_N);
		assert_int_equal(r->followed_bytes, w.b.memory_ended ? r->followed_bytes : 0);
		assert_true(w.a.passes >= 2);
		end(&w);
	}
}

static void memory_that_is_written_too_fast_follows_or_stays(void **state)
{
	const Davit__Error *detail;
	struct err e = { 0 };
	struct world w;
	prepare(&w, *state, "hybrid");
	w.a.dirty = FAKE_PAGES_N;
	w.job.has_bandwidth = 1;
	w.job.bandwidth = 512 << 10; /* 64 KiB are more than the allowance of 100 ms that an idle connection saves */
	w.job.has_downtime_ms = 1;
	w.job.downtime_ms = 10;
	arrives(&w);
	assert_true(source_record(w.s)->followed_bytes >= (FAKE_PAGES_N - 1) * FAKE_PAGE);   /* one was asked for before the thaw, or not */
	assert_int_equal(source_record(w.s)->frozen_memory_bytes, FAKE_PAGES_N * FAKE_PAGE); /* withheld ones are told, not sent */
	end(&w);
	prepare(&w, *state, "pre-copy");
	w.a.dirty = FAKE_PAGES_N;
	w.job.has_bandwidth = 1;
	w.job.bandwidth = 1 << 20;
	w.job.has_downtime_ms = 1;
	w.job.downtime_ms = 10;
	start(&w);
	carry(&w, FAULT_NONE, 0);
	assert_int_equal(source_result(w.s, &detail, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	assert_int_equal(w.a.pauses, 0);
	settle(&w);
	assert_true(is(fake_state(&w.a), "running") && is(fake_state(&w.b), NULL));
	unmake(&w);
}

static void taking_cpu_makes_it_converge(void **state)
{
	struct world w;
	prepare(&w, *state, "pre-copy");
	w.a.dirty = FAKE_PAGES_N;
	w.job.has_bandwidth = 1;
	w.job.bandwidth = 1 << 20;
	w.job.has_downtime_ms = w.job.has_auto_converge = w.job.auto_converge = 1;
	w.job.downtime_ms = 20;
	arrives(&w);
	assert_true(w.a.throttles > 0);
	end(&w);
}

static void all_of_it_follows_in_post_copy(void **state)
{
	struct world w;
	prepare(&w, *state, "post-copy");
	arrives(&w);
	assert_int_equal(source_record(w.s)->n_rounds, 0);
	assert_int_equal(w.a.rounds, 1);
	assert_true(source_record(w.s)->followed_bytes >= (FAKE_PAGES_N - 1) * FAKE_PAGE);
	end(&w);
}

static void a_target_that_fetched_all_before_its_thaw_lacks_nothing(void **state)
{
	const Davit__Error *detail;
	struct err e = { 0 };
	struct world w;
	prepare(&w, *state, "post-copy");
	w.b.fetches_all = true;
	start(&w);
	carry(&w, FAULT_NONE, 0);
	if (source_result(w.s, &detail, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(target_wait(w.t, 5000));
	assert_true(is(fake_state(&w.a), NULL) && is(fake_state(&w.b), "running"));
	assert_memory_equal(w.a.memory, w.b.memory, sizeof(w.a.memory));
	end(&w);
}

/* What was written to it has not arrived by that, nor has the end of the stream: without the source's copy the container would wait for ever. */
static void a_page_store_that_falls_is_not_taken_for_one_that_is_whole(void **state)
{
	const Davit__Error *detail;
	struct err e = { 0 };
	struct world w;
	prepare(&w, *state, "post-copy");
	w.b.store_falls = true;
	start(&w);
	carry(&w, FAULT_NONE, 0);
	assert_int_equal(source_result(w.s, &detail, &e), -1);
	assert_non_null(strstr(e.msg, "memory still follows"));
	assert_int_equal(w.a.deletes, 0);
	assert_true(is(fake_state(&w.a), "paused") && is(fake_state(&w.b), "running"));
	end(&w);
}

static void pages_right_behind_an_answer_are_the_targets(void **state)
{
	static const char *const modes[] = { "pre-copy", "hybrid", "post-copy" };
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		struct world w;
		prepare(&w, *state, modes[i]);
		w.a.eager = true;
		arrives(&w);
		end(&w);
	}
}

static void compressed_memory_arrives_as_it_was(void **state)
{
	static const char *const ways[] = { "lz4", "zstd:3", "auto" };
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct world w;
		prepare(&w, *state, "hybrid");
		w.job.compress = (char *)ways[i];
		arrives(&w);
		const Davit__MoveRecord *r = source_record(w.s);
		assert_true(i == 2 || r->wire_bytes < r->bytes);
		end(&w);
	}
}

static void mode_that_the_hosts_lack_is_refused_or_not_chosen(void **state)
{
	const Davit__Error *detail;
	struct err e = { 0 };
	struct world w;
	prepare(&w, *state, "hybrid");
	w.facts.memory_tracking = 0;
	start(&w);
	carry(&w, FAULT_NONE, 0);
	assert_int_equal(source_result(w.s, &detail, &e), -1);
	assert_int_equal(e.code, ERR_INCOMPATIBLE);
	settle(&w);
	assert_int_equal(w.a.pauses, 0);
	unmake(&w);
}

static void failure_while_it_is_copied_leaves_it_running(void **state)
{
	static const char *const ops[] = { "memory", "layer_copy", "dump" };
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		const Davit__Error *detail;
		struct err e = { 0 };
		struct world w;
		prepare(&w, *state, "hybrid");
		w.a.fail = ops[i];
		start(&w);
		carry(&w, FAULT_NONE, 0);
		assert_int_equal(source_result(w.s, &detail, &e), -1);
		unit_assert_message(&e, ops[i]);
		settle(&w);
		assert_true(is(fake_state(&w.a), "running") && is(fake_state(&w.b), NULL));
		unmake(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit_in_folder(memory_that_rests_goes_before_the_thaw),
		unit_in_folder(memory_that_is_written_too_fast_follows_or_stays),
		unit_in_folder(taking_cpu_makes_it_converge),
		unit_in_folder(all_of_it_follows_in_post_copy),
		unit_in_folder(a_target_that_fetched_all_before_its_thaw_lacks_nothing),
		unit_in_folder(a_page_store_that_falls_is_not_taken_for_one_that_is_whole),
		unit_in_folder(pages_right_behind_an_answer_are_the_targets),
		unit_in_folder(compressed_memory_arrives_as_it_was),
		unit_in_folder(mode_that_the_hosts_lack_is_refused_or_not_chosen),
		unit_in_folder(failure_while_it_is_copied_leaves_it_running),
	};
	return cmocka_run_group_tests(tests, ignore_pipe, NULL);
}
