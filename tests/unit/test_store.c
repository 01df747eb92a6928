/* The snapshot store: what goes in comes out, once on disk; damage is found and named; nothing half is ever seen. */
#include <pthread.h>
#include "base/clock.h"
#include "base/log.h"
#include "tests/unit/store.h"

static void what_goes_in_comes_out(void **state)
{
	auto_store struct store *s = open_store(state);
	const size_t n = 3000001;
	auto_free uint8_t *data = noise(n, 1);
	struct err e = { 0 };
	auto_store_writer struct store_writer *w = store_writer_new(s, "web", &e);
	auto_pb(Davit__SnapshotManifest) *m = manifest_of("web");
	for (size_t i = 0; i < n;) { /* odd pieces of two channels in turn */
		size_t piece = MIN(n - i, 1 + i % 70000);
		assert_int_equal(store_writer_write(w, PAGES, data + i, piece, &e), 0);
		assert_int_equal(store_writer_write(w, LAYER, data + i, piece / 2, &e), 0);
		i += piece;
	}
	assert_int_equal(store_writer_write(w, IMAGES, "", 0, &e), 0);
	if (store_writer_finish(w, m, &e) < 0)
		fail_msg("%s", e.msg);
	auto_store_reader struct store_reader *r = store_reader_open(s, m->id, &e);
	assert_non_null(r);
	assert_string_equal(store_reader_manifest(r)->container, "web");
	auto_buf struct buf out = { 0 };
	assert_int_equal(store_reader_channel(r, PAGES, append, &out, &e), 0);
	assert_int_equal(out.len, n);
	assert_memory_equal(out.data, data, n);
	assert_int_equal(store_reader_channel(r, DAVIT__STREAM_CHANNEL__CHANNEL_LOG, append, &out, &e), 0);
	assert_int_equal(out.len, n);
	assert_int_equal(store_verify(s, m->id, &e), 0);
}

static void a_channel_streams_to_a_descriptor(void **state)
{
	auto_store struct store *s = open_store(state);
	auto_free char *id = snapshot(s, "web", "pages", 5, NULL);
	struct err e = { 0 };
	int p[2];
	char text[8] = "";
	assert_int_equal(fd_pipe(p, NULL), 0);
	auto_store_reader struct store_reader *r = store_reader_open(s, id, &e);
	assert_int_equal(store_reader_channel_fd(r, PAGES, p[1], &e), 0);
	assert_int_equal(read(p[0], text, 7), 5);
	assert_string_equal(text, "pages");
	close(p[0]);
	close(p[1]);
}

static void equal_bytes_are_stored_once_wherever_they_stand(void **state)
{
	auto_store struct store *s = open_store(state);
	const size_t n = 8 << 20;
	auto_free uint8_t *data = noise(n, 2);
	uint64_t first, second, third;
	auto_free char *a = snapshot(s, "web", data, n, &first);
	assert_true(first > n * 9 / 10);
	auto_free char *b = snapshot(s, "db", data, n, &second);
	assert_int_equal(second, 0);
	/* 28 bytes more at the front (one more header in the page stream) and one changed page. */
	auto_free uint8_t *moved = malloc(n + 28);
	memset(moved, 7, 28);
	memcpy(moved + 28, data, n);
	memset(moved + n / 2, 0, 4096);
	auto_free char *c = snapshot(s, "web", moved, n + 28, &third);
	assert_true(third < 3 * STORE_CHUNK_MAX);
	auto_buf struct buf out = { 0 };
	struct err e = { 0 };
	assert_int_equal(read_pages(s, c, &out, &e), 0);
	assert_memory_equal(out.data, moved, n + 28);
}

static void zeros_take_next_to_nothing(void **state)
{
	auto_store struct store *s = open_store(state);
	auto_free uint8_t *data = calloc(1, 32 << 20);
	uint64_t stored;
	auto_free char *id = snapshot(s, "web", data, 32 << 20, &stored);
	assert_true(stored < 4096);
	assert_true(files(state, "chunks", "").files <= 3);
}

static void cuts_do_not_depend_on_the_pieces(void **state)
{
	(void)state;
	struct store_cutter c;
	assert_int_equal(store_cutter_init(&c, NULL), 0);
	const size_t n = 2 << 20;
	auto_free uint8_t *data = noise(n, 3);
	size_t ends[2][200], count[2] = { 0 }, sum = 0;
	for (int round = 0; round < 2; round++) {
		c.len = 0;
		for (size_t i = 0; i < n;) {
			bool cut;
			i += store_cutter_feed(&c, data + i, MIN(n - i, round ? 777 : n), &cut);
			if (!cut)
				continue;
			assert_in_range(c.len, 16 << 10, STORE_CHUNK_MAX);
			c.len = 0;
			ends[round][count[round]++] = i;
		}
	}
	assert_int_equal(count[0], count[1]);
	for (size_t i = 0; i < count[0]; i++) {
		assert_int_equal(ends[0][i], ends[1][i]);
		sum = ends[0][i];
	}
	assert_in_range(sum / count[0], 40 << 10, 100 << 10);
	store_cutter_free(&c);
}

static void a_flipped_byte_is_found_named_and_mended_by_the_next_snapshot(void **state)
{
	auto_store struct store *s = open_store(state);
	const size_t n = 1 << 20;
	auto_free uint8_t *data = noise(n, 4);
	auto_free char *id = snapshot(s, "web", data, n, NULL);
	struct count chunk = files(state, "chunks", "");
	auto_close int fd = open(chunk.largest, O_RDWR | O_CLOEXEC);
	uint8_t byte;
	assert_int_equal(pread(fd, &byte, 1, 5000), 1);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, 5000), 1);
	struct err e = { 0 };
	assert_int_equal(store_verify(s, id, &e), -1);
	assert_int_equal(e.code, ERR_CORRUPT);
	unit_assert_message(&e, id);
	unit_assert_message(&e, strrchr(chunk.largest, '/') + 1);
	assert_int_equal(store_verify(s, id, &e), -1);
	unit_assert_message(&e, "is missing");
	auto_free char *again = snapshot(s, "web", data, n, NULL);
	assert_int_equal(store_verify(s, id, &e), 0);
	assert_int_equal(store_verify(s, again, &e), 0);
	assert_int_equal(files(state, "chunks", ".bad").files, 1);
	assert_int_equal(store_collect(s, NULL, &e), 0);
	assert_int_equal(files(state, "chunks", ".bad").files, 0);
}

static void every_damage_of_a_chunk_is_found(void **state)
{
	auto_store struct store *s = open_store(state);
	auto_free char *id = snapshot(s, "web", "some pages", 10, NULL);
	struct count chunk = files(state, "chunks", "");
	size_t n;
	auto_free char *good = file_read(AT_FDCWD, chunk.largest, 1000, &n, NULL);
	for (size_t i = 0; i < n + 2; i++) {
		auto_free char *bad = malloc(n + 1);
		memcpy(bad, good, n);
		bad[MIN(i, n)] ^= 0x55;
		file_write_atomic(AT_FDCWD, chunk.largest, bad, i < n ? n : (i - n) * (n - 1), 0600, false, NULL);
		struct err e = { 0 };
		int rc = store_verify(s, id, &e);
		if (rc == 0) /* a bit of zstd's header that means nothing: the bytes are right still */
			continue;
		assert_int_equal(e.code, ERR_CORRUPT);
	}
}

static void a_damaged_manifest_is_refused_and_stops_collecting(void **state)
{
	auto_store struct store *s = open_store(state);
	auto_free char *id = snapshot(s, "web", "pages", 5, NULL);
	auto_free char *other = snapshot(s, "web", "other", 5, NULL);
	char path[256];
	snprintf(path, sizeof(path), "%s/snapshots/%s.manifest", (char *)*state, id);
	auto_close int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "\xff", 1, 60), 1);
	struct err e = { 0 };
	assert_null(store_reader_open(s, id, &e));
	assert_int_equal(e.code, ERR_CORRUPT);
	unit_assert_message(&e, id);
	assert_int_equal(store_collect(s, NULL, &e), -1);
	assert_int_equal(e.code, ERR_CORRUPT);
	/* Others go on, and the damaged one can be removed. */
	assert_int_equal(store_verify(s, other, &e), 0);
	assert_int_equal(store_remove(s, id, NULL, &e), 0);
	assert_int_equal(store_collect(s, NULL, &e), 0);
	assert_int_equal(store_verify(s, other, &e), 0);
}

static void a_manifest_that_lies_is_refused(void **state)
{
	auto_store struct store *s = open_store(state);
	auto_free char *id = snapshot(s, "web", "pages", 5, NULL);
	struct err e = { 0 };
	for (int i = 0; i < 5; i++) {
		auto_pb(Davit__SnapshotManifest) *m = store_read_manifest(s, id, &e);
		Davit__SnapshotChannel *c = m->channels[m->n_channels - 1];
		if (i == 0)
			c->bytes++;
		else if (i == 1)
			c->chunks[0]->length = STORE_CHUNK_MAX + 1;
		else if (i == 2)
			c->chunks[0]->hash.len--;
		else if (i == 3)
			m->version = 2;
		else
			pb_set_str(&m->id, "another", NULL);
		assert_int_equal(store_write_message(s, "liar", ".manifest", &m->base, &e), 0);
		if (i < 4)
			pb_set_str(&m->id, "liar", NULL);
		assert_int_equal(store_write_message(s, "liar", ".manifest", &m->base, &e), 0);
		assert_null(store_read_manifest(s, "liar", &e));
		assert_int_equal(e.code, ERR_CORRUPT);
	}
}

static void a_second_snapshot_of_the_same_container_is_busy(void **state)
{
	auto_store struct store *s = open_store(state), *t = open_store(state);
	struct err e = { 0 };
	struct store_writer *w = store_writer_new(s, "web", &e);
	assert_null(store_writer_new(s, "web", &e));
	assert_int_equal(e.code, ERR_BUSY);
	unit_assert_message(&e, "another snapshot of web");
	assert_null(store_writer_new(t, "web", &e));
	assert_int_equal(e.code, ERR_BUSY);
	auto_store_writer struct store_writer *other = store_writer_new(s, "db", &e);
	assert_non_null(other);
	store_writer_free(w);
	auto_store_writer struct store_writer *again = store_writer_new(t, "web", &e);
	assert_non_null(again);
}

static void removing_frees_only_what_no_other_holds(void **state)
{
	auto_store struct store *s = open_store(state);
	auto_free uint8_t *shared = noise(1 << 20, 8);
	auto_free char *a = snapshot(s, "web", shared, 1 << 20, NULL), *b = snapshot(s, "db", shared, 1 << 20, NULL);
	struct err e = { 0 };
	uint64_t freed;
	assert_int_equal(store_remove(s, a, &freed, &e), 0);
	assert_int_equal(freed, 0);
	assert_int_equal(store_verify(s, b, &e), 0);
	assert_int_equal(store_remove(s, b, &freed, &e), 0);
	assert_true(freed > 1 << 20);
	assert_int_equal(store_remove(s, b, &freed, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(store_remove(s, "../x", &freed, &e), -1);
	assert_int_equal(e.code, ERR_INVALID);
}

static void lists_tell_what_the_manifest_says(void **state)
{
	auto_store struct store *s = open_store(state);
	auto_free char *a = snapshot(s, "web", "12345", 5, NULL), *b = snapshot(s, "db", "1", 1, NULL), *c = snapshot(s, "web", "1", 1, NULL);
	struct err e = { 0 };
	auto_pb(Davit__SnapshotList) *all = store_list(s, NULL, &e);
	assert_int_equal(all->n_snapshots, 3);
	auto_pb(Davit__SnapshotList) *web = store_list(s, "web", &e);
	assert_int_equal(web->n_snapshots, 2);
	assert_string_equal(web->snapshots[0]->id, a);
	assert_string_equal(web->snapshots[1]->id, c);
	assert_int_equal(web->snapshots[0]->bytes, 11);
	/* Without its info as well. */
	char name[STORE_NAME_MAX];
	snprintf(name, sizeof(name), "%s.info", b);
	assert_int_equal(unlinkat(s->snapshots, name, 0), 0);
	auto_pb(Davit__Snapshot) *one = store_get(s, b, &e);
	assert_string_equal(one->container, "db");
	assert_null(store_get(s, "20200101T000000Z-00000000", &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

struct job {
	struct store *s;
	const uint8_t *data;
	char container[16];
	int failures;
};

static void *make_and_prune(void *arg)
{
	struct job *j = arg;
	for (int i = 0; i < 8; i++) {
		auto_free char *id = snapshot(j->s, j->container, j->data + i * 1000, 600000, NULL);
		struct err e = { 0 };
		Davit__SnapshotPrune rules = RULES(.container = j->container, .keep_last = 2);
		auto_pb(Davit__PruneResult) *r = store_prune(j->s, &rules, &e);
		if (!r || store_verify(j->s, id, &e) < 0)
			j->failures++;
	}
	return NULL;
}

static void containers_may_be_snapped_and_pruned_at_the_same_time(void **state)
{
	auto_store struct store *s = open_store(state);
	auto_free uint8_t *data = noise(1 << 20, 9);
	pthread_t threads[4];
	struct job jobs[4];
	for (int i = 0; i < 4; i++) {
		jobs[i] = (struct job){ .s = s, .data = data };
		snprintf(jobs[i].container, sizeof(jobs[i].container), "c%d", i);
		pthread_create(&threads[i], NULL, make_and_prune, &jobs[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(jobs[i].failures, 0);
	}
	struct err e = { 0 };
	auto_pb(Davit__SnapshotList) *list = store_list(s, NULL, &e);
	assert_int_equal(list->n_snapshots, 8);
	assert_int_equal(store_collect(s, NULL, &e), 0);
	for (size_t i = 0; i < list->n_snapshots; i++)
		assert_int_equal(store_verify(s, list->snapshots[i]->id, &e), 0);
}

static void a_store_of_another_version_is_left_alone(void **state)
{
	struct err e = { 0 };
	auto_free char *path = mem_printf(NULL, "%s/version", (char *)*state);
	file_write_atomic(AT_FDCWD, path, "2\n", 2, 0600, false, NULL);
	assert_null(store_open(*state, &e));
	assert_int_equal(e.code, ERR_UNSUPPORTED);
}

int main(void)
{
	log_setup(2, LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	if (sodium_init() < 0)
		return 1;
	const struct CMUnitTest tests[] = {
		unit_in_folder(what_goes_in_comes_out),
		unit_in_folder(a_channel_streams_to_a_descriptor),
		unit_in_folder(equal_bytes_are_stored_once_wherever_they_stand),
		unit_in_folder(zeros_take_next_to_nothing),
		cmocka_unit_test(cuts_do_not_depend_on_the_pieces),
		unit_in_folder(a_flipped_byte_is_found_named_and_mended_by_the_next_snapshot),
		unit_in_folder(every_damage_of_a_chunk_is_found),
		unit_in_folder(a_damaged_manifest_is_refused_and_stops_collecting),
		unit_in_folder(a_manifest_that_lies_is_refused),
		unit_in_folder(a_second_snapshot_of_the_same_container_is_busy),
		unit_in_folder(removing_frees_only_what_no_other_holds),
		unit_in_folder(lists_tell_what_the_manifest_says),
		unit_in_folder(containers_may_be_snapped_and_pruned_at_the_same_time),
		unit_in_folder(a_store_of_another_version_is_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
