/* Records of the memory socket: what a moving container's private memory is made of, and who asks for which part of it.
 *
 * One record is 32 bytes, little-endian: u16 type, u16 flags, u32 pid, u64 vaddr, u64 pages, u64 value; some are followed by bytes. pid is the one in
 * the container's PID namespace, as CRIU names it. A page is what the host's kernel calls one.
 *
 *   source's memory process → mover          DATA ZERO DROP MARK END (all of it for the target's store), ROUND_DONE FAILED (for the mover itself)
 *   mover → source's memory process          ROUND FETCH REST CLOSE
 *   target's store → mover → source          FETCH
 *
 * Order: a later record about a page replaces an earlier one. DATA and ZERO may tell a page again that was told before and has not changed. A page
 * that no record names is unknown, as is one after DROP. pages 0 in a DROP: all of the process (it ended, or became another program).
 *
 * The reader takes any pieces of bytes, holds 32 of them at most, and passes what follows a record on as it comes. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum memory_type {
	MEMORY_DATA = 1,	/* pages × page size bytes follow */
	MEMORY_ZERO = 2,	/* the pages hold zeros */
	MEMORY_DROP = 3,	/* the content is not known any more */
	MEMORY_MARK = 4,	/* value: the round that is complete with this */
	MEMORY_END = 5,		/* every page was sent */
	MEMORY_ROUND = 16,	/* value: its number; MEMORY_FINAL: the container is frozen; MEMORY_WITHHOLD */
	MEMORY_FETCH = 17,	/* these pages are waited for */
	MEMORY_REST = 18,	/* send all that the target lacks, then END */
	MEMORY_CLOSE = 19,	/* undo the tracking and end */
	MEMORY_ROUND_DONE = 32, /* value: the round; MEMORY_REPORT_SIZE bytes follow */
	MEMORY_FAILED = 33,	/* value: length of the text that follows; the sender ends */
};
/* Flags of a ROUND. */
#define MEMORY_FINAL 1	  /* the last: tracking ends with it */
#define MEMORY_WITHHOLD 2 /* with FINAL: send DROP for what has changed, it follows by FETCH and REST */

#define MEMORY_RECORD_SIZE 32
#define MEMORY_REPORT_SIZE 80
#define MEMORY_DATA_PAGES_MAX 256 /* of one DATA record */
#define MEMORY_TEXT_MAX 1024
#define MEMORY_ADDRESS_MAX (1ULL << 57) /* no user memory lies above, on any machine */

struct memory_record {
	enum memory_type type;
	uint16_t flags;
	uint32_t pid;
	uint64_t vaddr, pages, value;
};

/* Types that a reader takes, as bits. */
#define MEMORY_BIT(type) (1ULL << (type))
#define MEMORY_OF_STORE                                                                                                                              \
	(MEMORY_BIT(MEMORY_DATA) | MEMORY_BIT(MEMORY_ZERO) | MEMORY_BIT(MEMORY_DROP) | MEMORY_BIT(MEMORY_MARK) | MEMORY_BIT(MEMORY_END))
#define MEMORY_OF_SOURCE (MEMORY_OF_STORE | MEMORY_BIT(MEMORY_ROUND_DONE) | MEMORY_BIT(MEMORY_FAILED))
#define MEMORY_OF_MOVER (MEMORY_BIT(MEMORY_ROUND) | MEMORY_BIT(MEMORY_FETCH) | MEMORY_BIT(MEMORY_REST) | MEMORY_BIT(MEMORY_CLOSE))
#define MEMORY_OF_TARGET MEMORY_BIT(MEMORY_FETCH)

/* What a round did: follows ROUND_DONE. */
struct memory_report {
	uint64_t sent;	  /* pages of DATA */
	uint64_t zero;	  /* pages of ZERO */
	uint64_t left;	  /* pages that the target lacks as of the end of this round: written since they were read, or held back as hot; after FINAL:
			     withheld */
	uint64_t total;	  /* pages that are tracked and not empty */
	uint64_t written; /* pages found written since the round before */
	uint64_t rate;	  /* pages written a second, of those that are written anew */
	uint64_t processes;  /* tracked */
	uint64_t stopped_us; /* longest standstill of a process for the tracking's sake in this round */
	uint64_t scan_us;    /* spent in looking for what was written */
	uint64_t round_us;   /* from the command to this report */
};

/* Bytes that follow a record. */
uint64_t memory_payload(const struct memory_record *r, size_t page_size);
/* The record as bytes. It must be a right one. */
void memory_put(const struct memory_record *r, uint8_t out[MEMORY_RECORD_SIZE]);
/* The record of these bytes, if it is one of the types in `allowed`, and right. 0 or -1 (ERR_PROTOCOL). */
int memory_get(const uint8_t in[MEMORY_RECORD_SIZE], uint64_t allowed, size_t page_size, struct memory_record *out, struct err *e);
void memory_put_report(const struct memory_report *r, uint8_t out[MEMORY_REPORT_SIZE]);
void memory_get_report(const uint8_t in[MEMORY_REPORT_SIZE], struct memory_report *out);

struct memory_sink {
	/* 0 or -1. What follows a record comes by data(). */
	int (*record)(void *arg, const struct memory_record *r, struct err *e);
	/* Bytes that follow the last record, in order; `left`: still to come after these. May be NULL if no allowed type has any. */
	int (*data)(void *arg, const uint8_t *p, size_t n, uint64_t left, struct err *e);
	void *arg;
};
struct memory_reader {
	uint64_t allowed;
	size_t page_size;
	uint8_t partial[MEMORY_RECORD_SIZE]; /* of a record */
	size_t have;
	uint64_t left; /* of what follows it */
};
/* Feeds bytes. 0 or -1; after -1 the reader is of no more use. */
int memory_feed(struct memory_reader *r, const struct memory_sink *s, const uint8_t *p, size_t n, struct err *e);
/* True between records: the stream may end here. */
bool memory_at_boundary(const struct memory_reader *r);
