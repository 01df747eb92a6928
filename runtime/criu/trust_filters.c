/* System call filters of the images. See trust.h.
 *
 * Each task of the images has a chain of filters, which may be any. All filters of a chain are asked, and the strictest answer counts (seccomp(2)):
 * so it is enough that config.json's is among them, and whatever else is there only takes more away. A container of this host's making has it as its
 * oldest, byte by byte, and is left alone. One that was made where the profile compiles to other bytes gets it added once: the chain keeps it, so
 * moves to and fro add no more. Threads may be without a chain: theirs is their process's then, by SECCOMP_FILTER_FLAG_TSYNC. */
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include "proto/pb.h"
#include "runtime/criu/images.h"
#include "runtime/criu/trust.h"

#define IMAGE "seccomp.img"
#define PSTREE "pstree.img"

static bool is_ours(const struct trust *t, const Criu__SeccompFilter *f)
{
	const struct buf *own = &t->c->filter.bpf;

	return f->filter.len == own->len && memcmp(f->filter.data, own->data, own->len) == 0;
}

/* Walks a chain to its oldest. 1: ours is in it, 0: it is not, -1: it has no end (CRIU would walk for ever). */
static int walk(const struct trust *t, const Criu__SeccompEntry *s, size_t at, size_t *oldest, struct err *e)
{
	bool has = false;

	for (size_t steps = 0; steps < s->n_seccomp_filters && at < s->n_seccomp_filters; steps++) {
		has |= is_ours(t, s->seccomp_filters[at]);
		*oldest = at;
		if (!s->seccomp_filters[at]->has_prev)
			return has;
		at = s->seccomp_filters[at]->prev;
	}
	return err_set(e, ERR_CORRUPT, 0, IMAGE ": a chain of filters has no end");
}

/* Ours at the end of the list. Its flags are those of the chain, since CRIU gives filters to all threads at once or to none. */
static int add_ours(const struct trust *t, Criu__SeccompEntry *s, size_t oldest, struct err *e)
{
	const struct buf *own = &t->c->filter.bpf;
	Criu__SeccompFilter *f = pb_new(&criu__seccomp_filter__descriptor, e);

	if (!f || pb_push(&s->n_seccomp_filters, &s->seccomp_filters, f, e) < 0)
		return -1;
	if (!(f->filter.data = malloc(own->len)))
		return err_set(e, ERR_RESOURCE, 0, "out of memory");
	memcpy(f->filter.data, own->data, own->len);
	f->filter.len = own->len;
	f->has_flags = true;
	f->flags = s->seccomp_filters[oldest]->flags;
	s->seccomp_filters[oldest]->has_prev = true;
	s->seccomp_filters[oldest]->prev = (uint32_t)s->n_seccomp_filters - 1;
	return 0;
}

struct processes {
	const struct trust *t;
	const Criu__SeccompEntry *filters;
};

/* The chains have ends: walk() has seen them. */
static bool is_for_all_threads(const Criu__SeccompEntry *s, size_t at)
{
	while (at < s->n_seccomp_filters && s->seccomp_filters[at]->flags & SECCOMP_FILTER_FLAG_TSYNC) {
		if (!s->seccomp_filters[at]->has_prev)
			return true;
		at = s->seccomp_filters[at]->prev;
	}
	return false;
}

static const struct trust_task *find_task(const struct trust *t, uint32_t tid)
{
	static const struct trust_task none;

	for (size_t i = 0; i < t->n_tasks; i++)
		if (t->tasks[i].tid == tid)
			return &t->tasks[i];
	return &none;
}

static int refuse_thread(uint32_t tid, struct err *e)
{
	char image[32];

	snprintf(image, sizeof(image), "core-%u.img", tid);
	return trust_refuse(image, "thread_core.seccomp_mode", e, "have a process without a seccomp filter");
}

static int check_process(void *arg, const uint8_t *p, uint32_t n, struct err *e)
{
	const struct processes *all = arg;
	auto_pb(Criu__PstreeEntry) *process = pb_unpack(&criu__pstree_entry__descriptor, p, n, PSTREE, e);

	if (!process)
		return -1;
	const struct trust_task *leader = find_task(all->t, process->pid);
	if (leader->ended)
		return 0;
	if (leader->mode != SECCOMP_MODE_FILTER)
		return refuse_thread(process->pid, e);
	bool shared = is_for_all_threads(all->filters, leader->filter);
	for (size_t i = 0; i < process->n_threads; i++) {
		uint32_t mode = find_task(all->t, process->threads[i])->mode;
		if (mode != SECCOMP_MODE_FILTER && (mode != SECCOMP_MODE_DISABLED || !shared))
			return refuse_thread(process->threads[i], e);
	}
	return 0;
}

int trust_filters(const struct trust *t, struct err *e)
{
	bool changed = false;

	if (!t->c->filter.bpf.len)
		return 0;
	auto_pb(Criu__SeccompEntry) *s = criu_image_read(t->images, IMAGE, &criu__seccomp_entry__descriptor, e);
	if (!s)
		return -1;
	struct processes all = { t, s };
	for (size_t i = 0, n = s->n_seccomp_filters, oldest = 0; i < n; i++) {
		int has = walk(t, s, i, &oldest, e);
		if (has < 0 || (has == 0 && add_ours(t, s, oldest, e) < 0))
			return -1;
		changed |= has == 0;
	}
	if (criu_image_each(t->images, PSTREE, &criu__pstree_entry__descriptor, check_process, &all, e) < 0)
		return -1;
	return changed ? criu_image_write(t->over, IMAGE, &s->base, e) : 0;
}
