/* CRIU's page-server protocol, as far as a recorder of it needs: a dump asks questions on the same socket, which a snapshot has to answer itself,
 * since the real page server reads the recording only at the restore.
 *
 * The answers (criu/page-xfer.c): to OPEN2 one byte "has a parent: no"; to PARENT an int, no; to CLOSE and FORCE_CLOSE a status, fine. The header has
 * 24 bytes up to CRIU 4.1 and 32 since (nr_pages became 64 bits wide); which one is seen at the first message, whose dst_id is never 0. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define PAGES_HEADER_MAX 32

struct pages {
	int sock; /* borrowed: where the answers go; -1: none are sent (for tests) */
	uint8_t header[PAGES_HEADER_MAX];
	size_t header_len, header_size; /* size 0: not known yet */
	uint64_t data_left;		/* bytes of pages before the next header */
	uint64_t total;			/* pages seen */
	bool closed;
};
/* Looks at the next bytes of the dump's side and answers what they ask. 0 or -1 (ERR_PROTOCOL). */
int pages_feed(struct pages *p, const uint8_t *data, size_t n, struct err *e);
