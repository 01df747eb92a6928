/* The address space of one tracked process. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "runtime/track/maps.h"
#include "runtime/track/pagemap.h"
#include "runtime/track/pageset.h"

struct tracked {
	pid_t pid;	       /* of the host */
	uint32_t inner;	       /* in the container's PID namespace */
	int uffd, pagemap;     /* owned; uffd -1: not tracked */
	struct maps maps;      /* as of the last round */
	struct pageset lacks;  /* after the last round: what the target has not */
	struct pageset recent; /* written in the round before, the first excepted: what is written again is hot */
	struct pageset hot;    /* held back: the target has not the last of it */
	unsigned rounds;
	uint64_t scan_ns; /* spent in looks, for who asks */
	bool seen;	  /* in this round */
	uint64_t stopped_us;
};

/* Begins to know a process; `track`: its writes as well. Owned, or NULL (ERR_NOT_FOUND: it has ended). */
struct tracked *tracked_new(pid_t pid, bool track, struct err *e);
void tracked_free(struct tracked *s);
/* Tracks it no more, and forgets what was known of its pages. */
void tracked_let_go(struct tracked *s);
/* Reads its mappings anew and tracks new ones; gone(): ranges that are no longer mapped. ERR_NOT_FOUND: it has ended, or runs another program. */
int tracked_refresh(struct tracked *s, int (*gone)(void *arg, uint64_t start, uint64_t end, struct err *e), void *arg, struct err *e);
/* Calls found() for the pages that a look finds. */
int tracked_look(struct tracked *s, enum pagemap_look look, int (*found)(void *arg, uint64_t start, uint64_t end, struct err *e), void *arg,
		 struct err *e);
