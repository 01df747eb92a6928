/* See arena.h. A region's number in the table is its name everywhere. */
#include "runtime/pagestore/arena.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/mem.h"

/* Over what the limit needs if memory lies dense: for programs, libraries and stacks that lie apart, and for the maps of forks. */
#define REGIONS_SPARE (64 << 10)
#define REGIONS_FACTOR 16
#define REGIONS_LIMIT (64U << 20)

static uint32_t *bucket_table(struct arena *a)
{
	return (uint32_t *)a->tables;
}

struct arena_region *arena_region(struct arena *a, uint32_t number)
{
	return (struct arena_region *)(a->tables + a->buckets / 2) + number;
}

static uint32_t count_regions(uint64_t limit)
{
	uint64_t dense = limit / ARENA_REGION_PAGES + 1;
	return (uint32_t)MIN(MIN(dense, REGIONS_LIMIT) * REGIONS_FACTOR + REGIONS_SPARE, REGIONS_LIMIT);
}

struct arena *arena_new(uint64_t limit, size_t page_size, struct err *e)
{
	uint32_t regions = count_regions(limit), buckets = 1;
	while (buckets < regions / 4)
		buckets *= 2;
	size_t size = sizeof(struct arena) + buckets * sizeof(uint32_t) + (size_t)regions * sizeof(struct arena_region);
	struct arena *a = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (a == MAP_FAILED) {
		err_sys(e, errno, "memory for the page store");
		return NULL;
	}
	a->page_size = page_size;
	a->limit = limit;
	a->memory = a->init = -1;
	a->regions_max = regions;
	a->buckets = buckets;
	a->size = size;
	return a;
}

void arena_freep(struct arena **at)
{
	struct arena *a = *at;
	if (!a)
		return;
	for (size_t i = 0; i < a->nprocesses; i++)
		if (a->processes[i].file >= 0)
			close(a->processes[i].file);
	for (size_t i = 0; i < a->nspaces; i++)
		if (a->spaces[i].used)
			close(a->spaces[i].uffd);
	if (a->memory >= 0)
		close(a->memory);
	if (a->init >= 0)
		close(a->init);
	munmap(a, a->size);
	*at = NULL;
}

/* Names are stored as number + 1, so that a fresh mapping, all zeros, is an empty table. */
static uint32_t *bucket_of(struct arena *a, uint32_t owner, uint64_t number)
{
	uint64_t h = (number ^ ((uint64_t)owner << 40)) * 0x9e3779b97f4a7c15ULL;
	return &bucket_table(a)[(h >> 32) & (a->buckets - 1)];
}

static struct arena_region *add(struct arena *a, uint32_t *bucket, uint32_t owner, uint64_t number)
{
	uint32_t name = a->free_region;
	if (name)
		a->free_region = arena_region(a, name - 1)->next_of_owner;
	else if (a->nregions < a->regions_max)
		name = ++a->nregions;
	else
		return NULL;
	struct arena_region *r = arena_region(a, name - 1);
	*r = (struct arena_region){ .number = number, .owner = owner, .next_of_bucket = *bucket };
	*bucket = name;
	struct arena_list *l = &a->lists[owner];
	if (l->last)
		arena_region(a, l->last - 1)->next_of_owner = name;
	else
		l->first = name;
	l->last = name;
	return r;
}

struct arena_region *arena_find(struct arena *a, uint32_t owner, uint64_t vaddr, bool make)
{
	uint64_t number = vaddr / a->page_size / ARENA_REGION_PAGES;
	uint32_t *bucket = bucket_of(a, owner, number);
	for (uint32_t name = *bucket; name; name = arena_region(a, name - 1)->next_of_bucket) {
		struct arena_region *r = arena_region(a, name - 1);
		if (r->owner == owner && r->number == number)
			return r;
	}
	return make ? add(a, bucket, owner, number) : NULL;
}

static void unhash(struct arena *a, const struct arena_region *r, uint32_t name)
{
	uint32_t *at = bucket_of(a, r->owner, r->number);
	while (*at && *at != name)
		at = &arena_region(a, *at - 1)->next_of_bucket;
	if (*at)
		*at = r->next_of_bucket;
}

void arena_forget(struct arena *a, uint32_t owner)
{
	struct arena_list *l = &a->lists[owner];
	for (uint32_t name = l->first, next; name; name = next) {
		struct arena_region *r = arena_region(a, name - 1);
		next = r->next_of_owner;
		unhash(a, r, name);
		r->next_of_owner = a->free_region;
		a->free_region = name;
	}
	*l = (struct arena_list){ 0 };
}

struct arena_process *arena_process(struct arena *a, uint32_t pid, bool make)
{
	for (size_t i = 0; i < a->nprocesses; i++)
		if (a->processes[i].pid == pid)
			return &a->processes[i];
	if (!make || a->nprocesses == ARENA_PROCESSES_MAX)
		return NULL;
	a->processes[a->nprocesses] = (struct arena_process){ .pid = pid, .file = -1 };
	return &a->processes[a->nprocesses++];
}

bool arena_parts(const struct arena *a, uint64_t vaddr, uint64_t pages, struct arena_part *part)
{
	uint64_t at = part->n ? part->vaddr + part->n * a->page_size : vaddr;
	uint64_t left = pages - (at - vaddr) / a->page_size;
	if (left == 0)
		return false;
	unsigned first = (unsigned)(at / a->page_size % ARENA_REGION_PAGES);
	*part = (struct arena_part){ .vaddr = at, .first = first, .n = (unsigned)MIN(left, ARENA_REGION_PAGES - first) };
	return true;
}

#define PARTS_FEW 64

void arena_each(struct arena *a, uint32_t owner, uint64_t vaddr, uint64_t pages,
		void (*f)(void *arg, struct arena *a, struct arena_region *r, unsigned first, unsigned n), void *arg)
{
	if (pages > 0 && pages / ARENA_REGION_PAGES < PARTS_FEW) {
		for (struct arena_part part = { 0 }; arena_parts(a, vaddr, pages, &part);) {
			struct arena_region *r = arena_find(a, owner, part.vaddr, false);
			if (r)
				f(arg, a, r, part.first, part.n);
		}
		return;
	}
	uint64_t from = pages ? vaddr / a->page_size : 0, to = pages ? from + pages : UINT64_MAX;
	for (uint32_t name = a->lists[owner].first; name; name = arena_region(a, name - 1)->next_of_owner) {
		struct arena_region *r = arena_region(a, name - 1);
		uint64_t base = r->number * ARENA_REGION_PAGES, first = MAX(from, base), end = MIN(to, base + ARENA_REGION_PAGES);
		if (first < end)
			f(arg, a, r, (unsigned)(first - base), (unsigned)(end - first));
	}
}
