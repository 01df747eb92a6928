/* Ownership: cleanup attributes, stealing, checked allocation.
 *
 * `auto_free char *s = NULL;` frees on leaving the scope; `return steal_ptr(&s)` hands over. Allocation failure is an
 * error like any other (struct err), never an abort. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include "base/err.h"

#define auto_cleanup(f) __attribute__((cleanup(f)))

static inline void mem_freep(void *p)
{
	free(*(void **)p);
	*(void **)p = NULL;
}
#define auto_free auto_cleanup(mem_freep)

/* Returns *p and leaves NULL: the caller's scope no longer owns it. */
#define steal_ptr(p)                                                                                                                                 \
	({                                                                                                                                           \
		__typeof__(*(p)) v_ = *(p);                                                                                                          \
		*(p) = NULL;                                                                                                                         \
		v_;                                                                                                                                  \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* Zeroed memory, or NULL with ERR_RESOURCE. Overflow of n * size is checked. */
void *mem_new(size_t n, size_t size, struct err *e);
/* Grows *p (array of `size`-byte items) so that it holds at least `need` items; *cap is in items. Returns 0 or -1. */
int mem_grow(void *p, size_t *cap, size_t need, size_t size, struct err *e);
char *mem_strdup(const char *s, struct err *e);
/* asprintf into an owned string, or NULL with ERR_RESOURCE. */
char *mem_printf(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
