/* /proc/PID/pagemap's PAGEMAP_SCAN (Linux 6.7): which pages of a process exist, and which were written since they were last looked at. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

/* Pages that follow each other and are alike. */
struct page_region {
	uint64_t start, end, categories;
};
#define PAGE_IS_PFNZERO (1ULL << 5) /* of categories: the kernel's page of zeros */

enum pagemap_look {
	PAGEMAP_WRITTEN,      /* written since the last TAKE, never looked at, or not tracked */
	PAGEMAP_WRITTEN_TAKE, /* the same, and they count as not written from now on; what is not tracked is passed over */
	PAGEMAP_EXISTING,     /* all that are not empty */
};
struct pagemap_scan {
	enum pagemap_look look;
	uint64_t start, end; /* start moves on; == end: done */
	uint64_t pages_max;  /* found by one step; 0: no limit */
};

int pagemap_open(pid_t pid, struct err *e);
/* The next regions, at most max. Returns how many (0 is possible before the end), or -1 (ERR_NOT_FOUND: the process has ended). */
int pagemap_step(int pagemap, struct pagemap_scan *s, struct page_region *regions, size_t max, struct err *e);
/* Whether all mappings from start to end are tracked. */
bool pagemap_is_tracked(int pagemap, uint64_t start, uint64_t end);
