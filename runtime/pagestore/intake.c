/* See intake.h. Before the restore pages are stored, a later record replaces an earlier one. Once tasks are there, a page goes straight from the
 * socket's buffer into those that lack it, and only what cannot be given yet is stored; what nobody lacks is old, or the task's own by now, and is
 * passed over. */
#include "runtime/pagestore/intake.h"
#include <stdlib.h>
#include <string.h>
#include "runtime/pagestore/ask.h"

int intake_init(struct intake *in, struct fill *f, struct err *e)
{
	*in = (struct intake){ .fill = f, .page = malloc(f->a->page_size) };
	intake_reset(in);
	return in->page ? 0 : err_set(e, ERR_RESOURCE, 0, "no memory for a page");
}

void intake_end(struct intake *in)
{
	free(in->page);
	in->page = NULL;
}

void intake_reset(struct intake *in)
{
	in->reader = (struct memory_reader){ .allowed = MEMORY_OF_STORE, .page_size = in->fill->a->page_size };
	in->process = NULL;
	in->have = 0;
}

static bool has_tasks(const struct intake *in)
{
	return in->fill->a->nspaces > 0;
}

static int take_pages(struct intake *in, const uint8_t *bytes, uint64_t pages, struct err *e)
{
	struct arena *a = in->fill->a;
	uint64_t at = in->vaddr;
	in->vaddr += pages * a->page_size;
	if (a->state == ARENA_COMPLETE)
		return 0;
	/* Before the tasks run, a page may be needed once more, if their restore fails. */
	if (has_tasks(in) && fill_give(in->fill, in->process, at, pages, bytes) && a->state != ARENA_RECEIVING) {
		pages_drop(a, in->process, at, pages);
		arena_each(a, arena_owner(a, in->process), at, pages, ask_answered, NULL);
		return 0;
	}
	return pages_put(a, in->process, at, bytes, pages, e);
}

static int take_zeros(struct intake *in, const struct memory_record *r, struct err *e)
{
	struct arena *a = in->fill->a;
	if (!has_tasks(in) || a->state == ARENA_RECEIVING) {
		if (pages_zero(a, in->process, r->vaddr, r->pages, e) < 0)
			return -1;
		in->fill->again = true;
		return 0;
	}
	/* The range may be far larger than what is lacked of it, so it is marked where there is something, and given from there. */
	arena_each(a, arena_owner(a, in->process), r->vaddr, r->pages, pages_mark_zero, in->process);
	in->fill->again = true;
	return 0;
}

static int on_record(void *arg, const struct memory_record *r, struct err *e)
{
	struct intake *in = arg;
	struct arena *a = in->fill->a;
	in->have = 0;
	a->ended |= r->type == MEMORY_END;
	if (a->state == ARENA_COMPLETE)
		return 0; /* of a source that does not know it yet */
	if (r->pid && !(in->process = arena_process(a, r->pid, true)))
		return err_set(e, ERR_LIMIT, 0, "the source names more than %d processes", ARENA_PROCESSES_MAX);
	switch (r->type) {
	case MEMORY_DATA:
		in->vaddr = r->vaddr;
		return 0;
	case MEMORY_ZERO:
		return take_zeros(in, r, e);
	case MEMORY_DROP:
		pages_drop(a, in->process, r->vaddr, r->pages);
		return 0;
	case MEMORY_MARK:
		a->round = r->value;
		return 0;
	default: /* END: what is lacked and unknown now was lost on the way */
		fill_ask_rest(in->fill);
		return 0;
	}
}

/* Whole pages as they lie in the caller's buffer; only those that are cut by its end are put together here. */
static int on_data(void *arg, const uint8_t *p, size_t n, uint64_t left, struct err *e)
{
	struct intake *in = arg;
	size_t size = in->fill->a->page_size;
	(void)left;
	if (in->have > 0) {
		size_t take = MIN(n, size - in->have);
		memcpy(in->page + in->have, p, take);
		in->have += take;
		p += take;
		n -= take;
		if (in->have < size)
			return 0;
		in->have = 0;
		if (take_pages(in, in->page, 1, e) < 0)
			return -1;
	}
	if (n >= size && take_pages(in, p, n / size, e) < 0)
		return -1;
	in->have = n % size;
	memcpy(in->page, p + (n - in->have), in->have);
	return 0;
}

int intake_feed(struct intake *in, const uint8_t *p, size_t n, struct err *e)
{
	const struct memory_sink sink = { .record = on_record, .data = on_data, .arg = in };
	return memory_feed(&in->reader, &sink, p, n, e);
}
