/* The mappings of a process whose pages a lazy dump leaves behind.
 *
 * CRIU's rule is vma_entry_can_be_lazy (criu/include/vma.h): private and anonymous, neither locked nor of huge pages, none of the kernel's own. What
 * is here but not left behind by CRIU travels twice and does no harm; the other way round pages would be missing, so in doubt a mapping is here. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

struct mapping {
	uint64_t start, end;
	bool untracked; /* its writes cannot be noticed: for its user */
};
struct maps {
	struct mapping *v; /* by address */
	size_t n, cap;
};
void maps_free(struct maps *m);
/* Reads them anew. 0 or -1 (ERR_NOT_FOUND: the process has ended). */
int maps_read(pid_t pid, struct maps *m, struct err *e);
/* Calls gone() for each range that is in `old` and not in `now`. */
int maps_gone(const struct maps *old, const struct maps *now, int (*gone)(void *arg, uint64_t start, uint64_t end, struct err *e), void *arg,
	      struct err *e);
/* One line of /proc/PID/maps: true if the mapping is such a one. */
bool maps_take_line(const char *line, struct mapping *out);
