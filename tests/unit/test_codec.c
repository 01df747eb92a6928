/* Compressed frames: they come back, or are refused. */
#include "tests/unit/unit.h"
#include "base/clock.h"
#include "migrate/codec.h"

static void fill(uint8_t *p, size_t n, bool random)
{
	uint64_t seed = 88172645463325252ULL;
	for (size_t i = 0; i < n; i++) {
		seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
		p[i] = random ? (uint8_t)seed : (uint8_t)(i / 100);
	}
}

static void frame_comes_back(void **state)
{
	static const char *const ways[] = { "lz4", "zstd", "zstd:3", "auto" };
	struct err e = { 0 };
	(void)state;
	struct codec_reader *r = codec_reader_new(&e);
	uint8_t *out = malloc(CODEC_FRAME_MAX), *before = malloc(CODEC_FRAME_MAX);
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct codec_writer *w;
		assert_int_equal(codec_writer_new(ways[i], &w, &e), 0);
		for (size_t n = 1; n <= CODEC_FRAME_MAX; n = n * 7 + 1) {
			size_t len;
			fill(codec_writer_space(w), n, n % 2);
			memcpy(before, codec_writer_space(w), n);
			enum codec c = codec_write(w, n, out, CODEC_FRAME_MAX, &len, 1);
			assert_true(len <= n);
			const uint8_t *back = c == CODEC_NONE ? out : codec_read(r, c, out, len, n, &e);
			assert_non_null(back);
			assert_memory_equal(back, before, n);
		}
		codec_writer_freep(&w);
	}
	codec_reader_freep(&r);
	free(out);
	free(before);
}

static void what_does_not_unpack_is_refused(void **state)
{
	struct err e = { 0 };
	struct codec_writer *w;
	uint8_t out[4096];
	size_t len;
	(void)state;
	struct codec_reader *r = codec_reader_new(&e);
	assert_int_equal(codec_writer_new("zstd", &w, &e), 0);
	fill(codec_writer_space(w), 4096, false);
	enum codec c = codec_write(w, 4096, out, sizeof(out), &len, 1);
	assert_int_equal(c, CODEC_ZSTD);
	assert_null(codec_read(r, c, out, len, 4095, &e));
	assert_int_equal(e.code, ERR_CORRUPT);
	assert_null(codec_read(r, c, out, len, 4097, &e));
	assert_null(codec_read(r, c, out, len, CODEC_FRAME_MAX + 1, &e));
	assert_null(codec_read(r, c, out, len - 1, 4096, &e));
	assert_null(codec_read(r, CODEC_LZ4, out, len, 4096, &e));
	assert_null(codec_read(r, 7, out, len, 4096, &e));
	codec_writer_freep(&w);
	codec_reader_freep(&r);
}

static void auto_keeps_what_brings_most_through(void **state)
{
	/* ns that a frame takes by each way: on a slow link, where what compresses well is quickest, and on a fast one. */
	static const int64_t took[2][CODEC_COUNT] = { { 1000, 100, 300 }, { 10, 100, 30 } };
	static const enum codec best[2] = { CODEC_ZSTD, CODEC_NONE };
	struct err e = { 0 };
	uint8_t *out = malloc(CODEC_FRAME_MAX);
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct codec_writer *w;
		enum codec c = CODEC_NONE;
		int64_t now = 1;
		assert_int_equal(codec_writer_new("auto", &w, &e), 0);
		fill(codec_writer_space(w), CODEC_FRAME_MAX, false);
		for (size_t frame = 0; frame < 300; frame++) {
			size_t len;
			c = codec_write(w, CODEC_FRAME_MAX, out, CODEC_FRAME_MAX, &len, now);
			now += took[i][c];
		}
		assert_int_equal(c, best[i]);
		codec_writer_freep(&w);
	}
	free(out);
}

static void words_are_checked(void **state)
{
	struct err e = { 0 };
	(void)state;
	assert_int_equal(codec_check(NULL, &e) + codec_check("none", &e) + codec_check("zstd:19", &e) + codec_check("auto", &e), 0);
	assert_int_equal(codec_check("zstd:20", &e), -1);
	assert_string_equal(e.field, "compress");
	assert_int_equal(codec_check("gzip", &e), -1);
	assert_int_equal(codec_check("", &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frame_comes_back),
		cmocka_unit_test(what_does_not_unpack_is_refused),
		cmocka_unit_test(auto_keeps_what_brings_most_through),
		cmocka_unit_test(words_are_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
