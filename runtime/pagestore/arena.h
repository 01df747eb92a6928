/* What the page store knows, in memory that outlives the process that works with it.
 *
 * Knowledge is kept in regions: 2 MiB of one owner's addresses, with a bit for each page in each of four sets. An owner is a process of the source
 * (as memory goes by the source's addresses) or a copy of one that came about by a fork in the container that is being filled. Regions are found by
 * a hash, kept in a list for each owner in the order of their making, and are as many as the arena was made for: a peer that names more pages than a
 * container of that size can have is refused, not served.
 *
 * The arena is one shared anonymous mapping without pointers. What it holds is right at any moment: a page's bytes are written before its bit is set,
 * and its bit is cleared before they are given away, so that a successor may do a step once more. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

#define ARENA_REGION_PAGES 512
#define ARENA_WORDS (ARENA_REGION_PAGES / 64)
#define ARENA_PROCESSES_MAX 4096
#define ARENA_SPACES_MAX 8192
#define ARENA_MOVES_MAX 65536
#define ARENA_NONE UINT32_MAX

enum arena_set {
	SET_DATA,   /* its bytes are in the process's file */
	SET_ZERO,   /* it holds zeros */
	SET_WANTED, /* the restored task lacks it */
	SET_ASKED,  /* a FETCH is on its way */
	SETS
};

struct arena_region {
	uint64_t number; /* address / (ARENA_REGION_PAGES × page size) */
	uint32_t owner;
	uint32_t next_of_owner, next_of_bucket;
	uint64_t sets[SETS][ARENA_WORDS];
};

/* Regions of one owner. */
struct arena_list {
	uint32_t first, last;
};

struct arena_process {
	uint32_t pid;
	int file; /* sparse, offset = address; -1 until it has a page */
};

/* A task's memory while it is filled: that of the process it was restored as, or a fork's copy of it. */
struct arena_space {
	bool used;
	bool moved; /* mremap(2) has moved some of it: arena.moves */
	uint32_t process;
	uint32_t owner; /* whose wanted set is its own */
	int uffd;
};

/* Addresses of a space that are no longer the source's. */
struct arena_move {
	uint32_t space;
	uint64_t now, was, pages;
};

enum arena_state { ARENA_RECEIVING, ARENA_FILLING, ARENA_COMPLETE };

struct arena {
	enum arena_state state;
	bool ended; /* END came */
	size_t page_size;
	uint64_t limit, held; /* pages of SET_DATA */
	uint64_t wanted;      /* pages, over all spaces */
	uint64_t round;	      /* of the last MARK */
	bool expects;	      /* a restore, once `awaited` has come */
	uint64_t awaited;
	uint64_t delivered, faults, fetched;
	int memory; /* the memory socket, or -1 */
	int init;   /* a pidfd of the container's init, or -1 */

	size_t nprocesses, nspaces, nmoves; /* nspaces: all in use are below it */
	struct arena_process processes[ARENA_PROCESSES_MAX];
	struct arena_space spaces[ARENA_SPACES_MAX];
	struct arena_move moves[ARENA_MOVES_MAX];
	struct arena_list lists[ARENA_PROCESSES_MAX + ARENA_SPACES_MAX];

	uint32_t nregions, regions_max, free_region, buckets; /* buckets: a power of two */
	size_t size;					      /* of the mapping */
	uint64_t tables[];				      /* buckets, then regions */
};

/* For a container of at most `limit` pages. Owned; NULL (ERR_RESOURCE). Only what is used takes memory. */
struct arena *arena_new(uint64_t limit, size_t page_size, struct err *e);
/* Closes all files and unmaps it. */
void arena_freep(struct arena **a);

struct arena_region *arena_region(struct arena *a, uint32_t number);
/* The region of an owner that holds the address; NULL if there is none, with `make` only when the arena is full. */
struct arena_region *arena_find(struct arena *a, uint32_t owner, uint64_t vaddr, bool make);
/* Forgets all regions of an owner. */
void arena_forget(struct arena *a, uint32_t owner);

/* The process of that pid; NULL if unknown, with `make` only when there are too many. */
struct arena_process *arena_process(struct arena *a, uint32_t pid, bool make);
static inline uint32_t arena_owner(const struct arena *a, const struct arena_process *p)
{
	return (uint32_t)(p - a->processes);
}
/* An owner for a copy that lives in space number `space`. */
static inline uint32_t arena_owner_of_copy(uint32_t space)
{
	return ARENA_PROCESSES_MAX + space;
}

/* A part of a range that lies in one region. */
struct arena_part {
	uint64_t vaddr;
	unsigned first, n; /* pages, within the region */
};
/* Steps through a range: `part` all zeros at first, false after the last. */
bool arena_parts(const struct arena *a, uint64_t vaddr, uint64_t pages, struct arena_part *part);
/* Calls f for each part of a range that an owner has a region for, in no order; pages 0: all of them. Takes no longer for a range that is far larger
 * than what is there. */
void arena_each(struct arena *a, uint32_t owner, uint64_t vaddr, uint64_t pages,
		void (*f)(void *arg, struct arena *a, struct arena_region *r, unsigned first, unsigned n), void *arg);
