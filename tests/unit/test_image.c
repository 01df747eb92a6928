/* Images: import, record, digest, list, removal. As root. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"
#include "runtime/layer/layer.h"

static char root[64];
static struct err err;

static const char *in(const char *name)
{
	static char path[8][512];
	static unsigned i;
	char *p = path[i++ % 8];
	snprintf(p, 512, "%s/%s", root, name);
	return p;
}

static void must(int rc)
{
	if (rc < 0)
		fail_msg("%s (field %s)", err.msg, err.field);
}

static void shell(const char *command)
{
	char line[1024];
	snprintf(line, sizeof(line), "cd %s && %s", root, command);
	assert_int_equal(system(line), 0);
}

static int setup(void **state)
{
	(void)state;
	err_clear(&err);
	snprintf(root, sizeof(root), "/tmp/davit-image.XXXXXX");
	if (!mkdtemp(root))
		return -1;
	shell("mkdir -p tree/bin tree/etc && printf one > tree/bin/one && chmod 755 tree/bin/one && ln -s bin/one tree/link && tar -C tree -cf "
	      "plain.tar .");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	file_remove_tree(AT_FDCWD, root, NULL);
	return 0;
}

static void needs_root(void)
{
	if (geteuid() != 0) {
		print_message("needs root\n");
		skip();
	}
}

/* Imports root/file as image `name`. Returns its digest (owned), or NULL. */
static char *import(const char *name, const char *file, const struct layer_limits *lim)
{
	Davit__ImageInfo *info = NULL;
	auto_close int fd = open(in(file), O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	if (image_import(in("images"), name, fd, lim, &info, &err) < 0)
		return NULL;
	char *digest = strdup(info->digest);
	assert_string_equal(info->name, name);
	assert_int_equal(info->files, 4);
	assert_int_equal(info->bytes, 3);
	davit__image_info__free_unpacked(info, NULL);
	return digest;
}

static void import_takes_plain_gzip_and_zstd_and_gives_the_same_digest(void **state)
{
	(void)state;
	needs_root();
	shell("gzip -k plain.tar && zstd -q plain.tar");
	auto_free char *a = import("a", "plain.tar", NULL), *b = import("b", "plain.tar.gz", NULL), *c = import("c", "plain.tar.zst", NULL);
	assert_non_null(a);
	assert_non_null(b);
	assert_non_null(c);
	assert_true(str_prefix(a, "blake2b:") && strlen(a) == 72);
	assert_string_equal(a, b);
	assert_string_equal(a, c);
	struct stat st;
	assert_int_equal(stat(in("images/a/rootfs/bin/one"), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0755);
}

static void digest_tells_content_mode_owner_and_name(void **state)
{
	(void)state;
	needs_root();
	const char *const changes[] = { "printf two > tree/bin/one", "chmod 700 tree/bin/one", "chown 5 tree/bin/one",
					"mv tree/bin/one tree/bin/other", "ln -sfn bin/two tree/link" };
	auto_free char *before = import("before", "plain.tar", NULL);
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		char name[16];
		snprintf(name, sizeof(name), "after%zu", i);
		shell(changes[i]);
		shell("tar -C tree -cf changed.tar .");
		auto_free char *after = import(name, "changed.tar", NULL);
		assert_non_null(after);
		assert_string_not_equal(before, after);
		free(before);
		before = steal_ptr(&after);
	}
}

static void digest_does_not_tell_times(void **state)
{
	(void)state;
	needs_root();
	auto_free char *a = import("a", "plain.tar", NULL);
	shell("touch -d 2001-01-01 tree/bin/one tree/etc && tar -C tree -cf later.tar .");
	auto_free char *b = import("b", "later.tar", NULL);
	assert_string_equal(a, b);
}

static void a_name_is_taken_once(void **state)
{
	(void)state;
	needs_root();
	auto_free char *a = import("a", "plain.tar", NULL);
	assert_non_null(a);
	assert_null(import("a", "plain.tar", NULL));
	assert_int_equal(err.code, ERR_EXISTS);
	assert_null(import("../a", "plain.tar", NULL));
	assert_int_equal(err.code, ERR_INVALID);
}

static void failed_import_leaves_nothing(void **state)
{
	(void)state;
	needs_root();
	const struct layer_limits few = { .files = 2 };
	assert_null(import("a", "plain.tar", &few));
	assert_int_equal(err.code, ERR_LIMIT);
	shell("head -c 2000 plain.tar > cut.tar");
	assert_null(import("a", "cut.tar", NULL));
	shell("test -z \"$(ls -A images)\"");
	Davit__ImageInfoList *list = image_list(in("images"), &err);
	assert_non_null(list);
	assert_int_equal(list->n_images, 0);
	davit__image_info_list__free_unpacked(list, NULL);
}

static void what_a_killed_import_left_is_removed_by_the_next(void **state)
{
	(void)state;
	needs_root();
	shell("mkdir -p images/.import-0123456789abcdef/rootfs/x");
	auto_free char *a = import("a", "plain.tar", NULL);
	assert_non_null(a);
	shell("test \"$(ls -A images)\" = a");
}

static void images_are_listed_found_and_removed(void **state)
{
	(void)state;
	needs_root();
	auto_free char *a = import("a", "plain.tar", NULL), *b = import("b", "plain.tar", NULL);
	Davit__ImageInfoList *list = image_list(in("images"), &err);
	assert_non_null(list);
	assert_int_equal(list->n_images, 2);
	davit__image_info_list__free_unpacked(list, NULL);
	must(image_remove(in("images"), "a", &err));
	assert_null(image_get(in("images"), "a", &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(image_remove(in("images"), "a", &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	Davit__ImageInfo *info = image_get(in("images"), "b", &err);
	assert_non_null(info);
	assert_string_equal(info->digest, b);
	davit__image_info__free_unpacked(info, NULL);
}

static void list_without_a_folder_is_empty(void **state)
{
	(void)state;
	Davit__ImageInfoList *list = image_list("/nonexistent/images", &err);
	assert_non_null(list);
	assert_int_equal(list->n_images, 0);
	davit__image_info_list__free_unpacked(list, NULL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(import_takes_plain_gzip_and_zstd_and_gives_the_same_digest),
		T(digest_tells_content_mode_owner_and_name),
		T(digest_does_not_tell_times),
		T(a_name_is_taken_once),
		T(failed_import_leaves_nothing),
		T(what_a_killed_import_left_is_removed_by_the_next),
		T(images_are_listed_found_and_removed),
		T(list_without_a_folder_is_empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
