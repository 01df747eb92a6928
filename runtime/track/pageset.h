/* A set of pages of one address space.
 *
 * A bitmap in pieces of 128 MiB of address space (with pages of 4 KiB), made where a page is put in: 8 GiB in one place take 256 KiB, an address
 * space of terabytes in which little is used takes little. Pages are named by their number: address / page size. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct pageset_piece;
/* Zero-initialise. */
struct pageset {
	struct pageset_piece **pieces; /* by address */
	size_t n, cap;
	uint64_t pages;
};
void pageset_free(struct pageset *s);
int pageset_add(struct pageset *s, uint64_t page, uint64_t n, struct err *e);
void pageset_remove(struct pageset *s, uint64_t page, uint64_t n);
/* The first pages at or after `from` and before `until` that are in the set, as far as they follow each other. Returns how many, *page is the first;
 * 0: none. */
uint64_t pageset_next(const struct pageset *s, uint64_t from, uint64_t until, uint64_t *page);
/* How many of the pages from `page` on, at most n, are alike: all in the set (*in) or all not. n > 0. */
uint64_t pageset_run(const struct pageset *s, uint64_t page, uint64_t n, bool *in);
