/* Which snapshots pruning keeps. */
#include "base/log.h"
#include "tests/unit/store.h"

/* A snapshot that claims this time. */
static void aged(struct store *s, const char *container, const char *id, const char *time)
{
	auto_pb(Davit__SnapshotManifest) *m = manifest_of(container);
	m->version = 1;
	pb_set_str(&m->id, id, NULL);
	pb_set_str(&m->container, container, NULL);
	pb_set_str(&m->created_at, time, NULL);
	auto_pb(Davit__Snapshot) *info = store_info_of(m, NULL);
	assert_int_equal(store_write_message(s, id, ".info", &info->base, NULL), 0);
	assert_int_equal(store_write_message(s, id, ".manifest", &m->base, NULL), 0);
}

/* The kept ids in one string, oldest first. */
static void assert_kept(struct store *s, Davit__SnapshotPrune rules, const char *want)
{
	struct err e = { 0 };
	auto_pb(Davit__PruneResult) *r = store_prune(s, &rules, &e);
	if (!r)
		fail_msg("%s", e.msg);
	auto_buf struct buf kept = { 0 };
	buf_puts(&kept, "", NULL);
	for (size_t i = 0; i < r->n_kept; i++)
		buf_printf(&kept, NULL, "%s%s", i ? " " : "", r->kept[i]);
	assert_string_equal(kept.data, want);
}

static void pruning_keeps_the_newest_of_each_period(void **state)
{
	auto_store struct store *s = open_store(state);
	static const char *const times[][2] = {
		{ "a", "2026-11-08T12:00:00Z" }, /* Sunday */
		{ "b", "2026-11-09T00:00:00Z" }, /* Monday */
		{ "c", "2026-11-15T23:59:59Z" }, /* Sunday of the same week */
		{ "d", "2026-11-16T00:00:00Z" }, /* Monday */
		{ "e", "2026-11-23T08:10:00Z" }, { "f", "2026-11-23T09:10:00Z" },	 { "g", "2026-11-24T09:20:00Z" },
		{ "h", "2026-11-24T10:10:00Z" }, { "i", "2026-11-24T10:59:59.999999Z" }, { "j", "2026-11-24T11:00:00Z" },
	};
	for (size_t i = 0; i < ARRAY_LEN(times); i++)
		aged(s, "web", times[i][0], times[i][1]);
	assert_kept(s, RULES(.keep_last = 2, .dry_run = 1), "i j");
	assert_kept(s, RULES(.keep_hourly = 3, .dry_run = 1), "g i j");
	assert_kept(s, RULES(.keep_daily = 3, .dry_run = 1), "d f j");
	assert_kept(s, RULES(.keep_weekly = 3, .dry_run = 1), "c d j");
	assert_kept(s, RULES(.keep_weekly = 100, .dry_run = 1), "a c d j");
	assert_kept(s, RULES(.keep_last = 100, .dry_run = 1), "a b c d e f g h i j");
	assert_kept(s, RULES(.keep_last = 1, .keep_hourly = 2, .keep_daily = 2, .keep_weekly = 2, .dry_run = 1), "d f i j");
	assert_int_equal(files(state, "snapshots", ".manifest").files, 10);
	assert_kept(s, RULES(.keep_daily = 2), "f j");
	assert_int_equal(files(state, "snapshots", ".manifest").files, 2);
	assert_kept(s, RULES(.keep_daily = 2), "f j");
}

static void pruning_counts_each_container_by_itself(void **state)
{
	auto_store struct store *s = open_store(state);
	aged(s, "web", "a", "2026-11-24T10:00:00Z");
	aged(s, "db", "b", "2026-11-24T10:01:00Z");
	aged(s, "web", "c", "2026-11-24T10:02:00Z");
	aged(s, "db", "d", "2026-11-24T10:03:00Z");
	aged(s, "db", "odd", "some day");
	assert_kept(s, RULES(.keep_last = 1, .dry_run = 1), "c d odd");
	assert_kept(s, RULES(.container = (char *)"web", .keep_last = 1), "c");
	assert_kept(s, RULES(.keep_last = 9), "b c d odd");
}

static void pruning_everything_is_refused(void **state)
{
	auto_store struct store *s = open_store(state);
	struct err e = { 0 };
	Davit__SnapshotPrune rules = RULES(.dry_run = 1);
	assert_null(store_prune(s, &rules, &e));
	assert_int_equal(e.code, ERR_INVALID);
	assert_true(e.remedy[0]);
}

int main(void)
{
	log_setup(2, LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	const struct CMUnitTest tests[] = {
		unit_in_folder(pruning_keeps_the_newest_of_each_period),
		unit_in_folder(pruning_counts_each_container_by_itself),
		unit_in_folder(pruning_everything_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
