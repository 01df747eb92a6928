/* See tracked.h. */
#include "runtime/track/tracked.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/proc.h"
#include "runtime/track/uffd.h"

#define REGIONS 512

/* The innermost of its pids: CRIU's. */
static int inner_pid(pid_t pid, uint32_t *out, struct err *e)
{
	long inside = proc_status_number(pid, "NSpid");
	if (inside <= 0)
		return err_set(e, ERR_NOT_FOUND, 0, "process %d has ended", pid);
	*out = (uint32_t)inside;
	return 0;
}

struct tracked *tracked_new(pid_t pid, bool track, struct err *e)
{
	struct tracked *s = mem_new(1, sizeof(*s), e);
	if (!s)
		return NULL;
	s->pid = pid;
	s->uffd = -1;
	s->pagemap = pagemap_open(pid, e);
	if (s->pagemap >= 0 && inner_pid(pid, &s->inner, e) == 0 && (!track || (s->uffd = uffd_of_process(pid, &s->stopped_us, e)) >= 0))
		return s;
	tracked_free(s);
	return NULL;
}

void tracked_let_go(struct tracked *s)
{
	fd_closep(&s->uffd);
	pageset_free(&s->lacks);
	pageset_free(&s->recent);
	pageset_free(&s->hot);
}

void tracked_free(struct tracked *s)
{
	if (!s)
		return;
	tracked_let_go(s);
	fd_closep(&s->pagemap);
	maps_free(&s->maps);
	free(s);
}

int tracked_refresh(struct tracked *s, int (*gone)(void *arg, uint64_t start, uint64_t end, struct err *e), void *arg, struct err *e)
{
	struct maps now = { 0 };
	int rc = maps_read(s->pid, &now, e);
	if (rc == 0)
		rc = maps_gone(&s->maps, &now, gone, arg, e);
	for (size_t i = 0; rc == 0 && s->uffd >= 0 && i < now.n; i++) {
		struct err why = { 0 };
		rc = uffd_register(s->uffd, s->pagemap, now.v[i].start, now.v[i].end, &why) < 0 ? -1 : 0;
		/* It went away between two looks, or has a userfaultfd of its program's: what is there at the freeze is taken then. */
		if (rc < 0 && why.code == ERR_UNSUPPORTED) {
			now.v[i].untracked = true;
			rc = 0;
		} else if (rc < 0 && e) {
			*e = why;
		}
	}
	maps_free(&s->maps);
	s->maps = now;
	return rc;
}

int tracked_look(struct tracked *s, enum pagemap_look look, int (*found)(void *arg, uint64_t start, uint64_t end, struct err *e), void *arg,
		 struct err *e)
{
	struct page_region regions[REGIONS];
	for (size_t i = 0; i < s->maps.n; i++) {
		const struct mapping *m = &s->maps.v[i];
		struct pagemap_scan scan = { .look = m->untracked ? PAGEMAP_EXISTING : look, .start = m->start, .end = m->end };
		if (m->untracked && look == PAGEMAP_WRITTEN_TAKE)
			continue;
		while (scan.start < scan.end) {
			int64_t begin = clock_now_ns(CLOCK_MONOTONIC);
			int n = pagemap_step(s->pagemap, &scan, regions, REGIONS, e);
			s->scan_ns += (uint64_t)(clock_now_ns(CLOCK_MONOTONIC) - begin);
			if (n < 0)
				return -1;
			for (int k = 0; k < n; k++)
				if (found(arg, regions[k].start, regions[k].end, e) < 0)
					return -1;
		}
	}
	return 0;
}
