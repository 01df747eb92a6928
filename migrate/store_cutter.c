/* Where one chunk ends and the next begins, chosen by the content (a gear hash, as in FastCDC, Xia et al., USENIX ATC 2016).
 *
 * After each byte the hash is (hash << 1) + gear[byte], so that it depends on the last 64 bytes alone. A chunk ends where the top bits of the
 * hash are zero: 18 of them until the chunk has 64 KiB, 14 from then on, which draws the sizes towards 64 KiB. No end is looked for
 * within the first 16 KiB, and at 256 KiB it ends anyhow. The table comes from a fixed seed: the same bytes are cut the same everywhere. */
#include <string.h>
#include "migrate/store_private.h"

#define CHUNK_MIN (16 << 10)
#define CHUNK_NORMAL (64 << 10)
#define WINDOW 64
#define TOP_BITS(n) (~0ULL << (64 - (n)))

int store_cutter_init(struct store_cutter *c, struct err *e)
{
	uint64_t seed = 0x6461766974ULL; /* "davit" */
	for (size_t i = 0; i < 256; i++) {
		/* splitmix64 */
		uint64_t z = (seed += 0x9e3779b97f4a7c15ULL);
		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
		z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
		c->gear[i] = z ^ z >> 31;
	}
	c->len = 0;
	c->hash = 0;
	c->data = mem_new(1, STORE_CHUNK_MAX, e);
	return c->data ? 0 : -1;
}

void store_cutter_free(struct store_cutter *c)
{
	free(c->data);
	c->data = NULL;
}

/* Looks for an end within p[from..to) of bytes that stand at `at` in the chunk. Returns the bytes up to and with it, or 0. */
static size_t find_end(struct store_cutter *c, const uint8_t *p, size_t from, size_t to, uint64_t mask)
{
	uint64_t hash = c->hash;
	for (size_t i = from; i < to; i++) {
		hash = (hash << 1) + c->gear[p[i]];
		if (!(hash & mask)) {
			c->hash = 0;
			return i + 1;
		}
	}
	c->hash = hash;
	return 0;
}

/* The part of p[0..n) that lies in [begin, end) of the chunk: its bounds in p. */
static void clip(const struct store_cutter *c, size_t n, size_t begin, size_t end, size_t *from, size_t *to)
{
	*from = begin > c->len ? MIN(begin - c->len, n) : 0;
	*to = end > c->len ? MIN(end - c->len, n) : 0;
}

size_t store_cutter_feed(struct store_cutter *c, const uint8_t *p, size_t n, bool *cut)
{
	static const struct {
		size_t begin, end;
		uint64_t mask;
	} parts[] = {
		{ CHUNK_MIN - WINDOW, CHUNK_MIN, ~0ULL }, /* fills the hash's window; a match of all bits is as good an end as any */
		{ CHUNK_MIN, CHUNK_NORMAL, TOP_BITS(18) },
		{ CHUNK_NORMAL, STORE_CHUNK_MAX, TOP_BITS(14) },
	};
	size_t end = 0, from, to;
	if (c->len == 0)
		c->hash = 0;
	for (size_t i = 0; i < ARRAY_LEN(parts) && !end; i++) {
		clip(c, n, parts[i].begin, parts[i].end, &from, &to);
		end = find_end(c, p, from, to, parts[i].mask);
	}
	size_t take = end ? end : MIN(n, STORE_CHUNK_MAX - c->len);
	memcpy(c->data + c->len, p, take);
	c->len += take;
	*cut = end || c->len == STORE_CHUNK_MAX;
	return take;
}
