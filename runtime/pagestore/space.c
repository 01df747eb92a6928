/* See space.h. Events and their order: fs/userfaultfd.c, userfaultfd(2), ioctl_userfaultfd(2). */
#include "runtime/pagestore/space.h"
#include <string.h>
#include <unistd.h>
#include "runtime/pagestore/bits.h"

struct arena_space *space_new(struct arena *a, const struct arena_process *p, int uffd, struct err *e)
{
	for (uint32_t i = 0; i < ARENA_SPACES_MAX; i++)
		if (!a->spaces[i].used) {
			a->spaces[i] = (struct arena_space){ .process = arena_owner(a, p), .owner = arena_owner(a, p), .uffd = uffd, .used = true };
			a->nspaces = MAX(a->nspaces, i + 1);
			return &a->spaces[i];
		}
	close(uffd);
	err_set(e, ERR_LIMIT, 0, "more than %d processes are being filled", ARENA_SPACES_MAX);
	return NULL;
}

static int copy_wanted(struct arena *a, uint32_t from, uint32_t to, struct err *e)
{
	for (uint32_t name = a->lists[from].first; name; name = arena_region(a, name - 1)->next_of_owner) {
		const struct arena_region *r = arena_region(a, name - 1);
		if (bits_next(r->sets[SET_WANTED], 0, ARENA_REGION_PAGES, true) == ARENA_REGION_PAGES)
			continue;
		struct arena_region *copy = arena_find(a, to, r->number * ARENA_REGION_PAGES * a->page_size, true);
		if (!copy)
			return err_set(e, ERR_LIMIT, 0, "too many forks of a process that is being filled");
		memcpy(copy->sets[SET_WANTED], r->sets[SET_WANTED], sizeof(r->sets[SET_WANTED]));
		for (unsigned i = 0; i < ARENA_WORDS; i++)
			a->wanted += (unsigned)__builtin_popcountll(r->sets[SET_WANTED][i]);
	}
	return 0;
}

static struct arena_move *move_new(struct arena *a, uint32_t space, uint64_t now, uint64_t was, uint64_t pages, struct err *e)
{
	if (a->nmoves == ARENA_MOVES_MAX) {
		err_set(e, ERR_LIMIT, 0, "too much memory is moved about while it is filled");
		return NULL;
	}
	a->moves[a->nmoves] = (struct arena_move){ .space = space, .now = now, .was = was, .pages = pages };
	return &a->moves[a->nmoves++];
}

static int copy_moves(struct arena *a, uint32_t from, uint32_t to, struct err *e)
{
	for (size_t i = 0, n = a->nmoves; i < n; i++)
		if (a->moves[i].space == from && !move_new(a, to, a->moves[i].now, a->moves[i].was, a->moves[i].pages, e))
			return -1;
	return 0;
}

struct arena_space *space_copy(struct arena *a, const struct arena_space *parent, int uffd, struct err *e)
{
	struct arena_space *s = space_new(a, &a->processes[parent->process], uffd, e);
	if (!s)
		return NULL;
	s->owner = arena_owner_of_copy(space_number(a, s));
	s->moved = parent->moved;
	if (copy_wanted(a, parent->owner, s->owner, e) == 0 && (!s->moved || copy_moves(a, space_number(a, parent), space_number(a, s), e) == 0))
		return s;
	space_free(a, s);
	return NULL;
}

static void forget_moves(struct arena *a, uint32_t space)
{
	for (size_t i = 0; i < a->nmoves;)
		if (a->moves[i].space == space)
			a->moves[i] = a->moves[--a->nmoves];
		else
			i++;
}

void space_free(struct arena *a, struct arena_space *s)
{
	for (uint32_t name = a->lists[s->owner].first; name; name = arena_region(a, name - 1)->next_of_owner)
		pages_unwant(a, arena_region(a, name - 1), 0, ARENA_REGION_PAGES);
	if (s->owner != s->process)
		arena_forget(a, s->owner);
	if (s->moved)
		forget_moves(a, space_number(a, s));
	close(s->uffd);
	*s = (struct arena_space){ 0 };
}

static bool within(uint64_t at, uint64_t start, uint64_t bytes)
{
	return at >= start && at - start < bytes;
}

bool space_source_of(const struct arena *a, const struct arena_space *s, uint64_t now, uint64_t *was)
{
	*was = now;
	for (size_t i = 0; s->moved && i < a->nmoves; i++) {
		const struct arena_move *m = &a->moves[i];
		if (m->space == space_number(a, s) && within(now, m->now, m->pages * a->page_size)) {
			*was = m->was + (now - m->now);
			return true;
		}
	}
	for (size_t i = 0; s->moved && i < a->nmoves; i++)
		if (a->moves[i].space == space_number(a, s) && within(now, a->moves[i].was, a->moves[i].pages * a->page_size))
			return false;
	return true;
}

void space_place_of(const struct arena *a, const struct arena_space *s, uint64_t was, uint64_t *now, uint64_t *pages)
{
	*now = was;
	for (size_t i = 0; s->moved && i < a->nmoves; i++) {
		const struct arena_move *m = &a->moves[i];
		if (m->space != space_number(a, s))
			continue;
		if (within(was, m->was, m->pages * a->page_size)) {
			*now = m->now + (was - m->was);
			*pages = MIN(*pages, m->pages - (was - m->was) / a->page_size);
			return;
		}
		if (m->was > was)
			*pages = MIN(*pages, (m->was - was) / a->page_size);
	}
}

bool space_wants(struct arena *a, const struct arena_space *s, uint64_t was)
{
	const struct arena_region *r = arena_find(a, s->owner, was, false);
	return r && bits_at(r->sets[SET_WANTED], (unsigned)(was / a->page_size % ARENA_REGION_PAGES));
}

struct removal {
	const struct arena_space *space;
	uint64_t from, bytes; /* where the task removed it */
};

/* Of the source's pages in a region, those that lie in what was removed. */
static void unwant_part(void *arg, struct arena *a, struct arena_region *r, unsigned first, unsigned n)
{
	const struct removal *rm = arg;
	if (!rm->space->moved) {
		pages_unwant(a, r, first, n);
		return;
	}
	for (unsigned i = first; i < first + n; i++) {
		uint64_t now, one = 1;
		space_place_of(a, rm->space, (r->number * ARENA_REGION_PAGES + i) * a->page_size, &now, &one);
		if (within(now, rm->from, rm->bytes))
			pages_unwant(a, r, i, 1);
	}
}

void space_remove(struct arena *a, const struct arena_space *s, uint64_t now, uint64_t pages)
{
	struct removal rm = { .space = s, .from = now, .bytes = pages * a->page_size };
	if (pages == 0)
		return;
	arena_each(a, s->owner, now, pages, unwant_part, &rm);
	for (size_t i = 0; s->moved && i < a->nmoves; i++) {
		const struct arena_move *m = &a->moves[i];
		uint64_t from = MAX(now, m->now), to = MIN(now + rm.bytes, m->now + m->pages * a->page_size);
		if (m->space == space_number(a, s) && from < to)
			arena_each(a, s->owner, m->was + (from - m->now), (to - from) / a->page_size, unwant_part, &rm);
	}
}

/* The part of an earlier move that moves again. What of it stays is split off. */
static int move_again(struct arena *a, size_t i, uint64_t from, uint64_t to, uint64_t pages, struct err *e)
{
	struct arena_move *m = &a->moves[i];
	uint64_t size = a->page_size, start = MAX(from, m->now), end = MIN(from + pages * size, m->now + m->pages * size);
	struct arena_move old = *m;
	if (start >= end)
		return 0;
	if (start > old.now && !move_new(a, old.space, old.now, old.was, (start - old.now) / size, e))
		return -1;
	if (end < old.now + old.pages * size && !move_new(a, old.space, end, old.was + (end - old.now), (old.now + old.pages * size - end) / size, e))
		return -1;
	*m = (struct arena_move){ old.space, to + (start - from), old.was + (start - old.now), (end - start) / size };
	return 0;
}

/* What of [from, from + pages) lay where it lay until now, and is lacked: run by run. */
static int move_first(struct arena *a, const struct arena_space *s, uint64_t from, uint64_t to, uint64_t pages, struct err *e)
{
	uint64_t size = a->page_size;
	struct arena_move *run = NULL;
	for (uint64_t at = from; at < from + pages * size;) {
		const struct arena_region *r = arena_find(a, s->owner, at, false);
		if (!r) {
			at = (at / size / ARENA_REGION_PAGES + 1) * ARENA_REGION_PAGES * size;
			run = NULL;
			continue;
		}
		uint64_t now, one = 1;
		space_place_of(a, s, at, &now, &one);
		if (now != at || !space_wants(a, s, at))
			run = NULL;
		else if (run)
			run->pages++;
		else if (!(run = move_new(a, ARENA_NONE, to + (at - from), at, 1, e)))
			return -1;
		at += size;
	}
	return 0;
}

int space_move(struct arena *a, struct arena_space *s, uint64_t from, uint64_t to, uint64_t pages, struct err *e)
{
	uint32_t number = space_number(a, s);
	size_t n = a->nmoves;
	/* First looked for, as what has not moved yet is told by the moves until now; then both are true at once. */
	if (move_first(a, s, from, to, pages, e) < 0)
		return -1;
	size_t fresh = a->nmoves;
	for (size_t i = 0; i < n; i++)
		if (a->moves[i].space == number && move_again(a, i, from, to, pages, e) < 0)
			return -1;
	for (size_t i = n; i < fresh; i++)
		a->moves[i].space = number;
	s->moved = s->moved || a->nmoves > n;
	return 0;
}
