/* Buffers, vectors, numbers, names. */
#include "tests/unit/unit.h"
#include "base/str.h"

static void buffer_grows_and_is_consumed_from_the_front(void **state)
{
	(void)state;
	auto_buf struct buf b = { 0 };
	for (int i = 0; i < 1000; i++)
		assert_int_equal(buf_printf(&b, NULL, "%03d", i), 0);
	assert_int_equal(b.len, 3000);
	buf_consume(&b, 2997);
	assert_string_equal(b.data, "999");
	buf_consume(&b, 100);
	assert_int_equal(b.len, 0);
	assert_string_equal(b.data, "");
}

static void impossible_sizes_are_an_error(void **state)
{
	(void)state;
	auto_buf struct buf b = { 0 };
	struct err e = { 0 };
	assert_int_equal(buf_reserve(&b, SIZE_MAX - 1, &e), -1);
	assert_int_equal(e.code, ERR_RESOURCE);
	assert_null(mem_new(SIZE_MAX / 2, 4, &e));
	size_t cap = 0;
	assert_int_equal(mem_grow(&b.data, &cap, SIZE_MAX / 2 + 2, 1, &e), -1);
}

static void vector_is_null_terminated(void **state)
{
	(void)state;
	auto_strv struct strv s = { 0 };
	for (int i = 0; i < 20; i++)
		assert_int_equal(strv_addf(&s, NULL, "%d", i), 0);
	assert_int_equal(strv_add(&s, "", NULL), 0);
	assert_string_equal(s.v[19], "19");
	assert_string_equal(s.v[20], "");
	assert_null(s.v[21]);
}

static void comparisons(void **state)
{
	(void)state;
	assert_true(str_eq(NULL, NULL));
	assert_false(str_eq(NULL, ""));
	assert_true(str_prefix("abc", ""));
	assert_false(str_prefix("ab", "abc"));
	assert_true(str_suffix("abc", "bc"));
	assert_false(str_suffix("c", "bc"));
}

static void numbers_are_whole_or_refused(void **state)
{
	(void)state;
	uint64_t u;
	int64_t i;
	struct err e;
	assert_int_equal(str_to_u64("18446744073709551615", 0, UINT64_MAX, &u, "n", &e), 0);
	assert_true(u == UINT64_MAX);
	static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "0x1", "1e3", "1.0", "ä" };
	for (size_t k = 0; k < ARRAY_LEN(bad); k++) {
		assert_int_equal(str_to_u64(bad[k], 0, UINT64_MAX, &u, "n", &e), -1);
		assert_int_equal(e.code, ERR_INVALID);
		assert_string_equal(e.field, "n");
	}
	assert_int_equal(str_to_u64("18446744073709551616", 0, UINT64_MAX, &u, "n", &e), -1);
	assert_int_equal(e.code, ERR_RANGE);
	assert_int_equal(str_to_u64("5", 6, 7, &u, "n", &e), -1);
	assert_int_equal(str_to_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &i, "n", &e), 0);
	assert_true(i == INT64_MIN);
	assert_int_equal(str_to_i64("-", INT64_MIN, INT64_MAX, &i, "n", &e), -1);
	assert_int_equal(str_to_i64("--1", INT64_MIN, INT64_MAX, &i, "n", &e), -1);
	assert_int_equal(str_to_i64("-11", -10, 10, &i, "n", &e), -1);
	assert_int_equal(e.code, ERR_RANGE);
}

static void bytes_have_units(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 },
		{ "4096", 4096 },
		{ "64m", 64 << 20 },
		{ "64MiB", 64 << 20 },
		{ "64MB", 64 << 20 },
		{ "1.5GiB", 3ULL << 29 },
		{ "1k", 1024 },
		{ "10b", 10 },
		{ "2T", 2ULL << 40 },
		{ "0.5k", 512 },
		{ "16777215t", 16777215ULL << 40 },
		{ "18446744073709551615", UINT64_MAX },
		{ "0.0000000000000000000000000000000000001g", 0 },
	};
	struct err e = { 0 };
	uint64_t n;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		if (str_to_bytes(good[i].text, &n, "size", &e) < 0)
			fail_msg("%s", e.msg);
		assert_true(n == good[i].bytes);
	}
	static const char *const bad[] = { "", "m", "1.m", ".5m", "-1", "1x", "1mm", "1 m", "1mi", "1.5.5m" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(str_to_bytes(bad[i], &n, "size", &e), -1);
		assert_int_equal(e.code, ERR_INVALID);
	}
	assert_int_equal(str_to_bytes("16777216t", &n, "size", &e), -1);
	assert_int_equal(e.code, ERR_RANGE);
	assert_int_equal(str_to_bytes("99999999999999999999999999999999999999999999", &n, "size", &e), -1);
	assert_int_equal(e.code, ERR_RANGE);
}

static void names_are_checked(void **state)
{
	(void)state;
	struct err e = { 0 };
	assert_int_equal(str_check_name("web-1.a_B", "name", &e), 0);
	char longest[66];
	memset(longest, 'a', sizeof(longest));
	longest[64] = '\0';
	assert_int_equal(str_check_name(longest, "name", &e), 0);
	longest[64] = 'a';
	longest[65] = '\0';
	assert_int_equal(str_check_name(longest, "name", &e), -1);
	static const char *const bad[] = { "", ".", "..", "-a", "a/b", "a b", "ä", "_x", "a\n" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(str_check_name(bad[i], "name", &e), -1);
	assert_string_equal(e.field, "name");
	assert_true(e.remedy[0]);
}

static void sizes_and_spans_for_people(void **state)
{
	(void)state;
	char out[32];
	assert_string_equal(str_human_bytes(0, out, sizeof(out)), "0 B");
	assert_string_equal(str_human_bytes(1536, out, sizeof(out)), "1.5 KiB");
	assert_string_equal(str_human_bytes(300ULL << 30, out, sizeof(out)), "300 GiB");
	assert_string_equal(str_human_ns(380000000, out, sizeof(out)), "380 ms");
	assert_string_equal(str_human_ns(1500, out, sizeof(out)), "1.5 µs");
	assert_string_equal(str_human_ns(12, out, sizeof(out)), "12 ns");
	assert_string_equal(str_human_ns(61000000000ULL, out, sizeof(out)), "1 min 1 s");
	assert_string_equal(str_human_ns(3720000000000ULL, out, sizeof(out)), "1 h 2 min");
}

static void random_hex_differs(void **state)
{
	(void)state;
	char a[33], b[33];
	assert_int_equal(str_random_hex(a, 16, NULL), 0);
	assert_int_equal(str_random_hex(b, 16, NULL), 0);
	assert_int_equal(strspn(a, "0123456789abcdef"), 32);
	assert_string_not_equal(a, b);
}

static void json_strings_are_valid_whatever_comes(void **state)
{
	(void)state;
	auto_buf struct buf b = { 0 };
	assert_int_equal(buf_json_string(&b, "a\"\\\n\x7f ä𝄞 \xed\xa0\x80 \xc0\x80 \xf4\x90\x80\x80 \xe2\x82", NULL), 0);
	assert_string_equal(b.data, "\"a\\\"\\\\\\n\\u007f ä𝄞 \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd "
				    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffer_grows_and_is_consumed_from_the_front),
		cmocka_unit_test(impossible_sizes_are_an_error),
		cmocka_unit_test(vector_is_null_terminated),
		cmocka_unit_test(comparisons),
		cmocka_unit_test(numbers_are_whole_or_refused),
		cmocka_unit_test(bytes_have_units),
		cmocka_unit_test(names_are_checked),
		cmocka_unit_test(sizes_and_spans_for_people),
		cmocka_unit_test(random_hex_differs),
		cmocka_unit_test(json_strings_are_valid_whatever_comes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
