/* What arrives on the memory socket. */
#pragma once
#include "proto/memory.h"
#include "runtime/pagestore/fill.h"

struct intake {
	struct fill *fill;
	struct memory_reader reader;
	struct arena_process *process; /* of the record whose bytes come */
	uint64_t vaddr;		       /* of the next of its pages */
	uint8_t *page;		       /* a page of which only `have` bytes came yet */
	size_t have;
};
int intake_init(struct intake *in, struct fill *f, struct err *e);
void intake_end(struct intake *in);
/* A new connection begins. */
void intake_reset(struct intake *in);
/* Takes bytes of the stream. -1: the peer breaks the protocol, or sends more than the container may have. */
int intake_feed(struct intake *in, const uint8_t *p, size_t n, struct err *e);
