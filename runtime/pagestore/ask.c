/* See ask.h. SET_ASKED, of the process, marks what was asked for: a page that ten tasks wait for is asked for once. It outlives the connection, so
 * that a new one can be asked for all of it. */
#include "runtime/pagestore/ask.h"
#include "proto/memory.h"
#include "runtime/pagestore/bits.h"

#define AHEAD_PAGES 15	    /* asked for with one that is waited for, as a second record: they do not delay it */
#define OUT_MAX (256 << 10) /* bytes not sent yet */

static void put(struct fill *f, uint32_t pid, uint64_t vaddr, uint64_t pages)
{
	const struct memory_record r = { .type = MEMORY_FETCH, .pid = pid, .vaddr = vaddr, .pages = pages };
	uint8_t bytes[MEMORY_RECORD_SIZE];
	if (f->a->memory < 0)
		return; /* all is asked for again on the next connection */
	memory_put(&r, bytes);
	if (f->out.len >= OUT_MAX || buf_append(&f->out, bytes, sizeof(bytes), NULL) < 0)
		f->resend = true;
}

static void ask_run(struct fill *f, const struct arena_process *p, struct arena_region *r, unsigned first, unsigned n)
{
	bits_fill(r->sets[SET_ASKED], first, n, true);
	f->a->fetched += n;
	put(f, p->pid, (r->number * ARENA_REGION_PAGES + first) * f->a->page_size, n);
}

/* What is lacked, neither known nor asked for. */
static void unknown(uint64_t out[ARENA_WORDS], const struct arena_region *lacks, const struct arena_region *has)
{
	bits_without(out, lacks->sets[SET_WANTED], has->sets[SET_DATA]);
	bits_without(out, out, has->sets[SET_ZERO]);
	bits_without(out, out, has->sets[SET_ASKED]);
}

void ask_page(struct fill *f, const struct arena_space *s, uint64_t vaddr)
{
	struct arena_process *p = &f->a->processes[s->process];
	struct arena_region *has = arena_find(f->a, s->process, vaddr, true);
	const struct arena_region *lacks = arena_find(f->a, s->owner, vaddr, false);
	unsigned page = (unsigned)(vaddr / f->a->page_size % ARENA_REGION_PAGES), ahead = page + 1;
	uint64_t left[ARENA_WORDS];
	if (!has || !lacks || bits_at(has->sets[SET_ASKED], page))
		return;
	ask_run(f, p, has, page, 1);
	unknown(left, lacks, has);
	unsigned end = MIN(ahead + AHEAD_PAGES, ARENA_REGION_PAGES), n = ahead < end && bits_at(left, ahead) ? bits_run(left, &ahead, end) : 0;
	if (n > 0)
		ask_run(f, p, has, ahead, n);
}

void ask_answered(void *unused, struct arena *a, struct arena_region *r, unsigned first, unsigned n)
{
	(void)unused, (void)a;
	bits_fill(r->sets[SET_ASKED], first, n, false);
}

void fill_ask_again(struct fill *f)
{
	f->resend = false;
	for (size_t i = 0; i < f->a->nprocesses; i++)
		for (uint32_t name = f->a->lists[i].first; name; name = arena_region(f->a, name - 1)->next_of_owner) {
			const struct arena_region *r = arena_region(f->a, name - 1);
			unsigned at = 0;
			for (unsigned run; (run = bits_run(r->sets[SET_ASKED], &at, ARENA_REGION_PAGES)); at += run)
				put(f, f->a->processes[i].pid, (r->number * ARENA_REGION_PAGES + at) * f->a->page_size, run);
		}
}

static void ask_rest_of(struct fill *f, const struct arena_space *s)
{
	for (uint32_t name = f->a->lists[s->owner].first; name; name = arena_region(f->a, name - 1)->next_of_owner) {
		const struct arena_region *lacks = arena_region(f->a, name - 1);
		struct arena_region *has = arena_find(f->a, s->process, lacks->number * ARENA_REGION_PAGES * f->a->page_size, true);
		uint64_t left[ARENA_WORDS];
		unsigned at = 0;
		if (!has)
			return;
		unknown(left, lacks, has);
		for (unsigned run; (run = bits_run(left, &at, ARENA_REGION_PAGES)); at += run)
			ask_run(f, &f->a->processes[s->process], has, at, run);
	}
}

void fill_ask_rest(struct fill *f)
{
	for (size_t i = 0; i < f->a->nspaces; i++)
		if (f->a->spaces[i].used)
			ask_rest_of(f, &f->a->spaces[i]);
}
