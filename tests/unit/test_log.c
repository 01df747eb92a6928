/* Log lines in their three forms. */
#include "tests/unit/unit.h"
#include <stdio.h>
#include <jansson.h>
#include "base/log.h"
#include "base/str.h"

/* The text that `write` logs in this form. Owned. */
static char *logged(enum log_format format, enum log_level level, void (*write)(void))
{
	int p[2];
	assert_int_equal(fd_pipe(p, NULL), 0);
	log_setup(p[1], level, format);
	write();
	log_setup(2, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	close(p[1]);
	char *text = fd_read_all(p[0], 1 << 20, NULL, NULL);
	close(p[0]);
	return text;
}

static void write_odd(void)
{
	log_warn("two\nlines \"quoted\" \\ \xff ä");
}

static void write_levels(void)
{
	log_error("e");
	log_warn("w");
	log_info("i");
	log_debug("d");
}

static void write_long(void)
{
	char big[20000];
	memset(big, '"', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	log_error("%s", big);
}

static void write_error_object(void)
{
	struct err e;
	err_field(&e, "name", "bad");
	err_remedy(&e, "fix it");
	log_err(LOG_LEVEL_ERROR, "create", &e);
	err_set(&e, ERR_IO, 0, "plain");
	log_err(LOG_LEVEL_ERROR, "create", &e);
}

static void text_is_one_line_with_time_and_level(void **state)
{
	(void)state;
	auto_free char *text = logged(LOG_FORMAT_TEXT, LOG_LEVEL_INFO, write_odd);
	assert_string_equal(text + strlen("2026-11-24T10:00:00.123456Z"), " warn  two\\x0alines \"quoted\" \\ \xef\xbf\xbd ä\n");
}

static void json_is_valid(void **state)
{
	(void)state;
	auto_free char *text = logged(LOG_FORMAT_JSON, LOG_LEVEL_INFO, write_odd);
	json_t *line = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL);
	assert_non_null(line);
	assert_string_equal(json_string_value(json_object_get(line, "level")), "warn");
	assert_string_equal(json_string_value(json_object_get(line, "msg")), "two\nlines \"quoted\" \\ \xef\xbf\xbd ä");
	json_decref(line);
}

static void long_lines_are_cut_whole(void **state)
{
	(void)state;
	auto_free char *text = logged(LOG_FORMAT_JSON, LOG_LEVEL_INFO, write_long);
	json_t *line = json_loads(text, 0, NULL);
	assert_non_null(line);
	assert_true(strlen(text) > 8000 && str_suffix(text, "\"}\n"));
	json_decref(line);
}

static void journald_lines_have_priorities_and_levels_are_left_out(void **state)
{
	(void)state;
	auto_free char *all = logged(LOG_FORMAT_JOURNALD, LOG_LEVEL_DEBUG, write_levels);
	assert_string_equal(all, "<3>e\n<4>w\n<6>i\n<7>d\n");
	auto_free char *some = logged(LOG_FORMAT_JOURNALD, LOG_LEVEL_WARN, write_levels);
	assert_string_equal(some, "<3>e\n<4>w\n");
}

static void error_objects_tell_field_and_remedy(void **state)
{
	(void)state;
	auto_free char *text = logged(LOG_FORMAT_JOURNALD, LOG_LEVEL_INFO, write_error_object);
	assert_string_equal(text, "<3>create: name: bad (fix it)\n<3>create: plain\n");
}

static void names_of_levels_and_formats(void **state)
{
	(void)state;
	enum log_level level;
	enum log_format format;
	struct err e = { 0 };
	assert_int_equal(log_level_of("debug", &level, &e), 0);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_of("warning", &level, &e), 0);
	assert_int_equal(log_level_of("loud", &level, &e), -1);
	assert_int_equal(log_format_of("json", &format, &e), 0);
	assert_int_equal(format, LOG_FORMAT_JSON);
	assert_int_equal(log_format_of("xml", &format, &e), -1);
	assert_int_equal(e.code, ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_one_line_with_time_and_level),
		cmocka_unit_test(json_is_valid),
		cmocka_unit_test(long_lines_are_cut_whole),
		cmocka_unit_test(journald_lines_have_priorities_and_levels_are_left_out),
		cmocka_unit_test(error_objects_tell_field_and_remedy),
		cmocka_unit_test(names_of_levels_and_formats),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
