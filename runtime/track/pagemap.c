/* See pagemap.h. A page "is written" when it lacks the mark that userfaultfd's write-protection put on it; one that was never there has no mark
 * either, so pages are only asked for if they are present or swapped out. Otherwise the kernel would put marks into all that is empty as well, and
 * page tables for it: gigabytes for a program that reserves terabytes. */
#include "runtime/track/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include "base/fd.h"

/* Newer than the headers of Debian 12: include/uapi/linux/fs.h. */
struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages, category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN_CALL _IOWR('f', 16, struct scan_arg)
#define WP_MATCHING (1 << 0)
#define CHECK_WPASYNC (1 << 1)
#define IS_WPALLOWED (1 << 0)
#define IS_WRITTEN (1 << 1)
#define IS_PRESENT (1 << 3)
#define IS_SWAPPED (1 << 4)

int pagemap_open(pid_t pid, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, errno, "%s", path) : fd;
}

int pagemap_step(int pagemap, struct pagemap_scan *s, struct page_region *regions, size_t max, struct err *e)
{
	struct scan_arg a = {
		.size = sizeof(a),
		.start = s->start,
		.end = s->end,
		.vec = (uint64_t)(uintptr_t)regions,
		.vec_len = max,
		.max_pages = s->pages_max,
		.category_anyof_mask = IS_PRESENT | IS_SWAPPED,
		.return_mask = PAGE_IS_PFNZERO,
	};

	/* Not CHECK_WPASYNC: at a mapping that came meanwhile the call would fail, and what it has taken before that would be lost. */
	if (s->look != PAGEMAP_EXISTING) {
		a.flags = s->look == PAGEMAP_WRITTEN_TAKE ? WP_MATCHING : 0;
		a.category_mask = IS_WRITTEN;
	}
	int n;
	do
		n = ioctl(pagemap, SCAN_CALL, &a);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(e, errno == ESRCH ? ERR_NOT_FOUND : ERR_IO, errno, "PAGEMAP_SCAN");
	s->start = a.walk_end;
	return n;
}

/* What is tracked is made uninteresting, so that the kernel passes over it; at what is not it stops with EPERM. */
bool pagemap_is_tracked(int pagemap, uint64_t start, uint64_t end)
{
	struct page_region region;
	struct scan_arg a = {
		.size = sizeof(a),
		.flags = CHECK_WPASYNC,
		.start = start,
		.end = end,
		.vec = (uint64_t)(uintptr_t)&region,
		.vec_len = 1,
		.category_inverted = IS_WPALLOWED,
		.category_mask = IS_WPALLOWED,
		.return_mask = IS_WRITTEN,
	};

	return ioctl(pagemap, SCAN_CALL, &a) == 0;
}
