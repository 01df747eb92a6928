/* The memory of a restored task while it is filled: which of its pages are still lacked, and where the source's addresses lie in it by now.
 *
 * A program may move memory that it lacks (mremap(2)). Then an address here and the source's part; a space notes such moves, few in practice. What it
 * has not moved lies where it lay. */
#pragma once
#include "runtime/pagestore/pages.h"

/* A space for a process's task. uffd is taken over. NULL (ERR_LIMIT). */
struct arena_space *space_new(struct arena *a, const struct arena_process *p, int uffd, struct err *e);
/* A copy, as fork(2) makes one: what the parent lacks, the child lacks too. uffd is taken over, also on failure. NULL (ERR_LIMIT). */
struct arena_space *space_copy(struct arena *a, const struct arena_space *parent, int uffd, struct err *e);
/* Its task has ended, runs another program, or is filled. */
void space_free(struct arena *a, struct arena_space *s);
static inline uint32_t space_number(const struct arena *a, const struct arena_space *s)
{
	return (uint32_t)(s - a->spaces);
}

/* The source's address of what lies at `now`, into *was. False if nothing of the source's lies there. */
bool space_source_of(const struct arena *a, const struct arena_space *s, uint64_t now, uint64_t *was);
/* Where the source's address lies, into *now; of the pages from there, *pages are cut to those that lie together. */
void space_place_of(const struct arena *a, const struct arena_space *s, uint64_t was, uint64_t *now, uint64_t *pages);

/* Whether the space lacks the source's page. */
bool space_wants(struct arena *a, const struct arena_space *s, uint64_t was);
/* What its task did: [now, now + pages) was unmapped or emptied; was moved. ERR_LIMIT: too many moves to follow. */
void space_remove(struct arena *a, const struct arena_space *s, uint64_t now, uint64_t pages);
int space_move(struct arena *a, struct arena_space *s, uint64_t from, uint64_t to, uint64_t pages, struct err *e);
