/* Atomic files, pseudo files, trees and locks. */
#include "tests/unit/unit.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "base/str.h"

static size_t entries(const char *path)
{
	size_t n = 0;
	DIR *d = opendir(path);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void atomic_file_replaces_whole_with_its_mode(void **state)
{
	struct err e = { 0 };
	auto_close int dir = file_open_dir(AT_FDCWD, *state, &e);
	assert_int_equal(mkdirat(dir, "sub", 0700), 0);
	mode_t mask = umask(077);
	assert_int_equal(file_write_atomic(dir, "sub/a", "one", 3, 0644, true, &e), 0);
	assert_int_equal(file_write_atomic(dir, "sub/a", "second", 6, 0640, false, &e), 0);
	umask(mask);
	size_t n;
	auto_free char *text = file_read(dir, "sub/a", 100, &n, &e);
	assert_string_equal(text, "second");
	assert_int_equal(n, 6);
	struct stat st;
	assert_int_equal(fstatat(dir, "sub/a", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
}

static void atomic_file_that_fails_leaves_nothing(void **state)
{
	struct err e = { 0 };
	auto_close int dir = file_open_dir(AT_FDCWD, *state, &e);
	assert_int_equal(mkdirat(dir, "taken", 0700), 0);
	assert_int_equal(file_write_atomic(dir, "taken", "x", 1, 0600, true, &e), -1);
	unit_assert_message(&e, "taken");
	assert_int_equal(entries(*state), 1);
	assert_int_equal(file_write_atomic(dir, "missing/x", "x", 1, 0600, true, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

static void reading_has_limits_and_names_the_file(void **state)
{
	struct err e = { 0 };
	char line[8];
	auto_close int dir = file_open_dir(AT_FDCWD, *state, &e);
	file_write_atomic(dir, "a", "1234567\n", 8, 0600, false, NULL);
	assert_int_equal(file_read_line(dir, "a", line, sizeof(line), &e), 0);
	assert_string_equal(line, "1234567");
	assert_int_equal(file_read_line(dir, "a", line, 7, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	unit_assert_message(&e, "a: ");
	assert_null(file_read(dir, "b", 10, NULL, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_true(file_exists(dir, "a"));
	assert_false(file_exists(dir, "b"));
}

static void pseudo_file_write_names_file_and_value(void **state)
{
	(void)state;
	struct err e = { 0 };
	assert_int_equal(file_write_pseudo(AT_FDCWD, "/proc/self/oom_score_adj", "no number", &e), -1);
	unit_assert_message(&e, "write \"no number\" to /proc/self/oom_score_adj");
	assert_int_equal(file_write_pseudo(AT_FDCWD, "/proc/self/comm", "davit-test", &e), 0);
}

static void folders_are_made_with_their_parents(void **state)
{
	struct err e = { 0 };
	auto_free char *path = mem_printf(NULL, "%s/a//b/c/", (char *)*state);
	assert_int_equal(file_mkdir_p(path, 0750, &e), 0);
	assert_int_equal(file_mkdir_p(path, 0750, &e), 0);
	assert_int_equal(file_mkdir_p("/", 0750, &e), 0);
	auto_free char *file = mem_printf(NULL, "%s/f", (char *)*state);
	file_write_atomic(AT_FDCWD, file, "", 0, 0600, false, NULL);
	auto_free char *below = mem_printf(NULL, "%s/x", file);
	assert_int_equal(file_mkdir_p(below, 0750, &e), -1);
	assert_int_equal(e.sys, ENOTDIR);
}

static void tree_of_any_depth_is_removed(void **state)
{
	struct err e = { 0 };
	auto_close int dir = file_open_dir(AT_FDCWD, *state, &e);
	int at = fd_dup(dir, NULL);
	/* Deeper than PATH_MAX and than the number of descriptors. */
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(mkdirat(at, "folder", 0700), 0);
		assert_int_equal(symlinkat("/etc", at, "link"), 0);
		file_write_atomic(at, "file", "", 0, 0, false, NULL);
		int next = openat(at, "folder", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(at);
		at = next;
	}
	close(at);
	if (file_remove_tree(dir, "folder", &e) < 0)
		fail_msg("%s", e.msg);
	assert_false(file_exists(dir, "folder"));
	assert_int_equal(file_remove_tree(dir, "folder", &e), 0);
	assert_int_equal(file_remove_tree(dir, "link", &e), 0);
	assert_true(file_exists(AT_FDCWD, "/etc/passwd"));
	assert_int_equal(file_remove_tree(dir, "file", &e), 0);
	assert_int_equal(entries(*state), 0);
}

static void the_way_to_a_tree_may_cross_a_link(void **state)
{
	struct err e = { 0 };
	auto_close int dir = file_open_dir(AT_FDCWD, *state, &e);
	char path[300];
	assert_int_equal(mkdirat(dir, "real", 0700), 0);
	assert_int_equal(mkdirat(dir, "real/t", 0700), 0);
	assert_int_equal(mkdirat(dir, "real/t/sub", 0700), 0);
	assert_int_equal(mkdirat(dir, "real/t/sub/sub", 0700), 0);
	assert_int_equal(symlinkat("real", dir, "link"), 0);
	snprintf(path, sizeof(path), "%s/link/t", (char *)*state);
	if (file_remove_tree(AT_FDCWD, path, &e) < 0)
		fail_msg("%s", e.msg);
	assert_false(file_exists(dir, "real/t"));
	assert_true(file_exists(dir, "real"));
	snprintf(path, sizeof(path), "%s/none/t", (char *)*state);
	assert_int_equal(file_remove_tree(AT_FDCWD, path, &e), 0);
}

static void wide_tree_is_removed(void **state)
{
	struct err e = { 0 };
	auto_close int dir = file_open_dir(AT_FDCWD, *state, &e);
	char path[64];
	assert_int_equal(mkdirat(dir, "t", 0700), 0);
	for (int i = 0; i < 40; i++) {
		snprintf(path, sizeof(path), "t/%d", i);
		assert_int_equal(mkdirat(dir, path, 0700), 0);
		for (int k = 0; k < 40; k++) {
			snprintf(path, sizeof(path), "t/%d/%d", i, k);
			assert_int_equal(mkdirat(dir, path, 0700), 0);
			snprintf(path, sizeof(path), "t/%d/%d/.removed-%d", i, k, k);
			assert_int_equal(mkdirat(dir, path, 0700), 0);
		}
	}
	if (file_remove_tree(dir, "t", &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(entries(*state), 0);
}

static void tree_removal_stops_at_a_mount(void **state)
{
	struct err e = { 0 };
	auto_close int dir = file_open_dir(AT_FDCWD, *state, &e);
	auto_free char *path = mem_printf(NULL, "%s/t/m", (char *)*state);
	assert_int_equal(file_mkdir_p(path, 0700, &e), 0);
	if (mount("none", path, "tmpfs", 0, NULL) < 0) {
		print_message("no right to mount here\n");
		skip();
	}
	auto_free char *kept = mem_printf(NULL, "%s/kept", path);
	file_write_atomic(AT_FDCWD, kept, "", 0, 0600, false, NULL);
	int rc = file_remove_tree(dir, "t", &e);
	bool there = file_exists(AT_FDCWD, kept);
	umount2(path, MNT_DETACH);
	assert_int_equal(rc, -1);
	assert_int_equal(e.code, ERR_BUSY);
	assert_true(there);
}

static void lock_is_exclusive_and_waits_as_told(void **state)
{
	struct err e = { 0 };
	auto_close int dir = file_open_dir(AT_FDCWD, *state, &e);
	int first = file_lock(dir, "lock", 0, &e);
	assert_true(first >= 0);
	assert_int_equal(file_lock(dir, "lock", 0, &e), -1);
	assert_int_equal(e.code, ERR_BUSY);
	assert_int_equal(file_lock(dir, "lock", 20, &e), -1);
	close(first);
	auto_close int second = file_lock(dir, "lock", 0, &e);
	assert_true(second >= 0);
	/* A lock whose file was removed protects nothing: the next one locks the new file. */
	unlinkat(dir, "lock", 0);
	auto_close int third = file_lock(dir, "lock", 0, &e);
	assert_true(third >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit_in_folder(atomic_file_replaces_whole_with_its_mode),
		unit_in_folder(atomic_file_that_fails_leaves_nothing),
		unit_in_folder(reading_has_limits_and_names_the_file),
		cmocka_unit_test(pseudo_file_write_names_file_and_value),
		unit_in_folder(folders_are_made_with_their_parents),
		unit_in_folder(tree_of_any_depth_is_removed),
		unit_in_folder(the_way_to_a_tree_may_cross_a_link),
		unit_in_folder(wide_tree_is_removed),
		unit_in_folder(tree_removal_stops_at_a_mount),
		unit_in_folder(lock_is_exclusive_and_waits_as_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
