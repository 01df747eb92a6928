/* See memory.h. One table tells of each type which members it has and what follows; everything else in a record must be 0, so that a record has
 * one form. */
#include "proto/memory.h"

#include <endian.h>
#include <string.h>
#include "base/mem.h"

#define PID_LIMIT (1 << 22) /* PID_MAX_LIMIT, include/linux/threads.h */

enum follows { FOLLOWS_NOTHING, FOLLOWS_PAGES, FOLLOWS_REPORT, FOLLOWS_TEXT };

static const struct form {
	bool known, range, whole, number; /* whole: pages may be 0; number: value has a meaning */
	uint16_t flags;
	enum follows follows;
} forms[] = {
	[MEMORY_DATA] = { .known = true, .range = true, .follows = FOLLOWS_PAGES },
	[MEMORY_ZERO] = { .known = true, .range = true },
	[MEMORY_DROP] = { .known = true, .range = true, .whole = true },
	[MEMORY_MARK] = { .known = true, .number = true },
	[MEMORY_END] = { .known = true },
	[MEMORY_ROUND] = { .known = true, .number = true, .flags = MEMORY_FINAL | MEMORY_WITHHOLD },
	[MEMORY_FETCH] = { .known = true, .range = true },
	[MEMORY_REST] = { .known = true },
	[MEMORY_CLOSE] = { .known = true },
	[MEMORY_ROUND_DONE] = { .known = true, .number = true, .follows = FOLLOWS_REPORT },
	[MEMORY_FAILED] = { .known = true, .number = true, .follows = FOLLOWS_TEXT },
};

uint64_t memory_payload(const struct memory_record *r, size_t page_size)
{
	switch (forms[r->type].follows) {
	case FOLLOWS_PAGES:
		return r->pages * page_size;
	case FOLLOWS_REPORT:
		return MEMORY_REPORT_SIZE;
	case FOLLOWS_TEXT:
		return r->value;
	default:
		return 0;
	}
}

static void put64(uint8_t *out, uint64_t v)
{
	v = htole64(v);
	memcpy(out, &v, sizeof(v));
}

static uint64_t get64(const uint8_t *in)
{
	uint64_t v;

	memcpy(&v, in, sizeof(v));
	return le64toh(v);
}

void memory_put(const struct memory_record *r, uint8_t out[MEMORY_RECORD_SIZE])
{
	put64(out, (uint64_t)r->type | (uint64_t)r->flags << 16 | (uint64_t)r->pid << 32);
	put64(out + 8, r->vaddr);
	put64(out + 16, r->pages);
	put64(out + 24, r->value);
}

static bool range_is_right(const struct memory_record *r, const struct form *f, size_t page_size)
{
	if (!f->range)
		return r->pid == 0 && r->vaddr == 0 && r->pages == 0;
	if (r->pid == 0 || r->pid >= PID_LIMIT || r->vaddr % page_size || r->vaddr >= MEMORY_ADDRESS_MAX)
		return false;
	if (r->pages == 0)
		return f->whole && r->vaddr == 0;
	if (f->follows == FOLLOWS_PAGES && r->pages > MEMORY_DATA_PAGES_MAX)
		return false;
	return r->pages <= (MEMORY_ADDRESS_MAX - r->vaddr) / page_size;
}

static bool is_right(const struct memory_record *r, const struct form *f, size_t page_size)
{
	if (r->flags & ~f->flags || (r->flags & MEMORY_WITHHOLD && !(r->flags & MEMORY_FINAL)))
		return false;
	if (!f->number && r->value != 0)
		return false;
	if (f->follows == FOLLOWS_TEXT && r->value > MEMORY_TEXT_MAX)
		return false;
	return range_is_right(r, f, page_size);
}

int memory_get(const uint8_t in[MEMORY_RECORD_SIZE], uint64_t allowed, size_t page_size, struct memory_record *out, struct err *e)
{
	uint64_t head = get64(in);
	unsigned type = head & 0xffff;

	if (type >= ARRAY_LEN(forms) || !forms[type].known || !(allowed & MEMORY_BIT(type)))
		return err_set(e, ERR_PROTOCOL, 0, "memory: a record of type %u", type);
	*out = (struct memory_record){
		.type = type,
		.flags = (uint16_t)(head >> 16),
		.pid = (uint32_t)(head >> 32),
		.vaddr = get64(in + 8),
		.pages = get64(in + 16),
		.value = get64(in + 24),
	};
	if (!is_right(out, &forms[type], page_size))
		return err_set(e, ERR_PROTOCOL, 0, "memory: a wrong record of type %u: flags %u, process %u, %llu pages at 0x%llx, value %llu", type,
			       out->flags, out->pid, (unsigned long long)out->pages, (unsigned long long)out->vaddr, (unsigned long long)out->value);
	return 0;
}

/* All of a report's members are u64, in the order of the struct. */
_Static_assert(sizeof(struct memory_report) == MEMORY_REPORT_SIZE, "a report as bytes is as large as the struct");

void memory_put_report(const struct memory_report *r, uint8_t out[MEMORY_REPORT_SIZE])
{
	uint64_t v[MEMORY_REPORT_SIZE / 8];

	memcpy(v, r, sizeof(v));
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		put64(out + 8 * i, v[i]);
}

void memory_get_report(const uint8_t in[MEMORY_REPORT_SIZE], struct memory_report *out)
{
	uint64_t v[MEMORY_REPORT_SIZE / 8];

	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		v[i] = get64(in + 8 * i);
	memcpy(out, v, sizeof(v));
}

/* Takes what belongs to the record that is being read; returns the bytes taken, or -1. */
static ssize_t feed_record(struct memory_reader *r, const struct memory_sink *s, const uint8_t *p, size_t n, struct err *e)
{
	struct memory_record record;
	size_t take = MIN(n, MEMORY_RECORD_SIZE - r->have);

	memcpy(r->partial + r->have, p, take);
	r->have += take;
	if (r->have < MEMORY_RECORD_SIZE)
		return (ssize_t)take;
	if (memory_get(r->partial, r->allowed, r->page_size, &record, e) < 0)
		return -1;
	r->have = 0;
	r->left = memory_payload(&record, r->page_size);
	return s->record(s->arg, &record, e) < 0 ? -1 : (ssize_t)take;
}

static ssize_t feed_data(struct memory_reader *r, const struct memory_sink *s, const uint8_t *p, size_t n, struct err *e)
{
	size_t take = (size_t)MIN(n, r->left);

	r->left -= take;
	return s->data(s->arg, p, take, r->left, e) < 0 ? -1 : (ssize_t)take;
}

int memory_feed(struct memory_reader *r, const struct memory_sink *s, const uint8_t *p, size_t n, struct err *e)
{
	while (n > 0) {
		ssize_t taken = r->left ? feed_data(r, s, p, n, e) : feed_record(r, s, p, n, e);
		if (taken < 0)
			return -1;
		p += taken;
		n -= (size_t)taken;
	}
	return 0;
}

bool memory_at_boundary(const struct memory_reader *r)
{
	return r->have == 0 && r->left == 0;
}
