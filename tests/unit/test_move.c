/* A whole move between two fake cores: the source's and the target's real code, their frames, journals and recovery. The connection is cut,
 * and either side's process ended, before every single piece that passes between them. */
#include "tests/unit/unit.h"
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/log.h"
#include "migrate/journal.h"
#include "migrate/recover.h"
#include "migrate/source.h"
#include "migrate/target.h"
#include "tests/unit/fake_core.h"

#define ID "00112233445566778899aabbccddeeff"

enum fault { FAULT_NONE, FAULT_CUT, FAULT_SOURCE_KILLED, FAULT_TARGET_KILLED, FAULT_BIT };

struct world {
	struct fake_host a, b;
	char *folder_a, *folder_b;
	Davit__MoverJob job;
	Davit__HostFacts facts;
	struct target_host host;
	struct source *s;
	struct target *t;
	bool source_gone; /* its verdict may be asked for only when nobody works on it */
	unsigned reserved, released;
};

static int open_core(void *arg, struct core *out, struct err *e)
{
	struct world *w = arg;
	(void)e;
	core_init(out, fake_open(&w->b));
	return 0;
}

static Davit__HostFacts *facts(void *arg, struct err *e)
{
	struct world *w = arg;
	return pb_dup(&w->facts.base, e);
}

static int reserve(void *arg, const Davit__StreamOffer *offer, Davit__IdRange *ids, struct err *e)
{
	struct world *w = arg;
	(void)offer, (void)ids, (void)e;
	w->reserved++;
	return 0;
}

static void release(void *arg, const Davit__StreamOffer *offer)
{
	struct world *w = arg;
	(void)offer;
	w->released++;
}

static int ask_verdict(void *arg, const char *url, const char *id, enum handover_verdict *out, struct err *e)
{
	struct world *w = arg;
	assert_string_equal(url, "https://a:7440");
	*out = recover_verdict(w->folder_a, id, e);
	return 0;
}

static int ask_state(void *arg, const Davit__MoveRecord *r, enum handover_answer *out, struct err *e)
{
	struct world *w = arg;
	assert_string_equal(r->target_url, "https://b:7440");
	*out = target_state(w->folder_b, r->id, e);
	return 0;
}

static void fill(struct buf *b, size_t n, unsigned seed)
{
	struct err e = { 0 };
	assert_int_equal(buf_reserve(b, n, &e), 0);
	for (size_t i = 0; i < n; i++) {
		char c = (char)(seed = seed * 1103515245u + 12345u);
		buf_append(b, &c, 1, &e);
	}
}

static void make(struct world *w, const char *folder)
{
	static const size_t sizes[FAKE_CHANNELS] = { 70000, 1, 5 * FAKE_PAGE, 0 };
	struct err e = { 0 };
	memset(w, 0, sizeof(*w));
	pthread_mutex_init(&w->a.lock, NULL);
	pthread_mutex_init(&w->b.lock, NULL);
	w->a.state = "running";
	w->a.offset_boottime = 5 * NSEC_PER_SEC;
	w->a.offset_monotonic = 3 * NSEC_PER_SEC;
	for (size_t i = 0; i < FAKE_CHANNELS; i++)
		fill(&w->a.data[i], sizes[i], (unsigned)i + 1);
	w->folder_a = mem_printf(&e, "%s/a", folder);
	w->folder_b = mem_printf(&e, "%s/b", folder);
	assert_int_equal(file_remove_tree(AT_FDCWD, w->folder_a, &e), 0);
	assert_int_equal(file_remove_tree(AT_FDCWD, w->folder_b, &e), 0);
	assert_int_equal(mkdir(w->folder_a, 0700) + mkdir(w->folder_b, 0700), 0);
	davit__host_facts__init(&w->facts);
	w->facts.criu_version = (char *)"4.2.1";
	davit__mover_job__init(&w->job);
	w->job.kind = (char *)"move";
	w->job.move_id = (char *)ID;
	w->job.container = (char *)"web";
	w->job.moves_folder = w->folder_a;
	w->job.url = (char *)"https://b:7440";
	w->job.source_url = (char *)"https://a:7440";
	w->job.facts = &w->facts;
	w->job.has_timeout_ms = 1;
	w->job.timeout_ms = 5000;
	w->host = (struct target_host){ .folder = w->folder_b,
					.open_core = open_core,
					.facts = facts,
					.reserve = reserve,
					.release = release,
					.ask_verdict = ask_verdict,
					.arg = w };
}

static void unmake(struct world *w)
{
	for (size_t i = 0; i < FAKE_CHANNELS; i++) {
		buf_free(&w->a.data[i]);
		buf_free(&w->b.data[i]);
	}
	free(w->folder_a);
	free(w->folder_b);
}

static void start(struct world *w)
{
	Davit__Error *detail = NULL;
	struct err e = { 0 };
	w->s = source_new(&w->job, fake_open(&w->a), NULL, NULL, &detail, &e);
	if (!w->s)
		fail_msg("%s", e.msg);
	w->t = target_new(&w->host, ID, &e);
	if (!w->t)
		fail_msg("%s", e.msg);
}

static void kill_source(struct world *w)
{
	source_free(w->s);
	w->s = NULL;
	target_lost(w->t);
}

static void kill_target(struct world *w)
{
	struct err e = { .code = ERR_IO, .msg = "connection reset" };
	target_unref(w->t);
	w->t = NULL;
	source_lost(w->s, &e);
}

static void cut(struct world *w)
{
	struct err e = { .code = ERR_IO, .msg = "connection reset" };
	source_lost(w->s, &e);
	target_lost(w->t);
}

/* Does what a fault says. True: nothing passes any more. */
static bool strike(struct world *w, enum fault f, char *p, size_t n)
{
	if (f == FAULT_CUT)
		cut(w);
	else if (f == FAULT_SOURCE_KILLED)
		kill_source(w);
	else if (f == FAULT_TARGET_KILLED)
		kill_target(w);
	else
		p[n - 1] = (char)(p[n - 1] ^ 1);
	return f != FAULT_BIT;
}

/* Carries pieces until the source has finished, or the fault before the `at`th piece. Returns how many passed. */
static unsigned carry(struct world *w, enum fault f, unsigned at)
{
	char piece[16 << 10];
	struct err e = { 0 };
	unsigned passed = 0;
	for (int idle = 0; idle < 20000;) {
		source_step(w->s);
		bool over = source_finished(w->s);
		size_t up = source_pull(w->s, piece, sizeof(piece));
		if (up > 0) {
			if (f && passed == at && strike(w, f, piece, up))
				return passed;
			if (target_feed(w->t, piece, up, &e) < 0)
				target_lost(w->t);
			passed++;
			idle = 0;
		}
		ssize_t down = target_pull(w->t, piece, sizeof(piece), up ? 0 : 1, &e);
		if (down > 0) {
			if (f && passed == at && strike(w, f, piece, (size_t)down))
				return passed;
			source_feed(w->s, piece, (size_t)down);
			passed++;
			idle = 0;
		}
		if (down == 0 && !source_finished(w->s)) {
			err_set(&e, ERR_IO, 0, "the target ended the connection");
			source_lost(w->s, &e);
		}
		if (!up && over)
			return passed;
		idle++;
	}
	fail_msg("the move stands still");
	return passed;
}

static bool is(const char *state, const char *want)
{
	return want ? state && strcmp(state, want) == 0 : !state;
}

/* Both sides go on as after a restart until nothing is left to do. */
static void settle(struct world *w)
{
	struct core core;
	struct err e = { 0 };
	if (w->s)
		source_free(w->s);
	w->s = NULL;
	if (!w->t)
		w->t = target_recover(&w->host, ID, &e);
	else
		target_lost(w->t);
	core_init(&core, fake_open(&w->a));
	const struct recover r = { .folder = w->folder_a, .core = &core, .ask_state = ask_state, .arg = w };
	for (int i = 0, settled = 0; i < 400 && !settled; i++) {
		auto_pb(Davit__MoveRecord) *record = NULL;
		settled = recover_source(&r, ID, &record, &e);
		assert_true(settled >= 0);
		if (!settled && w->t)
			target_wait(w->t, 50);
	}
	if (w->t && !target_wait(w->t, 20000))
		fail_msg("the target does not settle");
	target_unref(w->t);
	w->t = NULL;
	core_close(&core);
}

static void assert_one_runs(struct world *w, unsigned at)
{
	const char *a = fake_state(&w->a), *b = fake_state(&w->b);
	bool at_source = is(a, "running") && is(b, NULL), at_target = is(a, NULL) && is(b, "running");
	if (!at_source && !at_target)
		fail_msg("after a fault before piece %u: source %s, target %s", at, a ? a : "none", b ? b : "none");
	assert_false(at_source ? w->a.network_held : w->b.network_held);
	if (w->reserved)
		assert_int_equal(w->released > 0, at_source);
}

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
	source_cancel(w.s);
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

static int ignore_pipe(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	log_setup(2, LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit_in_folder(container_arrives_whole_with_its_clocks),
		unit_in_folder(every_phase_is_on_the_time_line),
		unit_in_folder(cut_before_any_piece_ends_with_one_copy),
		unit_in_folder(source_killed_before_any_piece_ends_with_one_copy),
		unit_in_folder(target_killed_before_any_piece_ends_with_one_copy),
		unit_in_folder(flipped_bit_anywhere_ends_with_one_copy),
		unit_in_folder(failure_of_either_core_lets_the_source_go_on),
		unit_in_folder(refusal_comes_before_the_container_is_touched),
		unit_in_folder(check_only_leaves_no_trace),
		unit_in_folder(obstacle_is_told_before_anything_is_asked_of_the_target),
		unit_in_folder(cancel_lets_the_source_go_on),
		unit_in_folder(bandwidth_is_kept),
		unit_in_folder(silent_peer_times_out),
		unit_in_folder(garbage_is_no_offer),
	};
	return cmocka_run_group_tests(tests, ignore_pipe, NULL);
}
