/* See pageset.h. Pieces are kept in order of their addresses; one that becomes empty is freed. */
#include "runtime/track/pageset.h"

#include <string.h>
#include "base/mem.h"

#define PIECE_PAGES 32768
#define WORD_PAGES 64

struct pageset_piece {
	uint64_t number; /* its first page / PIECE_PAGES */
	uint32_t pages;
	uint64_t words[PIECE_PAGES / WORD_PAGES];
};

void pageset_free(struct pageset *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->pieces[i]);
	free(s->pieces);
	*s = (struct pageset){ 0 };
}

/* Index of the first piece with this number or a greater one. */
static size_t find(const struct pageset *s, uint64_t number)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (s->pieces[middle]->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct pageset_piece *get(const struct pageset *s, uint64_t number)
{
	size_t i = find(s, number);

	return i < s->n && s->pieces[i]->number == number ? s->pieces[i] : NULL;
}

static struct pageset_piece *make(struct pageset *s, uint64_t number, struct err *e)
{
	size_t i = find(s, number);

	if (i < s->n && s->pieces[i]->number == number)
		return s->pieces[i];
	struct pageset_piece *p = mem_new(1, sizeof(*p), e);
	if (!p || mem_grow(&s->pieces, &s->cap, s->n + 1, sizeof(*s->pieces), e) < 0) {
		free(p);
		return NULL;
	}
	p->number = number;
	memmove(s->pieces + i + 1, s->pieces + i, (s->n - i) * sizeof(*s->pieces));
	s->pieces[i] = p;
	s->n++;
	return p;
}

static void drop_if_empty(struct pageset *s, const struct pageset_piece *p)
{
	size_t i = find(s, p->number);

	if (p->pages)
		return;
	free(s->pieces[i]);
	memmove(s->pieces + i, s->pieces + i + 1, (s->n - i - 1) * sizeof(*s->pieces));
	s->n--;
}

/* The bits of one word that stand for n pages from `at` on, as far as they lie in it; *taken: how many. */
static uint64_t mask_of(uint32_t at, uint64_t n, uint64_t *taken)
{
	uint32_t first = at % WORD_PAGES;

	*taken = MIN(n, (uint64_t)(WORD_PAGES - first));
	return (*taken == WORD_PAGES ? ~0ULL : (1ULL << *taken) - 1) << first;
}

static void change(struct pageset *s, struct pageset_piece *p, uint32_t at, uint64_t n, bool in)
{
	uint32_t before = p->pages;

	for (uint64_t taken; n > 0; at += (uint32_t)taken, n -= taken) {
		uint64_t mask = mask_of(at, n, &taken), *word = &p->words[at / WORD_PAGES], old = *word;
		*word = in ? old | mask : old & ~mask;
		p->pages += (uint32_t)__builtin_popcountll(*word) - (uint32_t)__builtin_popcountll(old);
	}
	s->pages += (uint64_t)p->pages - before;
}

int pageset_add(struct pageset *s, uint64_t page, uint64_t n, struct err *e)
{
	for (uint64_t take; n > 0; page += take, n -= take) {
		uint32_t at = (uint32_t)(page % PIECE_PAGES);
		struct pageset_piece *p = make(s, page / PIECE_PAGES, e);
		if (!p)
			return -1;
		take = MIN(n, (uint64_t)(PIECE_PAGES - at));
		change(s, p, at, take, true);
	}
	return 0;
}

void pageset_remove(struct pageset *s, uint64_t page, uint64_t n)
{
	uint64_t until = page + n;

	for (size_t i = find(s, page / PIECE_PAGES); i < s->n;) {
		struct pageset_piece *p = s->pieces[i];
		uint64_t first = p->number * PIECE_PAGES, from = MAX(page, first), to = MIN(until, first + PIECE_PAGES);
		if (from >= until)
			break;
		change(s, p, (uint32_t)(from - first), to - from, false);
		i += p->pages ? 1 : 0;
		drop_if_empty(s, p);
	}
}

/* Pages from `at` on in this piece that are (in) or are not in the set. */
static uint32_t alike(const struct pageset_piece *p, uint32_t at, bool in)
{
	uint32_t n = 0;

	while (at + n < PIECE_PAGES) {
		uint32_t bit = (at + n) % WORD_PAGES;
		uint64_t word = p->words[(at + n) / WORD_PAGES];
		uint64_t other = (in ? ~word : word) >> bit;
		if (other)
			return MIN(n + (uint32_t)__builtin_ctzll(other), PIECE_PAGES - at);
		n += WORD_PAGES - bit;
	}
	return PIECE_PAGES - at;
}

static bool has(const struct pageset_piece *p, uint32_t at)
{
	return p->words[at / WORD_PAGES] >> (at % WORD_PAGES) & 1;
}

uint64_t pageset_run(const struct pageset *s, uint64_t page, uint64_t n, bool *in)
{
	uint64_t done = 0;
	const struct pageset_piece *p = get(s, page / PIECE_PAGES);

	*in = p && has(p, (uint32_t)(page % PIECE_PAGES));
	while (done < n) {
		uint32_t at = (uint32_t)((page + done) % PIECE_PAGES), left = PIECE_PAGES - at;
		p = get(s, (page + done) / PIECE_PAGES);
		uint32_t run = p ? alike(p, at, *in) : *in ? 0 : left;
		done += run;
		if (run < left)
			break;
	}
	return MIN(done, n);
}

uint64_t pageset_next(const struct pageset *s, uint64_t from, uint64_t until, uint64_t *page)
{
	for (size_t i = find(s, from / PIECE_PAGES); i < s->n; i++) {
		const struct pageset_piece *p = s->pieces[i];
		uint64_t first = p->number * PIECE_PAGES;
		uint32_t at = from > first ? (uint32_t)(from - first) : 0;
		at += has(p, at) ? 0 : alike(p, at, false);
		if (first + at >= until)
			return 0;
		if (at == PIECE_PAGES)
			continue;
		bool in;
		*page = first + at;
		return pageset_run(s, *page, until - *page, &in);
	}
	return 0;
}
