/* Private memory for the fake core: a process of FAKE_PAGES_N pages, served as the memory socket does (proto/memory.h), and a page store for it.
 *
 * Each round but the first finds `dirty` pages written. The store asks for one page as soon as it may. */
#pragma once
#include <string.h>
#include "proto/memory.h"
#include "tests/unit/fake_core.h"

#define FAKE_VADDR 0x10000

struct fake_server {
	struct fake_host *h;
	int fd;
	bool lacks[FAKE_PAGES_N]; /* the target does */
	bool fresh;
	struct memory_reader in;
	struct memory_record record;
	bool ended;
};

static inline void fake_say(int fd, const struct memory_record *r, const void *data, size_t n)
{
	uint8_t bytes[MEMORY_RECORD_SIZE];
	struct err e = { 0 };
	memory_put(r, bytes);
	if (fd_write_all(fd, bytes, sizeof(bytes), &e) == 0 && n)
		fd_write_all(fd, data, n, &e);
}

static inline void fake_page(struct fake_server *s, size_t i, bool withhold)
{
	struct memory_record r = { .type = withhold ? MEMORY_DROP : MEMORY_DATA, .pid = 1, .vaddr = FAKE_VADDR + i * FAKE_PAGE, .pages = 1 };
	fake_say(s->fd, &r, s->h->memory[i], withhold ? 0 : FAKE_PAGE);
	s->lacks[i] = withhold;
}

/* In one piece with a page that was asked for meanwhile, where the host is such a one. */
static inline void fake_round_done(struct fake_server *s, const struct memory_record *done, const uint8_t report[MEMORY_REPORT_SIZE], bool final)
{
	static const struct memory_record page = { .type = MEMORY_DATA, .pid = 1, .vaddr = FAKE_VADDR, .pages = 1 };
	uint8_t piece[2 * MEMORY_RECORD_SIZE + MEMORY_REPORT_SIZE + FAKE_PAGE];
	size_t n = MEMORY_RECORD_SIZE + MEMORY_REPORT_SIZE;
	struct err e = { 0 };
	memory_put(done, piece);
	memcpy(piece + MEMORY_RECORD_SIZE, report, MEMORY_REPORT_SIZE);
	memory_put(&page, piece + n);
	memcpy(piece + n + MEMORY_RECORD_SIZE, s->h->memory[0], FAKE_PAGE);
	fd_write_all(s->fd, piece, s->h->eager && final ? sizeof(piece) : n, &e);
}

static inline void fake_round(struct fake_server *s, const struct memory_record *r)
{
	struct memory_report report = { .total = FAKE_PAGES_N, .left = s->h->dirty, .rate = s->h->dirty };
	struct memory_record done = { .type = MEMORY_ROUND_DONE, .value = r->value }, mark = { .type = MEMORY_MARK, .value = r->value };
	uint8_t bytes[MEMORY_REPORT_SIZE];
	for (size_t i = 0; i < FAKE_PAGES_N; i++) {
		bool written = !s->fresh && i < s->h->dirty;
		if (written && !(r->flags & MEMORY_FINAL))
			s->h->memory[i][0]++;
		if (written || s->fresh) {
			fake_page(s, i, r->flags & MEMORY_WITHHOLD);
			report.sent++;
		}
	}
	s->fresh = false;
	fake_say(s->fd, &mark, NULL, 0);
	memory_put_report(&report, bytes);
	fake_round_done(s, &done, bytes, r->flags & MEMORY_FINAL);
	s->h->rounds++;
}

static inline int fake_command(void *arg, const struct memory_record *r, struct err *e)
{
	struct fake_server *s = arg;
	(void)e;
	if (r->type == MEMORY_ROUND)
		fake_round(s, r);
	for (size_t i = 0; i < FAKE_PAGES_N; i++)
		if ((r->type == MEMORY_REST && s->lacks[i]) || (r->type == MEMORY_FETCH && r->vaddr == FAKE_VADDR + i * FAKE_PAGE))
			fake_page(s, i, false);
	if (r->type == MEMORY_REST)
		fake_say(s->fd, &(struct memory_record){ .type = MEMORY_END }, NULL, 0);
	s->ended |= r->type == MEMORY_CLOSE;
	return 0;
}

static inline void *fake_serve_memory(void *arg)
{
	struct fake_server *s = arg;
	const struct memory_sink sink = { .record = fake_command, .arg = s };
	struct err e = { 0 };
	uint8_t piece[256];
	for (ssize_t n; !s->ended && (n = read(s->fd, piece, sizeof(piece))) > 0;)
		if (memory_feed(&s->in, &sink, piece, (size_t)n, &e) < 0)
			break;
	close(s->fd);
	free(s);
	return NULL;
}

static inline int fake_store_record(void *arg, const struct memory_record *r, struct err *e)
{
	struct fake_server *s = arg;
	(void)e;
	s->record = *r;
	if (r->type == MEMORY_DROP)
		s->h->has_page[(r->vaddr - FAKE_VADDR) / FAKE_PAGE] = false;
	if (r->type == MEMORY_END)
		s->h->memory_ended = true;
	return 0;
}

static inline int fake_store_data(void *arg, const uint8_t *p, size_t n, uint64_t left, struct err *e)
{
	struct fake_server *s = arg;
	size_t i = (s->record.vaddr - FAKE_VADDR) / FAKE_PAGE;
	(void)e;
	memcpy(s->h->memory[i] + (FAKE_PAGE - left - n), p, n);
	s->h->has_page[i] |= left == 0;
	return 0;
}

static inline void *fake_store(void *arg)
{
	struct fake_server *s = arg;
	const struct memory_sink sink = { .record = fake_store_record, .data = fake_store_data, .arg = s };
	struct err e = { 0 };
	uint8_t piece[5000];
	bool asked = false;
	for (;;) {
		if (!asked && fake_state(s->h) && strcmp(fake_state(s->h), "paused") == 0) {
			for (size_t i = 0; i < (s->h->fetches_all ? FAKE_PAGES_N : 1); i++)
				fake_say(s->fd,
					 &(struct memory_record){ .type = MEMORY_FETCH, .pid = 1, .vaddr = FAKE_VADDR + i * FAKE_PAGE, .pages = 1 },
					 NULL, 0);
			asked = true;
		}
		if (s->h->store_falls && fake_state(s->h) && strcmp(fake_state(s->h), "running") == 0)
			break;
		if (fd_wait(s->fd, POLLIN, 5, &e) == 0)
			continue;
		ssize_t n = read(s->fd, piece, sizeof(piece));
		if (n <= 0 || memory_feed(&s->in, &sink, piece, (size_t)n, &e) < 0)
			break;
	}
	close(s->fd);
	s->h->has_store = false;
	free(s);
	return NULL;
}

/* Starts a server at one end of a socket pair; returns the other. */
static inline int fake_memory_open(struct fake_host *h, bool store)
{
	struct fake_server *s = calloc(1, sizeof(*s));
	struct err e = { 0 };
	pthread_attr_t detached;
	pthread_t thread;
	int sv[2];
	if (!s || fd_socketpair(SOCK_STREAM, sv, &e) < 0)
		abort();
	s->h = h;
	s->fd = sv[1];
	s->fresh = true;
	s->in = (struct memory_reader){ .allowed = store ? MEMORY_OF_STORE : MEMORY_OF_MOVER, .page_size = FAKE_PAGE };
	/* A store takes one socket after the other; the old one was closed, or is about to be. */
	while (store && h->has_store)
		poll(NULL, 0, 1);
	if (store)
		h->has_store = true;
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &detached, store ? fake_store : fake_serve_memory, s))
		abort();
	pthread_attr_destroy(&detached);
	return sv[0];
}
