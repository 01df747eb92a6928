/* The error object: one line always, context before it, one table for names and statuses. */
#include "tests/unit/unit.h"
#include <errno.h>

static void every_code_has_a_name_and_statuses(void **state)
{
	(void)state;
	for (int i = 0; i < ERR_CODE_COUNT; i++) {
		const struct err_info *info = err_info((enum err_code)i);
		assert_non_null(info->name);
		assert_non_null(info->help);
		assert_int_equal(err_code_of(info->name), i);
		assert_true(info->http >= 200 && info->http < 600);
		assert_true(i == ERR_NONE ? info->exit == 0 : info->exit >= 64 && info->exit < 126);
		for (int k = 1; k < i; k++)
			assert_int_not_equal(err_info((enum err_code)k)->exit, info->exit);
	}
}

static void unknown_names_and_codes_are_internal(void **state)
{
	(void)state;
	assert_int_equal(err_code_of("no such"), ERR_INTERNAL);
	assert_int_equal(err_code_of(NULL), ERR_INTERNAL);
	assert_string_equal(err_info((enum err_code)999)->name, "internal");
}

static void set_tells_the_system_error_and_keeps_errno(void **state)
{
	(void)state;
	struct err e;
	errno = EBUSY;
	assert_int_equal(err_set(&e, ERR_IO, ENOSPC, "write %s", "/a"), -1);
	assert_string_equal(e.msg, "write /a: No space left on device");
	assert_int_equal(e.sys, ENOSPC);
	assert_int_equal(errno, EBUSY);
	assert_int_equal(err_set(NULL, ERR_IO, 0, "nobody listens"), -1);
}

static void errno_chooses_the_code(void **state)
{
	(void)state;
	struct err e;
	err_sys(&e, ENOENT, "open");
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(err_code_of_errno(EACCES), ERR_DENIED);
	assert_int_equal(err_code_of_errno(EDQUOT), ERR_RESOURCE);
	assert_int_equal(err_code_of_errno(ECONNRESET), ERR_IO);
}

static void messages_are_one_line_and_cut(void **state)
{
	(void)state;
	struct err e;
	char big[3000];
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	err_set(&e, ERR_IO, EIO, "a\nb\tc%s", big);
	assert_int_equal(strlen(e.msg), ERR_MSG_MAX - 1);
	assert_memory_equal(e.msg, "a?b?cxxx", 8);
	err_prefix(&e, "outer");
	assert_memory_equal(e.msg, "outer: a?b", 10);
	assert_int_equal(strlen(e.msg), ERR_MSG_MAX - 1);
}

static void an_error_may_be_made_of_itself(void **state)
{
	(void)state;
	struct err e;
	err_field(&e, "a", "first");
	err_remedy(&e, "do %s", "that");
	err_field(&e, e.field, "second after %s", e.msg);
	assert_string_equal(e.msg, "second after first");
	assert_string_equal(e.field, "a");
	assert_string_equal(e.remedy, "");
}

static void field_paths_grow_outwards(void **state)
{
	(void)state;
	struct err e;
	err_field(&e, "type", "wrong");
	err_prefix_field(&e, "[2]");
	err_prefix_field(&e, "namespaces");
	err_prefix_field(&e, "linux");
	assert_string_equal(e.field, "linux.namespaces[2].type");
	err_clear(&e);
	assert_int_equal(e.code, ERR_NONE);
	err_prefix_field(&e, "only");
	assert_string_equal(e.field, "only");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_a_name_and_statuses),
		cmocka_unit_test(unknown_names_and_codes_are_internal),
		cmocka_unit_test(set_tells_the_system_error_and_keeps_errno),
		cmocka_unit_test(errno_chooses_the_code),
		cmocka_unit_test(messages_are_one_line_and_cut),
		cmocka_unit_test(an_error_may_be_made_of_itself),
		cmocka_unit_test(field_paths_grow_outwards),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
