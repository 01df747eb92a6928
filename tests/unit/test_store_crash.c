/* The store whatever stops: writers that give up or are killed, and collecting beside those that go on. */
#include <signal.h>
#include <sys/wait.h>
#include "base/clock.h"
#include "base/log.h"
#include "tests/unit/store.h"

static void an_abandoned_snapshot_leaves_nothing(void **state)
{
	auto_store struct store *s = open_store(state);
	struct err e = { 0 };
	auto_free uint8_t *data = noise(1 << 20, 5);
	struct store_writer *w = store_writer_new(s, "web", &e);
	assert_int_equal(store_writer_write(w, PAGES, data, 1 << 20, &e), 0);
	assert_true(files(state, "staging", "").files > 0);
	store_writer_free(w);
	/* A manifest that cannot be packed: required fields are missing. */
	w = store_writer_new(s, "web", &e);
	auto_pb(Davit__SnapshotManifest) *m = pb_new(&davit__snapshot_manifest__descriptor, NULL);
	assert_int_equal(store_writer_write(w, PAGES, data, 1 << 20, &e), 0);
	assert_int_equal(store_writer_finish(w, m, &e), -1);
	assert_int_equal(store_writer_write(w, PAGES, data, 1, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
	store_writer_free(w);
	assert_int_equal(files(state, "staging", "").files, 0);
	assert_int_equal(files(state, "chunks", "").files, 0);
	assert_int_equal(files(state, "snapshots", "").files, 0);
}

/* Writes half a snapshot and is killed. */
static void killed_writer(const char *dir)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct store *s = store_open(dir, NULL);
		struct store_writer *w = store_writer_new(s, "web", NULL);
		uint8_t *data = noise(1 << 20, 6);
		store_writer_write(w, PAGES, data, 1 << 20, NULL);
		kill(getpid(), SIGKILL);
	}
	waitpid(pid, NULL, 0);
}

static void what_a_killed_writer_left_is_collected(void **state)
{
	auto_store struct store *s = open_store(state);
	auto_free char *id = snapshot(s, "web", "pages", 5, NULL);
	killed_writer(*state);
	assert_true(files(state, "staging", "").files > 0);
	file_write_atomic(s->snapshots, ".tmp-0123", "x", 1, 0600, false, NULL);
	file_write_atomic(s->snapshots, "20260101T000000Z-00000000.info", "x", 1, 0600, false, NULL);
	file_write_atomic(s->chunks, "note", "x", 1, 0600, false, NULL);
	struct err e = { 0 };
	/* Neither is a snapshot, and the lock is free again. */
	auto_pb(Davit__SnapshotList) *list = store_list(s, NULL, &e);
	assert_int_equal(list->n_snapshots, 1);
	auto_free char *next = snapshot(s, "web", "pages", 5, NULL);
	assert_int_equal(store_collect(s, NULL, &e), 0);
	assert_int_equal(files(state, "staging", "").files, 0);
	assert_int_equal(files(state, "snapshots", "").files, 4);
	assert_int_equal(store_verify(s, id, &e), 0);
	assert_int_equal(store_verify(s, next, &e), 0);
	assert_true(file_exists(s->chunks, "note")); /* not ours */
}

/* Makes and removes snapshots until it is killed, after so many microseconds. */
static void churn(const char *dir, useconds_t until)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct store *s = store_open(dir, NULL);
		uint8_t *data = noise(1 << 20, 10);
		for (uint64_t i = 0;; i++) {
			memcpy(data + 300000, &i, sizeof(i));
			char *id = snapshot(s, "web", data, 1 << 20, NULL);
			if (i % 2)
				store_remove(s, id, NULL, NULL);
		}
	}
	usleep(until);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void a_kill_at_any_moment_leaves_whole_snapshots_only(void **state)
{
	auto_store struct store *s = open_store(state);
	struct err e = { 0 };
	/* The moments lie within what two snapshots take here. */
	auto_free uint8_t *data = noise(1 << 20, 10);
	int64_t start = clock_now_ns(CLOCK_MONOTONIC);
	free(snapshot(s, "web", data, 1 << 20, NULL));
	useconds_t span = MAX(25000, (useconds_t)((clock_now_ns(CLOCK_MONOTONIC) - start) / 500));
	for (useconds_t i = 0; i < 25; i++) {
		churn(*state, 1000 + i * 3989 % span);
		auto_pb(Davit__SnapshotList) *list = store_list(s, NULL, &e);
		for (size_t k = 0; k < list->n_snapshots; k++) {
			if (store_verify(s, list->snapshots[k]->id, &e) < 0)
				fail_msg("%s", e.msg);
			if (k % 2)
				assert_int_equal(store_remove(s, list->snapshots[k]->id, NULL, &e), 0);
		}
	}
	Davit__SnapshotPrune one = RULES(.keep_last = 1);
	auto_pb(Davit__PruneResult) *r = store_prune(s, &one, &e);
	assert_int_equal(r->n_kept, 1);
	assert_int_equal(store_verify(s, r->kept[0], &e), 0);
	assert_int_equal(files(state, "staging", "").files, 0);
	assert_int_equal(files(state, "snapshots", "").files, 2);
}

static void collecting_leaves_writers_and_readers_alone(void **state)
{
	auto_store struct store *s = open_store(state);
	const size_t n = 1 << 20;
	auto_free uint8_t *data = noise(n, 7);
	auto_free char *old = snapshot(s, "web", data, n, NULL);
	struct err e = { 0 };
	/* A writer relies on chunks whose only snapshot goes meanwhile. */
	auto_store_writer struct store_writer *w = store_writer_new(s, "db", &e);
	assert_int_equal(store_writer_write(w, PAGES, data, n, &e), 0);
	uint64_t freed = 1;
	assert_int_equal(store_remove(s, old, &freed, &e), 0);
	assert_int_equal(freed, 0);
	assert_int_equal(store_collect(s, NULL, &e), -1);
	assert_int_equal(e.code, ERR_BUSY);
	auto_pb(Davit__SnapshotManifest) *m = manifest_of("db");
	assert_int_equal(store_writer_finish(w, m, &e), 0);
	store_writer_freep(&w);
	assert_int_equal(store_verify(s, m->id, &e), 0);
	/* A reader reads on though its snapshot is removed. */
	auto_store_reader struct store_reader *r = store_reader_open(s, m->id, &e);
	assert_int_equal(store_remove(s, m->id, &freed, &e), 0);
	auto_buf struct buf out = { 0 };
	assert_int_equal(store_reader_channel(r, PAGES, append, &out, &e), 0);
	assert_memory_equal(out.data, data, n);
	store_reader_freep(&r);
	assert_int_equal(store_collect(s, &freed, &e), 0);
	assert_true(freed > n / 2);
	assert_int_equal(files(state, "chunks", "").files, 0);
}

int main(void)
{
	log_setup(2, LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	if (sodium_init() < 0)
		return 1;
	const struct CMUnitTest tests[] = {
		unit_in_folder(an_abandoned_snapshot_leaves_nothing),
		unit_in_folder(what_a_killed_writer_left_is_collected),
		unit_in_folder(a_kill_at_any_moment_leaves_whole_snapshots_only),
		unit_in_folder(collecting_leaves_writers_and_readers_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
