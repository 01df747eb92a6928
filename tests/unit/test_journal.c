/* A move's journal over crashes: what was written is read back, what was torn is not. */
#include "tests/unit/unit.h"
#include <sys/stat.h>
#include "migrate/journal.h"
#include "proto/pb.h"

#define ID "0123456789abcdef0123456789abcdef"

static Davit__MoveRecord record(void)
{
	Davit__MoveRecord r = DAVIT__MOVE_RECORD__INIT;
	r.id = (char *)ID;
	r.container = (char *)"web";
	r.role = (char *)"source";
	return r;
}

static void begin(const char *folder, struct journal *j)
{
	struct err e = { 0 };
	Davit__MoveRecord r = record();
	assert_int_equal(journal_create(folder, ID, j, &e), 0);
	assert_int_equal(journal_append(j, SOURCE_OFFERED, NULL, NULL, &r, true, &e), 0);
}

static int journal_file(const char *folder)
{
	struct err e = { 0 };
	auto_free char *path = mem_printf(&e, "%s/%s/journal", folder, ID);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void entries_read_back_in_order(void **state)
{
	auto_journal_view struct journal_view v = { 0 };
	struct err e = { 0 };
	struct journal j;
	begin(*state, &j);
	assert_int_equal(journal_append(&j, SOURCE_ACCEPTED, "accepted", NULL, NULL, true, &e), 0);
	assert_int_equal(journal_append(&j, SOURCE_FROZEN, "paused", NULL, NULL, false, &e), 0);
	journal_close(&j);
	assert_int_equal(journal_read(*state, ID, true, &v, &e), 0);
	assert_int_equal(v.entries, 3);
	assert_int_equal(v.state, SOURCE_FROZEN);
	assert_int_equal(v.side, HANDOVER_SOURCE);
	assert_string_equal(v.record->container, "web");
	assert_string_equal(v.first->state, "offered");
	assert_string_equal(v.last->note, "paused");
}

static void entry_torn_at_any_byte_is_as_if_never_written(void **state)
{
	struct err e = { 0 };
	struct journal j;
	begin(*state, &j);
	uint64_t before = j.end;
	assert_int_equal(journal_append(&j, SOURCE_ACCEPTED, "the last entry", NULL, NULL, true, &e), 0);
	size_t n = j.end - before;
	journal_close(&j);
	auto_close int fd = journal_file(*state);
	char whole[256], torn[256];
	assert_true(n < sizeof(whole));
	assert_int_equal(pread(fd, whole, n, (off_t)before), n);
	for (size_t cut = 0; cut < n; cut++) {
		auto_journal_view struct journal_view v = { 0 };
		memset(torn, 0, sizeof(torn));
		memcpy(torn, whole, cut);
		assert_int_equal(pwrite(fd, torn, n, (off_t)before), n);
		assert_int_equal(journal_read(*state, ID, false, &v, &e), 0);
		/* An entry whose last bytes are zero is whole without them. */
		assert_int_equal(v.state, memcmp(torn, whole, n) ? SOURCE_OFFERED : SOURCE_ACCEPTED);
	}
}

static void file_cut_short_keeps_its_whole_entries(void **state)
{
	auto_journal_view struct journal_view v = { 0 };
	struct err e = { 0 };
	struct journal j;
	begin(*state, &j);
	uint64_t before = j.end;
	assert_int_equal(journal_append(&j, SOURCE_ACCEPTED, NULL, NULL, NULL, true, &e), 0);
	assert_int_equal(ftruncate(j.fd, (off_t)before + 5), 0);
	journal_close(&j);
	assert_int_equal(journal_read(*state, ID, false, &v, &e), 0);
	assert_int_equal(v.state, SOURCE_OFFERED);
}

static void writing_goes_on_over_a_torn_entry(void **state)
{
	auto_journal_view struct journal_view v = { 0 }, after = { 0 };
	struct err e = { 0 };
	struct journal j;
	begin(*state, &j);
	assert_int_equal(pwrite(j.fd, "torn, and longer than what follows it here.........................", 60, (off_t)j.end), 60);
	journal_close(&j);
	assert_int_equal(journal_open(*state, ID, &j, &v, &e), 0);
	assert_int_equal(v.state, SOURCE_OFFERED);
	assert_int_equal(journal_append(&j, SOURCE_ABORTING, NULL, NULL, NULL, true, &e), 0);
	journal_close(&j);
	assert_int_equal(journal_read(*state, ID, false, &after, &e), 0);
	assert_int_equal(after.state, SOURCE_ABORTING);
	assert_int_equal(after.entries, 2);
}

static void each_changed_byte_is_noticed(void **state)
{
	struct err e = { 0 };
	struct journal j;
	begin(*state, &j);
	auto_close int fd = journal_file(*state);
	for (uint64_t at = 0; at < j.end; at++) {
		auto_journal_view struct journal_view v = { 0 };
		char was, is;
		assert_int_equal(pread(fd, &was, 1, (off_t)at), 1);
		is = (char)(was ^ 0x10);
		assert_int_equal(pwrite(fd, &is, 1, (off_t)at), 1);
		assert_int_equal(journal_read(*state, ID, false, &v, &e), -1);
		assert_int_equal(e.code, ERR_CORRUPT);
		assert_int_equal(pwrite(fd, &was, 1, (off_t)at), 1);
	}
	journal_close(&j);
}

static void journal_grows_over_its_first_zeroes(void **state)
{
	auto_journal_view struct journal_view v = { 0 };
	struct err e = { 0 };
	struct journal j;
	char note[1000];
	begin(*state, &j);
	memset(note, 'x', sizeof(note) - 1);
	note[sizeof(note) - 1] = '\0';
	for (int i = 0; i < 200; i++)
		assert_int_equal(journal_append(&j, SOURCE_FROZEN, note, NULL, NULL, false, &e), 0);
	journal_close(&j);
	assert_int_equal(journal_read(*state, ID, false, &v, &e), 0);
	assert_int_equal(v.entries, 201);
}

static void journal_has_one_writer(void **state)
{
	auto_journal_view struct journal_view v = { 0 };
	struct err e = { 0 };
	struct journal j, other;
	begin(*state, &j);
	assert_int_equal(journal_open(*state, ID, &other, &v, &e), -1);
	assert_int_equal(e.code, ERR_BUSY);
	journal_close(&j);
	assert_int_equal(journal_open(*state, ID, &other, &v, &e), 0);
	journal_close(&other);
}

static void ids_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = { "", "../../etc", "0123456789ABCDEF0123456789ABCDEF", ID "0", "x" };
	struct err e = { 0 };
	struct journal j;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(journal_create(*state, bad[i], &j, &e), -1);
		assert_int_equal(e.code, ERR_INVALID);
		assert_string_equal(e.field, "moveId");
	}
}

static void unknown_moves_and_known_ones_are_told_apart(void **state)
{
	auto_journal_view struct journal_view v = { 0 };
	auto_strv struct strv ids = { 0 };
	struct err e = { 0 };
	struct journal j;
	assert_int_equal(journal_read(*state, ID, false, &v, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	begin(*state, &j);
	journal_close(&j);
	assert_int_equal(journal_create(*state, ID, &j, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	assert_int_equal(journal_list(*state, &ids, &e), 0);
	assert_int_equal(ids.n, 1);
	assert_string_equal(ids.v[0], ID);
	assert_int_equal(journal_remove(*state, ID, &e), 0);
	assert_int_equal(journal_read(*state, ID, false, &v, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

static void disk_that_was_full_before_the_first_entry_leaves_no_move(void **state)
{
	auto_journal_view struct journal_view v = { 0 };
	struct err e = { 0 };
	struct journal j;
	assert_int_equal(journal_create(*state, ID, &j, &e), 0);
	journal_close(&j);
	assert_int_equal(journal_open(*state, ID, &j, &v, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	auto_close int fd = journal_file(*state);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(journal_read(*state, ID, true, &v, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit_in_folder(entries_read_back_in_order),
		unit_in_folder(entry_torn_at_any_byte_is_as_if_never_written),
		unit_in_folder(file_cut_short_keeps_its_whole_entries),
		unit_in_folder(writing_goes_on_over_a_torn_entry),
		unit_in_folder(each_changed_byte_is_noticed),
		unit_in_folder(journal_grows_over_its_first_zeroes),
		unit_in_folder(journal_has_one_writer),
		unit_in_folder(ids_that_are_none_are_refused),
		unit_in_folder(disk_that_was_full_before_the_first_entry_leaves_no_move),
		unit_in_folder(unknown_moves_and_known_ones_are_told_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
