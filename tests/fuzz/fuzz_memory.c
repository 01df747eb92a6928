/* Records of the memory socket: cut anywhere, the same bytes give the same records, and what is taken has one form. */
#include "base/str.h"
#include "proto/memory.h"
#include "tests/fuzz/fuzz.h"

#define PAGE 64 /* so that what follows a record fits into an input */

struct seen {
	struct buf b;
	uint64_t expected;
};

static int on_record(void *arg, const struct memory_record *r, struct err *e)
{
	struct seen *s = arg;
	uint8_t bytes[MEMORY_RECORD_SIZE];

	fuzz_assert(s->expected == 0);
	fuzz_assert(r->vaddr % PAGE == 0 && r->vaddr + r->pages * PAGE <= MEMORY_ADDRESS_MAX);
	s->expected = memory_payload(r, PAGE);
	fuzz_assert(s->expected <= MEMORY_DATA_PAGES_MAX * PAGE);
	memory_put(r, bytes);
	return buf_append(&s->b, bytes, sizeof(bytes), e);
}

static int on_data(void *arg, const uint8_t *p, size_t n, uint64_t left, struct err *e)
{
	struct seen *s = arg;

	fuzz_assert(n > 0 && n + left == s->expected);
	s->expected = left;
	return buf_append(&s->b, p, n, e);
}

/* Feeds in pieces; returns whether all was taken. */
static bool feed(const uint8_t *data, size_t size, size_t piece, struct seen *s)
{
	struct memory_reader r = { .allowed = MEMORY_OF_SOURCE | MEMORY_OF_MOVER, .page_size = PAGE };
	const struct memory_sink sink = { on_record, on_data, s };
	struct err e = { 0 };
	int rc = 0;

	for (size_t i = 0; i < size && rc == 0; i += piece)
		rc = memory_feed(&r, &sink, data + i, MIN(piece, size - i), &e);
	fuzz_assert(rc == 0 || e.code == ERR_PROTOCOL);
	fuzz_assert(rc < 0 || memory_at_boundary(&r) == (r.have == 0 && s->expected == 0));
	fuzz_assert(memcmp(data, s->b.data ? s->b.data : "", s->b.len) == 0);
	return rc == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole = { 0 }, pieces = { 0 };

	if (size < 1)
		return 0;
	bool a = feed(data + 1, size - 1, size, &whole), b = feed(data + 1, size - 1, 1 + data[0] % 64, &pieces);
	fuzz_assert(a == b && whole.b.len == pieces.b.len);
	buf_free(&whole.b);
	buf_free(&pieces.b);
	return 0;
}
