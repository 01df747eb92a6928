/* A whole move between two fake cores, and how it ends when something speaks against it. */
#include "tests/unit/move_world.h"

static void container_arrives_whole_with_its_clocks(void **state)
{
	const Davit__Error *detail;
	struct err e = { 0 };
	struct world w;
	make(&w, *state);
	start(&w);
	carry(&w, FAULT_NONE, 0);
	if (source_result(w.s, &detail, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(target_wait(w.t, 5000));
	assert_true(is(fake_state(&w.a), NULL) && is(fake_state(&w.b), "running"));
	for (size_t i = 0; i < FAKE_CHANNELS; i++) {
		assert_int_equal(w.a.data[i].len, w.b.data[i].len);
		if (w.a.data[i].len)
			assert_memory_equal(w.a.data[i].data, w.b.data[i].data, w.a.data[i].len);
	}
	/* Both hosts are this one: the offsets must come out as they were, as well as the exchanges can know. */
	const Davit__MoveRecord *r = source_record(w.s);
	assert_non_null(r->clock);
	assert_true(llabs(w.b.offset_boottime - w.a.offset_boottime) <= r->clock->bound);
	assert_true(llabs(w.b.offset_monotonic - w.a.offset_monotonic) <= r->clock->bound + 1000);
	assert_false(r->clock->backwards);
	assert_true(r->downtime_us > 0);
	assert_string_equal(r->state, "done");
	assert_int_equal(w.b.announces, 1);
	assert_int_equal(w.released, 0);
	auto_pb(Davit__MoveRecord) *theirs = target_record(w.t, &e);
	assert_string_equal(theirs->state, "done");
	source_free(w.s);
	target_unref(w.t);
	unmake(&w);
}

static void every_phase_is_on_the_time_line(void **state)
{
	static const char *const names[] = { "offer", "freeze", "dump", "transfer", "restore", "commit", "thaw", "cleanup" };
	struct world w;
	make(&w, *state);
	start(&w);
	carry(&w, FAULT_NONE, 0);
	const Davit__MoveRecord *r = source_record(w.s);
	assert_int_equal(r->n_phases, ARRAY_LEN(names));
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		bool found = false;
		for (size_t j = 0; j < r->n_phases; j++)
			found |= strcmp(r->phases[j]->name, names[i]) == 0 && r->phases[j]->has_duration_us;
		if (!found)
			fail_msg("phase %s is missing", names[i]);
	}
	settle(&w);
	unmake(&w);
}

/* A core that fails in one operation: the container goes on at the source, and the error names the operation. */
static void failing(const char *folder, bool at_source, const char *op)
{
	const Davit__Error *detail;
	struct err e = { 0 };
	struct world w;
	make(&w, folder);
	if (at_source)
		w.a.fail = op;
	else
		w.b.fail = op;
	start(&w);
	carry(&w, FAULT_NONE, 0);
	assert_int_equal(source_result(w.s, &detail, &e), -1);
	unit_assert_message(&e, op);
	assert_int_equal(e.code, ERR_RESOURCE);
	settle(&w);
	assert_true(is(fake_state(&w.a), "running") && is(fake_state(&w.b), NULL));
	unmake(&w);
}

static void failure_of_either_core_lets_the_source_go_on(void **state)
{
	failing(*state, true, "pause");
	failing(*state, true, "dump");
	failing(*state, false, "prepare");
	failing(*state, false, "run");
}

static void refusal_comes_before_the_container_is_touched(void **state)
{
	const Davit__Error *detail;
	struct err e = { 0 };
	struct world w;
	make(&w, *state);
	w.facts.criu_problem = (char *)"it does not work";
	start(&w);
	carry(&w, FAULT_NONE, 0);
	assert_int_equal(source_result(w.s, &detail, &e), -1);
	assert_int_equal(e.code, ERR_INCOMPATIBLE);
	assert_non_null(detail);
	assert_int_equal(detail->n_reasons, 1);
	assert_int_equal(w.a.pauses + w.a.resumes, 0);
	assert_string_equal(source_record(w.s)->state, "aborted");
	settle(&w);
	unmake(&w);
}

/* Notes how the record of an incoming move ended. */
static void note_end(void *arg, const Davit__MoveRecord *r, const Davit__StreamOffer *offer)
{
	struct world *w = arg;
	(void)offer;
	if (r->finished_at)
		snprintf(w->ended, sizeof(w->ended), "%s", r->state);
}

static void disk_that_takes_no_journal_refuses_the_move_and_gives_everything_back(void **state)
{
	const Davit__Error *detail;
	struct err e = { 0 };
	struct world w;
	make(&w, *state);
	w.host.changed = note_end;
	w.release_fails = 1;
	assert_int_equal(rmdir(w.folder_b), 0);
	start(&w);
	carry(&w, FAULT_NONE, 0);
	assert_int_equal(source_result(w.s, &detail, &e), -1);
	assert_string_equal(source_record(w.s)->state, "aborted");
	assert_true(target_wait(w.t, 5000));
	assert_int_equal(w.reserved, 1);
	assert_int_equal(w.released, 1);
	assert_string_equal(w.ended, "dropped");
	source_free(w.s);
	target_unref(w.t);
	unmake(&w);
}

static void check_only_leaves_no_trace(void **state)
{
	const Davit__Error *detail;
	auto_strv struct strv a = { 0 }, b = { 0 };
	struct err e = { 0 };
	struct world w;
	make(&w, *state);
	w.job.has_check_only = w.job.check_only = 1;
	start(&w);
	carry(&w, FAULT_NONE, 0);
	assert_int_equal(source_result(w.s, &detail, &e), 0);
	assert_true(target_wait(w.t, 5000));
	assert_int_equal(w.a.pauses + w.reserved, 0);
	assert_int_equal(journal_list(w.folder_a, &a, &e) + journal_list(w.folder_b, &b, &e), 0);
	assert_int_equal(a.n + b.n, 0);
	source_free(w.s);
	target_unref(w.t);
	unmake(&w);
}

static void obstacle_is_told_before_anything_is_asked_of_the_target(void **state)
{
	Davit__Error *detail = NULL;
	struct err e = { 0 };
	struct world w;
	make(&w, *state);
	w.a.has_obstacle = true;
	assert_null(source_new(&w.job, fake_open(&w.a), NULL, NULL, &detail, &e));
	assert_int_equal(e.code, ERR_OBSTACLE);
	assert_int_equal(detail->n_obstacles, 1);
	assert_string_equal(detail->obstacles[0]->kind, "io_uring");
	pb_freep(&detail);
	unmake(&w);
}

static void cancel_lets_the_source_go_on(void **state)
{
	const Davit__Error *detail;
	struct err e = { 0 };
	struct world w;
	make(&w, *state);
	start(&w);
	source_cancel(w.s, false);
	carry(&w, FAULT_NONE, 0);
	assert_int_equal(source_result(w.s, &detail, &e), -1);
	assert_int_equal(e.code, ERR_CANCELLED);
	settle(&w);
	assert_true(is(fake_state(&w.a), "running") && is(fake_state(&w.b), NULL));
	unmake(&w);
}

static void bandwidth_is_kept(void **state)
{
	struct world w;
	make(&w, *state);
	w.job.has_bandwidth = 1;
	w.job.bandwidth = 200000; /* about 90 kB have to go */
	int64_t began = clock_now_ns(CLOCK_MONOTONIC);
	start(&w);
	carry(&w, FAULT_NONE, 0);
	assert_true(clock_now_ns(CLOCK_MONOTONIC) - began > 300 * NSEC_PER_MSEC);
	settle(&w);
	assert_true(is(fake_state(&w.b), "running"));
	unmake(&w);
}

static void silent_peer_times_out(void **state)
{
	const Davit__Error *detail;
	struct err e = { 0 };
	struct world w;
	make(&w, *state);
	w.job.timeout_ms = 100;
	start(&w);
	while (!source_finished(w.s)) {
		struct pollfd fds[SOURCE_POLL_MAX];
		int ms;
		size_t n = source_poll(w.s, fds, &ms);
		poll(fds, n, ms);
		source_step(w.s);
	}
	assert_int_equal(source_result(w.s, &detail, &e), -1);
	assert_int_equal(e.code, ERR_TIMEOUT);
	settle(&w);
	assert_true(is(fake_state(&w.a), "running"));
	unmake(&w);
}

static void garbage_is_no_offer(void **state)
{
	struct err e = { 0 };
	struct world w;
	make(&w, *state);
	struct target *t = target_new(&w.host, ID, &e);
	assert_int_equal(target_feed(t, "GET / HTTP/1.1\r\n\r\n", 18, &e), -1);
	assert_true(target_wait(t, 5000));
	target_unref(t);
	unmake(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit_in_folder(container_arrives_whole_with_its_clocks),
		unit_in_folder(every_phase_is_on_the_time_line),
		unit_in_folder(failure_of_either_core_lets_the_source_go_on),
		unit_in_folder(refusal_comes_before_the_container_is_touched),
		unit_in_folder(disk_that_takes_no_journal_refuses_the_move_and_gives_everything_back),
		unit_in_folder(check_only_leaves_no_trace),
		unit_in_folder(obstacle_is_told_before_anything_is_asked_of_the_target),
		unit_in_folder(cancel_lets_the_source_go_on),
		unit_in_folder(bandwidth_is_kept),
		unit_in_folder(silent_peer_times_out),
		unit_in_folder(garbage_is_no_offer),
	};
	return cmocka_run_group_tests(tests, ignore_pipe, NULL);
}
