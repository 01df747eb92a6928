/* Paths under a root: nothing leads out of it. */
#include "tests/unit/unit.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/path.h"

static bool same(int a, const char *path)
{
	struct stat x, y;
	return fstat(a, &x) == 0 && stat(path, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int root_of(void **state)
{
	return file_open_dir(AT_FDCWD, *state, NULL);
}

static void links_and_dots_stay_inside(void **state)
{
	struct err e = { 0 };
	auto_close int root = root_of(state);
	mkdirat(root, "etc", 0755);
	file_write_atomic(root, "etc/passwd", "inside", 6, 0644, false, NULL);
	assert_int_equal(symlinkat("/etc/passwd", root, "absolute"), 0);
	assert_int_equal(symlinkat("../../../../../etc", root, "up"), 0);
	static const char *const paths[] = { "absolute", "/absolute", "up/passwd", "/../../etc/passwd", "etc/../../etc/passwd", "///etc/./passwd" };
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		auto_close int fd = path_open_in(root, paths[i], O_RDONLY, 0, &e);
		if (fd < 0)
			fail_msg("%s", e.msg);
		char text[8] = "";
		assert_int_equal(read(fd, text, 7), 6);
		assert_string_equal(text, "inside");
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	}
	auto_close int top = path_open_in(root, "/..", O_PATH, 0, &e);
	assert_true(same(top, *state));
}

static void magic_links_are_refused(void **state)
{
	(void)state;
	struct err e = { 0 };
	auto_close int root = file_open_dir(AT_FDCWD, "/", NULL);
	assert_int_equal(path_open_in(root, "/proc/self/root", O_PATH | O_DIRECTORY, 0, &e), -1);
	assert_int_equal(e.sys, ELOOP);
}

static void missing_folders_and_files_are_made(void **state)
{
	struct err e = { 0 };
	auto_close int root = root_of(state);
	auto_close int dir = path_make_in(root, "/a//b/c/", false, &e);
	if (dir < 0)
		fail_msg("%s", e.msg);
	auto_free char *path = mem_printf(NULL, "%s/a/b/c", (char *)*state);
	assert_true(same(dir, path));
	auto_close int file = path_make_in(root, "a/b/file", true, &e);
	assert_true(file >= 0);
	auto_close int again = path_make_in(root, "a/b/file", true, &e);
	assert_true(again >= 0);
	assert_int_equal(path_make_in(root, "a/b", true, &e), -1);
	assert_int_equal(e.sys, EISDIR);
	assert_int_equal(path_make_in(root, "a/b/file", false, &e), -1);
	assert_int_equal(e.sys, ENOTDIR);
	assert_int_equal(path_make_in(root, "a/b/file/x", false, &e), -1);
	assert_int_equal(path_make_in(root, "/", true, &e), -1);
	auto_close int top = path_make_in(root, "/", false, &e);
	assert_true(same(top, *state));
}

static void making_follows_links_within_the_root_only(void **state)
{
	struct err e = { 0 };
	auto_close int root = root_of(state);
	mkdirat(root, "real", 0755);
	assert_int_equal(symlinkat("/real", root, "link"), 0);
	assert_int_equal(symlinkat("/nowhere/at/all", root, "dangling"), 0);
	auto_close int dir = path_make_in(root, "link/x/y", false, &e);
	if (dir < 0)
		fail_msg("%s", e.msg);
	auto_free char *path = mem_printf(NULL, "%s/real/x/y", (char *)*state);
	assert_true(same(dir, path));
	assert_int_equal(path_make_in(root, "dangling/x", false, &e), -1);
	assert_int_equal(path_make_in(root, "dangling", true, &e), -1);
	assert_false(file_exists(AT_FDCWD, "/nowhere"));
	unit_assert_message(&e, "dangling");
}

static void fd_has_a_path(void **state)
{
	(void)state;
	assert_string_equal(path_of_fd(INT_MAX).s, "/proc/self/fd/2147483647");
}

static void join_normalises_and_refuses_dots(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b, *joined;
	} cases[] = { { "/a/", "b", "/a/b" },
		      { "a", "/b//c/", "a/b/c" },
		      { "/", "", "/" },
		      { "/", "/", "/" },
		      { "", "/x", "/x" },
		      { "", "x/.", "x" },
		      { "./a", "./.", "a" },
		      { "", "", "." },
		      { "/a", ".b/..c", "/a/.b/..c" } };
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *joined = path_join(NULL, cases[i].a, cases[i].b);
		assert_string_equal(joined, cases[i].joined);
	}
	struct err e = { 0 };
	assert_null(path_join(&e, "/a", "../b"));
	assert_int_equal(e.code, ERR_INVALID);
	assert_null(path_join(&e, "..", "b"));
	assert_null(path_join(&e, "/a", "b/.."));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit_in_folder(links_and_dots_stay_inside),
		cmocka_unit_test(magic_links_are_refused),
		unit_in_folder(missing_folders_and_files_are_made),
		unit_in_folder(making_follows_links_within_the_root_only),
		cmocka_unit_test(fd_has_a_path),
		cmocka_unit_test(join_normalises_and_refuses_dots),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
