/* The pages of a region as bits. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/mem.h"
#include "runtime/pagestore/arena.h"

/* Sets or clears n bits from `first`. Returns how many changed. */
static inline unsigned bits_fill(uint64_t *w, unsigned first, unsigned n, bool on)
{
	unsigned changed = 0;
	while (n > 0) {
		unsigned bit = first % 64, take = MIN(n, 64 - bit);
		uint64_t mask = (take == 64 ? ~0ULL : (1ULL << take) - 1) << bit, *at = &w[first / 64];
		changed += (unsigned)__builtin_popcountll((on ? ~*at : *at) & mask);
		*at = on ? *at | mask : *at & ~mask;
		first += take;
		n -= take;
	}
	return changed;
}

static inline bool bits_at(const uint64_t *w, unsigned i)
{
	return w[i / 64] >> (i % 64) & 1;
}

/* The first bit from `from` on, below `end`, that has this value; `end` if none has. */
static inline unsigned bits_next(const uint64_t *w, unsigned from, unsigned end, bool value)
{
	while (from < end) {
		uint64_t left = (value ? w[from / 64] : ~w[from / 64]) >> (from % 64);
		if (left)
			return MIN(from + (unsigned)__builtin_ctzll(left), end);
		from = (from / 64 + 1) * 64;
	}
	return end;
}

/* The next run of set bits in [*first, end): *first is where it begins. Its length, 0 if there is none. */
static inline unsigned bits_run(const uint64_t *w, unsigned *first, unsigned end)
{
	*first = bits_next(w, *first, end, true);
	return bits_next(w, *first, end, false) - *first;
}

/* a without b; a and b. */
static inline void bits_without(uint64_t out[ARENA_WORDS], const uint64_t *a, const uint64_t *b)
{
	for (unsigned i = 0; i < ARENA_WORDS; i++)
		out[i] = a[i] & ~b[i];
}
static inline void bits_both(uint64_t out[ARENA_WORDS], const uint64_t *a, const uint64_t *b)
{
	for (unsigned i = 0; i < ARENA_WORDS; i++)
		out[i] = a[i] & b[i];
}
