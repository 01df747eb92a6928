/* CRIU's list of a process's pages (pagemap-PID.img), of which we want those that its dump left behind. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

/* Calls f for each run of pages that was left behind, in order. 0 or -1 (ERR_NOT_FOUND, ERR_CORRUPT, an error of f). The file comes from another
 * host: runs are checked to be whole pages below MEMORY_ADDRESS_MAX. */
int pagemap_read(int images_dirfd, uint32_t pid, uint64_t page_size, int (*f)(void *arg, uint64_t vaddr, uint64_t pages, struct err *e), void *arg,
		 struct err *e);
/* The same of bytes in memory. `what` names them in errors. */
int pagemap_parse(const uint8_t *p, size_t n, uint64_t page_size, int (*f)(void *arg, uint64_t vaddr, uint64_t pages, struct err *e), void *arg,
		  struct err *e);
