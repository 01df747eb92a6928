/* The pages that the store holds, by the source's addresses. Ranges are multiples of the page size and below MEMORY_ADDRESS_MAX (proto/memory.h sees
 * to it). */
#pragma once
#include "runtime/pagestore/arena.h"

/* Bytes of pages, instead of what was known of them. ERR_LIMIT: more than the container can have. */
int pages_put(struct arena *a, struct arena_process *p, uint64_t vaddr, const void *bytes, uint64_t pages, struct err *e);
int pages_zero(struct arena *a, struct arena_process *p, uint64_t vaddr, uint64_t pages, struct err *e);
/* The same for a part of a region, for arena_each(); process: its arena_process. */
void pages_mark_zero(void *process, struct arena *a, struct arena_region *r, unsigned first, unsigned n);
/* They are unknown from now on, and take no memory. pages 0: all of the process. */
void pages_drop(struct arena *a, struct arena_process *p, uint64_t vaddr, uint64_t pages);
/* Reads pages of SET_DATA. 0 or -1. */
int pages_read(const struct arena *a, const struct arena_process *p, uint64_t vaddr, void *bytes, uint64_t pages, struct err *e);
/* A task of that owner lacks these pages. ERR_LIMIT. */
int pages_want(struct arena *a, uint32_t owner, uint64_t vaddr, uint64_t pages, struct err *e);
/* The part [first, first + n) of a region is lacked no more. */
void pages_unwant(struct arena *a, struct arena_region *r, unsigned first, unsigned n);
