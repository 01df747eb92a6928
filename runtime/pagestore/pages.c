/* See pages.h. Bytes are in a memfd for each process, at their address as the offset: it is sparse, never on a disk of a file system, and goes with
 * the last process that has it open. Pages that are dropped are punched out of it (fallocate(2)). */
#include "runtime/pagestore/pages.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "runtime/pagestore/bits.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U /* Linux 6.3 */
#endif

static int no_room(const struct arena *a, struct err *e)
{
	return err_set(e, ERR_LIMIT, 0, "the source names more memory than the container may have (%llu MiB)",
		       (unsigned long long)(a->limit * a->page_size >> 20));
}

static int file_of(struct arena_process *p, struct err *e)
{
	if (p->file < 0)
		p->file = memfd_create("davit-pages", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
	if (p->file < 0)
		p->file = memfd_create("davit-pages", MFD_CLOEXEC); /* before Linux 6.3 */
	return p->file < 0 ? err_sys(e, errno, "memory for pages") : p->file;
}

static int write_bytes(int file, const uint8_t *p, size_t n, uint64_t at, struct err *e)
{
	while (n > 0) {
		ssize_t done = pwrite(file, p, n, (off_t)at);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return err_sys(e, done < 0 ? errno : ENOSPC, "store pages");
		p += done;
		n -= (size_t)done;
		at += (uint64_t)done;
	}
	return 0;
}

static void punch(const struct arena *a, const struct arena_process *p, uint64_t vaddr, uint64_t pages)
{
	if (p->file >= 0)
		(void)fallocate(p->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)vaddr, (off_t)(pages * a->page_size));
}

int pages_put(struct arena *a, struct arena_process *p, uint64_t vaddr, const void *bytes, uint64_t pages, struct err *e)
{
	int file = file_of(p, e);
	if (file < 0)
		return -1;
	if (a->held >= a->limit)
		return no_room(a, e);
	if (write_bytes(file, bytes, pages * a->page_size, vaddr, e) < 0)
		return -1;
	for (struct arena_part part = { 0 }; arena_parts(a, vaddr, pages, &part);) {
		struct arena_region *r = arena_find(a, arena_owner(a, p), part.vaddr, true);
		if (!r)
			return no_room(a, e);
		a->held += bits_fill(r->sets[SET_DATA], part.first, part.n, true);
		bits_fill(r->sets[SET_ZERO], part.first, part.n, false);
		bits_fill(r->sets[SET_ASKED], part.first, part.n, false);
	}
	return 0;
}

/* A run at a time: holes are cheap to skip, and costly to punch. */
static void forget_data(struct arena *a, const struct arena_process *p, struct arena_region *r, unsigned first, unsigned n)
{
	uint64_t base = r->number * ARENA_REGION_PAGES;
	unsigned end = first + n;
	for (unsigned run; (run = bits_run(r->sets[SET_DATA], &first, end)); first += run) {
		a->held -= bits_fill(r->sets[SET_DATA], first, run, false);
		punch(a, p, (base + first) * a->page_size, run);
	}
}

void pages_mark_zero(void *process, struct arena *a, struct arena_region *r, unsigned first, unsigned n)
{
	forget_data(a, process, r, first, n);
	bits_fill(r->sets[SET_ZERO], first, n, true);
	bits_fill(r->sets[SET_ASKED], first, n, false);
}

int pages_zero(struct arena *a, struct arena_process *p, uint64_t vaddr, uint64_t pages, struct err *e)
{
	for (struct arena_part part = { 0 }; arena_parts(a, vaddr, pages, &part);) {
		struct arena_region *r = arena_find(a, arena_owner(a, p), part.vaddr, true);
		if (!r)
			return no_room(a, e);
		pages_mark_zero(p, a, r, part.first, part.n);
	}
	return 0;
}

static void drop_part(void *arg, struct arena *a, struct arena_region *r, unsigned first, unsigned n)
{
	forget_data(a, arg, r, first, n);
	bits_fill(r->sets[SET_ZERO], first, n, false);
}

void pages_drop(struct arena *a, struct arena_process *p, uint64_t vaddr, uint64_t pages)
{
	arena_each(a, arena_owner(a, p), vaddr, pages, drop_part, p);
}

int pages_read(const struct arena *a, const struct arena_process *p, uint64_t vaddr, void *bytes, uint64_t pages, struct err *e)
{
	uint8_t *at = bytes;
	for (size_t n = pages * a->page_size; n > 0;) {
		ssize_t done = p->file < 0 ? 0 : pread(p->file, at, n, (off_t)(vaddr + (uint64_t)(at - (uint8_t *)bytes)));
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? err_sys(e, errno, "read stored pages") : err_set(e, ERR_INTERNAL, 0, "a stored page is not there");
		at += done;
		n -= (size_t)done;
	}
	return 0;
}

int pages_want(struct arena *a, uint32_t owner, uint64_t vaddr, uint64_t pages, struct err *e)
{
	for (struct arena_part part = { 0 }; arena_parts(a, vaddr, pages, &part);) {
		struct arena_region *r = arena_find(a, owner, part.vaddr, true);
		if (!r)
			return no_room(a, e);
		a->wanted += bits_fill(r->sets[SET_WANTED], part.first, part.n, true);
	}
	return 0;
}

void pages_unwant(struct arena *a, struct arena_region *r, unsigned first, unsigned n)
{
	a->wanted -= bits_fill(r->sets[SET_WANTED], first, n, false);
}
