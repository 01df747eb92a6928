/* What a source may send to a page store: raw bytes are taken or refused; right records leave exactly what a plain model of them leaves. CRIU's
 * pagemap images as well. */
// fuzz-sources: runtime/pagestore/arena.c runtime/pagestore/pages.c runtime/pagestore/space.c runtime/pagestore/pagemap.c
// fuzz-sources: runtime/pagestore/fill.c runtime/pagestore/ask.c runtime/pagestore/intake.c
#include "runtime/pagestore/bits.h"
#include "runtime/pagestore/intake.h"
#include "runtime/pagestore/pagemap.h"
#include "tests/fuzz/fuzz.h"

#define PAGE 4096UL
#define FIRST 500UL /* pages over the border of a region */
#define PAGES 64UL
#define PROCESSES 2U
#define LIMIT 4096UL

struct model {
	int page[PROCESSES][PAGES]; /* -1 unknown, 0 zeros, else the byte it is full of */
};

static int on_run(void *arg, uint64_t vaddr, uint64_t pages, struct err *e)
{
	(void)e;
	fuzz_assert(vaddr % PAGE == 0 && pages > 0 && vaddr + pages * PAGE <= MEMORY_ADDRESS_MAX);
	*(uint64_t *)arg += 1;
	return 0;
}

static void feed_raw(struct intake *in, const uint8_t *data, size_t size)
{
	struct err e = { 0 };
	uint64_t runs = 0;
	if (intake_feed(in, data, size, &e) < 0)
		fuzz_assert(e.code == ERR_PROTOCOL || e.code == ERR_LIMIT);
	fuzz_assert(in->fill->a->held <= LIMIT + MEMORY_DATA_PAGES_MAX);
	err_clear(&e);
	if (pagemap_parse(data, size, PAGE, on_run, &runs, &e) < 0)
		fuzz_assert(e.code == ERR_CORRUPT);
}

/* One record of five bytes: type and process, page, pages, content, length of the pieces that it is fed in. */
static void feed_record(struct intake *in, struct model *m, const uint8_t b[5])
{
	static const enum memory_type types[] = { MEMORY_DATA, MEMORY_ZERO, MEMORY_DROP };
	static uint8_t bytes[MEMORY_RECORD_SIZE + PAGES * PAGE];
	unsigned process = b[0] % PROCESSES, page = b[1] % PAGES;
	struct memory_record r = {
		.type = types[b[0] / PROCESSES % 3], .pid = 1 + process, .vaddr = (FIRST + page) * PAGE, .pages = 1 + b[2] % (PAGES - page)
	};
	size_t n = MEMORY_RECORD_SIZE + (size_t)memory_payload(&r, PAGE), piece = 1 + b[4] * 97U;
	struct err e = { 0 };
	memory_put(&r, bytes);
	memset(bytes + MEMORY_RECORD_SIZE, b[3] | 1, n - MEMORY_RECORD_SIZE);
	for (size_t i = 0; i < n; i += piece)
		fuzz_assert(intake_feed(in, bytes + i, MIN(piece, n - i), &e) == 0);
	for (unsigned i = page; i < page + r.pages; i++)
		m->page[process][i] = r.type == MEMORY_DATA ? b[3] | 1 : r.type == MEMORY_ZERO ? 0 : -1;
}

static int stored(struct arena *a, unsigned process, unsigned page)
{
	static uint8_t bytes[PAGE];
	const struct arena_process *p = arena_process(a, 1 + process, false);
	uint64_t vaddr = (FIRST + page) * PAGE;
	const struct arena_region *r = p ? arena_find(a, arena_owner(a, p), vaddr, false) : NULL;
	unsigned bit = (FIRST + page) % ARENA_REGION_PAGES;
	if (r && bits_at(r->sets[SET_ZERO], bit)) {
		fuzz_assert(!bits_at(r->sets[SET_DATA], bit));
		return 0;
	}
	if (!r || !bits_at(r->sets[SET_DATA], bit))
		return -1;
	fuzz_assert(pages_read(a, p, vaddr, bytes, 1, NULL) == 0 && bytes[0] == bytes[PAGE - 1]);
	return bytes[0];
}

static void check(struct arena *a, const struct model *m)
{
	uint64_t held = 0;
	for (unsigned process = 0; process < PROCESSES; process++)
		for (unsigned i = 0; i < PAGES; i++) {
			fuzz_assert(stored(a, process, i) == m->page[process][i]);
			held += m->page[process][i] > 0;
		}
	fuzz_assert(a->held == held);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = { 0 };
	struct fill f = { 0 };
	struct intake in;
	struct model m;
	struct arena *a = size ? arena_new(LIMIT, PAGE, &e) : NULL;
	if (!a)
		return 0;
	fuzz_assert(fill_init(&f, a, &e) == 0 && intake_init(&in, &f, &e) == 0);
	memset(&m, 0xff, sizeof(m));
	if (data[0] & 1)
		feed_raw(&in, data + 1, size - 1);
	for (size_t i = 1; !(data[0] & 1) && i + 5 <= size; i += 5)
		feed_record(&in, &m, data + i);
	if (!(data[0] & 1))
		check(a, &m);
	intake_end(&in);
	fill_end(&f);
	arena_freep(&a);
	return 0;
}
