/* The guard of a page store, in a process of its own that does not come back from this. */
#pragma once
#include <stdint.h>

#define PAGESTORE_SOCKET "memory.sock"
#define PAGESTORE_LOST "memory.lost" /* it fell with pages that nobody else has */
#define PAGESTORE_DONE "memory.done" /* the container has all of its memory */

struct guard {
	int folder, control, lazy, memory, images_dirfd;
	uint64_t limit; /* pages */
};
void guard_run(const struct guard *g) __attribute__((noreturn));
