/* Records of the memory socket: any pieces give the same records, and each record has one form. */
#include "tests/unit/unit.h"
#include "base/str.h"
#include "proto/memory.h"

#define PAGE 4096

static void put(struct buf *out, struct memory_record r)
{
	uint8_t bytes[MEMORY_RECORD_SIZE];

	memory_put(&r, bytes);
	assert_int_equal(buf_append(out, bytes, sizeof(bytes), NULL), 0);
}

/* What a sink got: the records as bytes again, and a line for each end of what follows. */
struct got {
	struct buf all;
	uint64_t expected;
};

static int got_record(void *arg, const struct memory_record *r, struct err *e)
{
	struct got *g = arg;

	(void)e;
	assert_int_equal(g->expected, 0);
	g->expected = memory_payload(r, PAGE);
	put(&g->all, *r);
	return 0;
}

static int got_data(void *arg, const uint8_t *p, size_t n, uint64_t left, struct err *e)
{
	struct got *g = arg;

	assert_int_equal(n + left, g->expected);
	g->expected = left;
	return buf_append(&g->all, p, n, e);
}

static void records_come_back_from_any_pieces(void **state)
{
	static const size_t pieces[] = { 1, 7, 31, 32, 33, 4095, 4096, 4128, 1 << 20 };
	auto_buf struct buf sent = { 0 };
	char pages[2 * PAGE];

	(void)state;
	for (size_t i = 0; i < sizeof(pages); i++)
		pages[i] = (char)(i * 7);
	put(&sent, (struct memory_record){ .type = MEMORY_ZERO, .pid = 1, .vaddr = 1ULL << 40, .pages = 1 << 20 });
	put(&sent, (struct memory_record){ .type = MEMORY_DATA, .pid = 77, .vaddr = 0x7000, .pages = 2 });
	buf_append(&sent, pages, sizeof(pages), NULL);
	put(&sent, (struct memory_record){ .type = MEMORY_DROP, .pid = 77 });
	put(&sent, (struct memory_record){ .type = MEMORY_MARK, .value = 3 });
	put(&sent, (struct memory_record){ .type = MEMORY_ROUND_DONE, .value = 3 });
	buf_append(&sent, pages, MEMORY_REPORT_SIZE, NULL);
	put(&sent, (struct memory_record){ .type = MEMORY_END });
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		struct got g = { 0 };
		const struct memory_sink sink = { got_record, got_data, &g };
		struct memory_reader r = { .allowed = MEMORY_OF_SOURCE, .page_size = PAGE };
		for (size_t at = 0; at < sent.len; at += pieces[i])
			assert_int_equal(memory_feed(&r, &sink, (uint8_t *)sent.data + at, MIN(pieces[i], sent.len - at), NULL), 0);
		assert_true(memory_at_boundary(&r));
		assert_int_equal(g.all.len, sent.len);
		assert_memory_equal(g.all.data, sent.data, sent.len);
		buf_free(&g.all);
	}
}

static void a_record_is_little_endian(void **state)
{
	static const uint8_t right[MEMORY_RECORD_SIZE] = { 16, 0, 3, 0, 0, 0, 0, 0, [24] = 5, [25] = 1 };
	uint8_t bytes[MEMORY_RECORD_SIZE];

	(void)state;
	memory_put(&(struct memory_record){ .type = MEMORY_ROUND, .flags = MEMORY_FINAL | MEMORY_WITHHOLD, .value = 261 }, bytes);
	assert_memory_equal(bytes, right, sizeof(bytes));
}

static void wrong_records_are_refused(void **state)
{
	static const struct memory_record wrong[] = {
		{ .type = 0 },
		{ .type = 6 },
		{ .type = 34 },
		{ .type = 0xffff },
		{ .type = MEMORY_DATA, .pid = 1, .vaddr = PAGE },				      /* no pages */
		{ .type = MEMORY_DATA, .pid = 1, .vaddr = PAGE, .pages = MEMORY_DATA_PAGES_MAX + 1 }, /* too many */
		{ .type = MEMORY_DATA, .vaddr = PAGE, .pages = 1 },				      /* of nobody */
		{ .type = MEMORY_DATA, .pid = 1 << 22, .vaddr = PAGE, .pages = 1 },		      /* of no pid */
		{ .type = MEMORY_ZERO, .pid = 1, .vaddr = PAGE + 1, .pages = 1 },		      /* within a page */
		{ .type = MEMORY_ZERO, .pid = 1, .vaddr = MEMORY_ADDRESS_MAX, .pages = 1 },	      /* no user memory */
		{ .type = MEMORY_ZERO, .pid = 1, .vaddr = MEMORY_ADDRESS_MAX - PAGE, .pages = 2 },    /* ends there */
		{ .type = MEMORY_FETCH, .pid = 1, .vaddr = 0, .pages = UINT64_MAX },		      /* overflows */
		{ .type = MEMORY_FETCH, .pid = 1, .vaddr = 0 },					      /* only a DROP may */
		{ .type = MEMORY_DROP, .pid = 1, .vaddr = PAGE },				      /* all, but from here */
		{ .type = MEMORY_ZERO, .pid = 1, .vaddr = PAGE, .pages = 1, .value = 1 },	      /* members it has not */
		{ .type = MEMORY_END, .flags = 1 },
		{ .type = MEMORY_END, .pid = 1 },
		{ .type = MEMORY_MARK, .value = 1, .vaddr = PAGE },
		{ .type = MEMORY_ROUND, .value = 1, .flags = MEMORY_WITHHOLD }, /* only the last round withholds */
		{ .type = MEMORY_ROUND, .value = 1, .flags = 4 },
		{ .type = MEMORY_FAILED, .value = MEMORY_TEXT_MAX + 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		uint8_t bytes[MEMORY_RECORD_SIZE];
		struct memory_record r;
		struct err e = { 0 };
		memory_put(&wrong[i], bytes);
		if (memory_get(bytes, UINT64_MAX, PAGE, &r, &e) == 0)
			fail_msg("record %zu was taken", i);
		assert_int_equal(e.code, ERR_PROTOCOL);
	}
}

static void who_reads_says_which_types_may_come(void **state)
{
	struct memory_record fetch = { .type = MEMORY_FETCH, .pid = 1, .vaddr = PAGE, .pages = 1 }, end = { .type = MEMORY_END }, r;
	uint8_t bytes[MEMORY_RECORD_SIZE];

	(void)state;
	memory_put(&fetch, bytes);
	assert_int_equal(memory_get(bytes, MEMORY_OF_TARGET, PAGE, &r, NULL), 0);
	assert_int_equal(memory_get(bytes, MEMORY_OF_MOVER, PAGE, &r, NULL), 0);
	assert_int_equal(memory_get(bytes, MEMORY_OF_STORE, PAGE, &r, NULL), -1);
	memory_put(&end, bytes);
	assert_int_equal(memory_get(bytes, MEMORY_OF_STORE, PAGE, &r, NULL), 0);
	assert_int_equal(memory_get(bytes, MEMORY_OF_MOVER, PAGE, &r, NULL), -1);
}

static void a_report_comes_back(void **state)
{
	struct memory_report
	    in = { .sent = 1, .zero = 2, .left = 3, .total = 1ULL << 60, .written = 5, .rate = 6, .processes = 7, .stopped_us = 8, .round_us = 10 },
	    out;
	uint8_t bytes[MEMORY_REPORT_SIZE];

	(void)state;
	memory_put_report(&in, bytes);
	memory_get_report(bytes, &out);
	assert_memory_equal(&in, &out, sizeof(in));
}

static void a_stream_that_stops_within_a_record_is_not_at_a_boundary(void **state)
{
	auto_buf struct buf sent = { 0 };

	(void)state;
	put(&sent, (struct memory_record){ .type = MEMORY_DATA, .pid = 1, .vaddr = PAGE, .pages = 1 });
	buf_append(&sent, "x", 1, NULL);
	for (size_t n = 1; n <= sent.len; n++) {
		struct got g = { 0 };
		const struct memory_sink sink = { got_record, got_data, &g };
		struct memory_reader r = { .allowed = MEMORY_OF_STORE, .page_size = PAGE };
		assert_int_equal(memory_feed(&r, &sink, (uint8_t *)sent.data, n, NULL), 0);
		assert_false(memory_at_boundary(&r));
		buf_free(&g.all);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_back_from_any_pieces),
		cmocka_unit_test(a_record_is_little_endian),
		cmocka_unit_test(wrong_records_are_refused),
		cmocka_unit_test(who_reads_says_which_types_may_come),
		cmocka_unit_test(a_report_comes_back),
		cmocka_unit_test(a_stream_that_stops_within_a_record_is_not_at_a_boundary),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
