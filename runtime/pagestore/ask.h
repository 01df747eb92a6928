/* Asking the source for pages: FETCH records, each page once until it comes. */
#pragma once
#include "runtime/pagestore/fill.h"

/* A page that a task waits for, and those after it. */
void ask_page(struct fill *f, const struct arena_space *s, uint64_t vaddr);
/* Pages came: for arena_each(). */
void ask_answered(void *unused, struct arena *a, struct arena_region *r, unsigned first, unsigned n);
