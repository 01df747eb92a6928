/* Mount options as the kernel's calls take them: runtime/mount_options.h. */
#include <sys/mount.h>
#include "runtime/mount_options.h"
#include "tests/unit/unit.h"

#define PARSE(m, ...)                                                                                                                                \
	do {                                                                                                                                         \
		char *const v_[] = { __VA_ARGS__ };                                                                                                  \
		struct err e_ = { 0 };                                                                                                               \
		assert_int_equal(mount_options_parse(v_, ARRAY_LEN(v_), "mounts[0].options", m, &e_), 0);                                            \
	} while (0)

static void flags_become_attributes(void **s)
{
	auto_mount_options struct mount_options m = { 0 };

	(void)s;
	PARSE(&m, "ro", "nosuid", "nodev", "noexec", "nosymfollow", "nodiratime");
	assert_int_equal(m.set, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW |
				    MOUNT_ATTR_NODIRATIME);
	assert_int_equal(m.clear, 0);
	assert_int_equal(m.data.n, 0);
}

static void the_last_of_two_opposites_wins(void **s)
{
	auto_mount_options struct mount_options m = { 0 }, back = { 0 };

	(void)s;
	PARSE(&m, "ro", "rw");
	assert_int_equal(m.set, 0);
	assert_int_equal(m.clear, MOUNT_ATTR_RDONLY);
	PARSE(&back, "exec", "noexec");
	assert_int_equal(back.set, MOUNT_ATTR_NOEXEC);
	assert_int_equal(back.clear, 0);
}

static void an_atime_mode_clears_the_whole_field(void **s)
{
	auto_mount_options struct mount_options m = { 0 };

	(void)s;
	PARSE(&m, "noatime", "strictatime");
	assert_int_equal(m.set, MOUNT_ATTR_STRICTATIME);
	assert_int_equal(m.clear & MOUNT_ATTR__ATIME, MOUNT_ATTR__ATIME);
}

static void recursive_flags_are_kept_apart(void **s)
{
	auto_mount_options struct mount_options m = { 0 };

	(void)s;
	PARSE(&m, "rro", "nosuid");
	assert_int_equal(m.rec_set, MOUNT_ATTR_RDONLY);
	assert_int_equal(m.set, MOUNT_ATTR_NOSUID);
}

static void bind_and_propagation_are_told_from_attributes(void **s)
{
	auto_mount_options struct mount_options m = { 0 }, one = { 0 };

	(void)s;
	PARSE(&m, "rbind", "rslave");
	assert_true(m.bind && m.rbind && m.propagation_rec);
	assert_int_equal(m.propagation, MS_SLAVE);
	PARSE(&one, "bind", "shared");
	assert_true(one.bind && !one.rbind && !one.propagation_rec);
	assert_int_equal(one.propagation, MS_SHARED);
}

static void unknown_options_are_the_filesystems(void **s)
{
	auto_mount_options struct mount_options m = { 0 };

	(void)s;
	PARSE(&m, "size=1m", "mode=755", "newinstance", "defaults", "tmpcopyup", "context=\"a:b:c0,c1\"");
	assert_int_equal(m.data.n, 4);
	assert_string_equal(m.data.v[0], "size=1m");
	assert_string_equal(m.data.v[2], "newinstance");
	assert_true(m.copy_up);
}

static void several_options_in_one_are_refused_by_their_place(void **s)
{
	auto_mount_options struct mount_options m = { 0 };
	char *const v[] = { "ro", "nosuid,nodev" };
	struct err e = { 0 };

	(void)s;
	assert_int_equal(mount_options_parse(v, 2, "mounts[3].options", &m, &e), -1);
	assert_int_equal(e.code, ERR_INVALID);
	assert_string_equal(e.field, "mounts[3].options[1]");
	assert_true(*e.remedy);
}

static void names_are_sorted_and_unique(void **s)
{
	(void)s;
	for (size_t i = 1; mount_option_name(i); i++)
		assert_true(strcmp(mount_option_name(i - 1), mount_option_name(i)) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_become_attributes),
		cmocka_unit_test(the_last_of_two_opposites_wins),
		cmocka_unit_test(an_atime_mode_clears_the_whole_field),
		cmocka_unit_test(recursive_flags_are_kept_apart),
		cmocka_unit_test(bind_and_propagation_are_told_from_attributes),
		cmocka_unit_test(unknown_options_are_the_filesystems),
		cmocka_unit_test(several_options_in_one_are_refused_by_their_place),
		cmocka_unit_test(names_are_sorted_and_unique),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
