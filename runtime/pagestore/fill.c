/* See fill.h. The calls: ioctl_userfaultfd(2); their errors: mm/userfaultfd.c (ESRCH the task's memory is gone, ENOENT nothing is registered there
 * any more, EEXIST a page is there, EAGAIN an event has to be read first). */
#include "runtime/pagestore/fill.h"
#include <errno.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/log.h"
#include "runtime/pagestore/ask.h"
#include "runtime/pagestore/bits.h"

#define AROUND_PAGES 16 /* given with one that is waited for */
#define EVENTS_AT_ONCE 16
#define PROBE_ADDRESS (64 << 10) /* the lowest that a program may map, and does not */

int fill_init(struct fill *f, struct arena *a, struct err *e)
{
	f->a = a;
	f->again = true;
	f->buffer = aligned_alloc(a->page_size, FILL_CHUNK_PAGES * a->page_size);
	return f->buffer ? 0 : err_set(e, ERR_RESOURCE, 0, "no memory for a page buffer");
}

void fill_end(struct fill *f)
{
	free(f->buffer);
	f->buffer = NULL;
	buf_free(&f->out);
}

/* One call. Pages done, or -errno. */
static int64_t call(const struct fill *f, int uffd, uint64_t now, const uint8_t *bytes, uint64_t pages)
{
	uint64_t len = pages * f->a->page_size;
	struct uffdio_copy copy = { .dst = now, .src = (uintptr_t)bytes, .len = len };
	struct uffdio_zeropage zero = { .range = { .start = now, .len = len } };
	int rc = bytes ? ioctl(uffd, UFFDIO_COPY, &copy) : ioctl(uffd, UFFDIO_ZEROPAGE, &zero);
	int64_t done = bytes ? copy.copy : zero.zeropage;
	if (rc == 0)
		return (int64_t)pages;
	if (done == 0)
		return -errno;
	return done > 0 ? done / (int64_t)f->a->page_size : done;
}

static void wake(const struct fill *f, int uffd, uint64_t now, uint64_t pages)
{
	struct uffdio_range range = { .start = now, .len = pages * f->a->page_size };
	(void)ioctl(uffd, UFFDIO_WAKE, &range);
}

enum outcome { GIVEN, LATER, GONE };

/* Pages that lie together in the task. *done: how many from the start need nothing any more. */
static enum outcome give_run(struct fill *f, int uffd, uint64_t now, const uint8_t *bytes, uint64_t pages, uint64_t *done)
{
	uint64_t step = pages;
	for (*done = 0; *done < pages;) {
		uint64_t at = now + *done * f->a->page_size;
		step = MIN(step, pages - *done);
		int64_t n = call(f, uffd, at, bytes ? bytes + *done * f->a->page_size : NULL, step);
		if (n > 0) {
			*done += (uint64_t)n;
			step = pages;
		} else if (n == -ENOENT && step > 1) {
			step /= 2; /* it may cross the border of a mapping */
		} else if (n == -EEXIST || n == -ENOENT) {
			wake(f, uffd, at, 1);
			*done += 1;
		} else if (n == -ESRCH || n == -ENOSPC) {
			return GONE;
		} else {
			f->short_of_memory |= n == -ENOMEM;
			f->again = true;
			return LATER;
		}
	}
	return GIVEN;
}

/* What space s lacks of the part [first, first + n) of a region; bytes are those of `first`. */
static enum outcome give_part(struct fill *f, struct arena_space *s, struct arena_region *r, unsigned first, unsigned n, const uint8_t *bytes)
{
	unsigned at = first, end = first + n;
	uint64_t base = r->number * ARENA_REGION_PAGES, now, done;
	for (unsigned run; (run = bits_run(r->sets[SET_WANTED], &at, end)); at += (unsigned)done) {
		uint64_t together = run;
		space_place_of(f->a, s, (base + at) * f->a->page_size, &now, &together);
		enum outcome o = give_run(f, s->uffd, now, bytes ? bytes + (at - first) * f->a->page_size : NULL, together, &done);
		pages_unwant(f->a, r, at, (unsigned)done);
		f->a->delivered += done;
		if (o != GIVEN)
			return o;
	}
	return GIVEN;
}

static enum outcome give_space(struct fill *f, struct arena_space *s, uint64_t vaddr, uint64_t pages, const uint8_t *bytes)
{
	for (struct arena_part part = { 0 }; arena_parts(f->a, vaddr, pages, &part);) {
		struct arena_region *r = arena_find(f->a, s->owner, part.vaddr, false);
		enum outcome o = r ? give_part(f, s, r, part.first, part.n, bytes ? bytes + (part.vaddr - vaddr) : NULL) : GIVEN;
		if (o != GIVEN)
			return o;
	}
	return GIVEN;
}

bool fill_give(struct fill *f, const struct arena_process *p, uint64_t vaddr, uint64_t pages, const uint8_t *bytes)
{
	bool all = true;
	for (size_t i = 0; i < f->a->nspaces; i++) {
		struct arena_space *s = &f->a->spaces[i];
		if (!s->used || s->process != arena_owner(f->a, p))
			continue;
		enum outcome o = give_space(f, s, vaddr, pages, bytes);
		if (o == GONE)
			space_free(f->a, s);
		all = all && o != LATER;
	}
	return all;
}

/* Held pages, at most FILL_CHUNK_PAGES in one region: given, and let go. */
static bool give_held(struct fill *f, struct arena_process *p, uint64_t vaddr, unsigned pages, bool zero)
{
	struct err e = { 0 };
	if (!zero && pages_read(f->a, p, vaddr, f->buffer, pages, &e) < 0) {
		log_err(LOG_LEVEL_ERROR, "page store", &e);
		return false;
	}
	if (!fill_give(f, p, vaddr, pages, zero ? NULL : f->buffer))
		return false;
	if (f->a->state != ARENA_RECEIVING)
		pages_drop(f->a, p, vaddr, pages);
	return true;
}

/* The run of pages from `first` on, at most n, that the task lacks and the set tells of. */
static unsigned lacked_run(const struct arena_region *lacks, const struct arena_region *has, enum arena_set set, unsigned *first, unsigned end)
{
	uint64_t both[ARENA_WORDS];
	bits_both(both, lacks->sets[SET_WANTED], has->sets[set]);
	return bits_run(both, first, end);
}

#ifndef UFFDIO_POISON
struct uffdio_poison {
	struct uffdio_range range;
	uint64_t mode;
	int64_t updated;
};
#define UFFDIO_POISON _IOWR(UFFDIO, 0x08, struct uffdio_poison)
#endif

static void refuse(const struct fill *f, const struct arena_space *s, uint64_t now, uint64_t pages)
{
	for (uint64_t i = 0; i < pages; i++) {
		struct uffdio_poison p = { .range = { .start = now + i * f->a->page_size, .len = f->a->page_size } };
		(void)ioctl(s->uffd, UFFDIO_POISON, &p);
	}
}

static void refuse_space(struct fill *f, const struct arena_space *s)
{
	for (uint32_t name = f->a->lists[s->owner].first; name; name = arena_region(f->a, name - 1)->next_of_owner) {
		const struct arena_region *lacks = arena_region(f->a, name - 1);
		uint64_t base = lacks->number * ARENA_REGION_PAGES, now;
		const struct arena_region *has = arena_find(f->a, s->process, base * f->a->page_size, false);
		unsigned at = 0;
		for (unsigned run; has && (run = lacked_run(lacks, has, SET_ASKED, &at, ARENA_REGION_PAGES)); at += run) {
			uint64_t together = run;
			space_place_of(f->a, s, (base + at) * f->a->page_size, &now, &together);
			run = (unsigned)together;
			refuse(f, s, now, run);
		}
	}
}

void fill_refuse(struct fill *f)
{
	for (size_t i = 0; i < f->a->nspaces; i++)
		if (f->a->spaces[i].used)
			refuse_space(f, &f->a->spaces[i]);
}

static void give_nothing(const struct fill *f, const struct arena_space *s, uint64_t now)
{
	uint64_t done;
	struct fill once = *f;
	if (give_run(&once, s->uffd, now, NULL, 1, &done) == LATER)
		wake(f, s->uffd, now, 1); /* it faults once more, behind the event that is to be read first */
}

static void on_fault(struct fill *f, struct arena_space *s, uint64_t now)
{
	uint64_t was;
	f->a->faults++;
	now &= ~(uint64_t)(f->a->page_size - 1);
	if (!space_source_of(f->a, s, now, &was) || !space_wants(f->a, s, was)) {
		give_nothing(f, s, now);
		return;
	}
	struct arena_process *p = &f->a->processes[s->process];
	const struct arena_region *lacks = arena_find(f->a, s->owner, was, false), *has = arena_find(f->a, s->process, was, false);
	unsigned page = (unsigned)(was / f->a->page_size % ARENA_REGION_PAGES), end = MIN(page + AROUND_PAGES, ARENA_REGION_PAGES);
	for (enum arena_set set = SET_DATA; has && set <= SET_ZERO; set++) {
		unsigned first = page, n = bits_at(has->sets[set], page) ? lacked_run(lacks, has, set, &first, end) : 0;
		if (n == 0)
			continue;
		if (!give_held(f, p, was, n, set == SET_ZERO))
			wake(f, s->uffd, now, 1);
		return;
	}
	if (f->a->memory < 0 && f->a->state == ARENA_RECEIVING)
		refuse(f, s, now, 1);
	else
		ask_page(f, s, was);
}

static int on_event(struct fill *f, struct arena_space *s, const struct uffd_msg *m, struct err *e)
{
	uint64_t size = f->a->page_size;
	struct arena_space *child;
	switch (m->event) {
	case UFFD_EVENT_PAGEFAULT:
		on_fault(f, s, m->arg.pagefault.address);
		return 0;
	case UFFD_EVENT_FORK:
		fill_sweep(f); /* programs that fork often leave many behind */
		child = space_copy(f->a, s, (int)m->arg.fork.ufd, e);
		return child ? f->forked(f->arg, child, e) : -1;
	case UFFD_EVENT_REMAP:
		return space_move(f->a, s, m->arg.remap.from, m->arg.remap.to, m->arg.remap.len / size, e);
	case UFFD_EVENT_REMOVE:
	case UFFD_EVENT_UNMAP:
		space_remove(f->a, s, m->arg.remove.start, (m->arg.remove.end - m->arg.remove.start) / size);
		return 0;
	default:
		return err_set(e, ERR_INTERNAL, 0, "userfaultfd tells an event %u", m->event);
	}
}

int fill_events(struct fill *f, struct arena_space *s, struct err *e)
{
	/* One at a time: what one does must be known before the next is judged, and a fork's descriptor is made by the read. */
	for (int i = 0; i < EVENTS_AT_ONCE && s->used; i++) {
		struct uffd_msg m;
		ssize_t n = read(s->uffd, &m, sizeof(m));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n != sizeof(m))
			return err_sys(e, n < 0 ? errno : EIO, "read userfaultfd");
		if (on_event(f, s, &m, e) < 0)
			return -1;
	}
	return 0;
}

/* Looks through one region of a space. True if something was given. */
static bool step_region(struct fill *f, const struct arena_space *s, const struct arena_region *lacks)
{
	struct arena_process *p = &f->a->processes[s->process];
	uint64_t base = lacks->number * ARENA_REGION_PAGES * f->a->page_size;
	const struct arena_region *has = s->owner == s->process ? lacks : arena_find(f->a, s->process, base, false);
	for (enum arena_set set = SET_DATA; has && set <= SET_ZERO; set++) {
		unsigned first = 0, n = lacked_run(lacks, has, set, &first, ARENA_REGION_PAGES);
		if (n > 0)
			return give_held(f, p, base + first * f->a->page_size, MIN(n, FILL_CHUNK_PAGES), set == SET_ZERO);
	}
	return false;
}

bool fill_step(struct fill *f)
{
	if (f->a->wanted == 0 || f->short_of_memory)
		return false;
	for (; f->space < f->a->nspaces; f->space++, f->region = 0) {
		const struct arena_space *s = &f->a->spaces[f->space];
		if (!s->used)
			continue;
		if (f->region == 0)
			f->region = f->a->lists[s->owner].first;
		for (; f->region; f->region = arena_region(f->a, f->region - 1)->next_of_owner)
			if (step_region(f, s, arena_region(f->a, f->region - 1)))
				return true;
	}
	f->space = f->region = 0;
	return false;
}

void fill_sweep(struct fill *f)
{
	for (size_t i = 0; i < f->a->nspaces; i++) {
		struct arena_space *s = &f->a->spaces[i];
		if (s->used && !space_wants(f->a, s, PROBE_ADDRESS) && call(f, s->uffd, PROBE_ADDRESS, NULL, 1) == -ESRCH)
			space_free(f->a, s);
	}
}

/* Pages of ended processes, of memory that was unmapped before the dump, that were dumped by CRIU. */
void fill_trim(struct fill *f)
{
	for (size_t i = 0; i < f->a->nprocesses; i++) {
		for (uint32_t name = f->a->lists[i].first; name; name = arena_region(f->a, name - 1)->next_of_owner) {
			const struct arena_region *r = arena_region(f->a, name - 1);
			uint64_t idle[ARENA_WORDS], base = r->number * ARENA_REGION_PAGES;
			unsigned at = 0;
			bits_without(idle, r->sets[SET_DATA], r->sets[SET_WANTED]);
			for (unsigned run; (run = bits_run(idle, &at, ARENA_REGION_PAGES)); at += run)
				pages_drop(f->a, &f->a->processes[i], (base + at) * f->a->page_size, run);
		}
	}
}

void fill_wake(struct fill *f)
{
	for (size_t i = 0; i < f->a->nspaces; i++)
		if (f->a->spaces[i].used) /* from the lowest address over 46 bits: below any machine's limit, above any memory but a stack's */
			wake(f, f->a->spaces[i].uffd, PROBE_ADDRESS, (1ULL << 47) / f->a->page_size - 2 * PROBE_ADDRESS / f->a->page_size);
}
