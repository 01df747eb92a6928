/* Serving the memory socket. See tracker.h. Sources: process_vm_readv(2), proto/memory.h. */
#include "runtime/track/tracker.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "proto/memory.h"
#include "runtime/track/direct.h"
#include "runtime/track/tracked.h"

#define REST_PAGES 64 /* of a piece of the rest: so much may lie before a page that is waited for */

struct tracker {
	int sock;
	tracker_pids *pids;
	void *arg;
	size_t page;
	struct tracked **spaces;
	size_t n, cap;
	uint8_t *buffer; /* MEMORY_DATA_PAGES_MAX pages */
	struct memory_report report;
	bool final, rest, over;
	int64_t round_began, round_before;
};

/* A space and what is done with it now. */
struct task {
	struct tracker *t;
	struct tracked *s;
	struct pageset written; /* in this round */
};

static int say(struct tracker *t, const struct memory_record *r, const void *data, size_t n, struct err *e)
{
	uint8_t head[MEMORY_RECORD_SIZE];
	struct iovec v[2] = { { head, sizeof(head) }, { (void *)data, n } };
	memory_put(r, head);
	ssize_t done = writev(t->sock, v, n ? 2 : 1);
	if (done < 0 && errno != EINTR && errno != EAGAIN)
		return err_sys(e, errno, "the memory socket");
	size_t at = done > 0 ? (size_t)done : 0;
	if (at < sizeof(head) && fd_write_all(t->sock, head + at, sizeof(head) - at, e) < 0)
		return -1;
	at = at > sizeof(head) ? at - sizeof(head) : 0;
	return at < n ? fd_write_all(t->sock, (const uint8_t *)data + at, n - at, e) : 0;
}

static int say_range(struct task *k, enum memory_type type, uint64_t start, uint64_t pages, const void *data, struct err *e)
{
	const struct memory_record r = { .type = type, .pid = k->s->inner, .vaddr = start, .pages = pages };
	return say(k->t, &r, data, data ? pages * k->t->page : 0, e);
}

static bool is_zero(const uint8_t *p, size_t n)
{
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/* Sends pages that are in the buffer: zeros by name. */
static int send_read(struct task *k, uint64_t start, size_t pages, struct err *e)
{
	struct tracker *t = k->t;
	for (size_t i = 0; i < pages;) {
		bool zero = is_zero(t->buffer + i * t->page, t->page);
		size_t n = 1;
		while (i + n < pages && is_zero(t->buffer + (i + n) * t->page, t->page) == zero)
			n++;
		if (say_range(k, zero ? MEMORY_ZERO : MEMORY_DATA, start + i * t->page, n, zero ? NULL : t->buffer + i * t->page, e) < 0)
			return -1;
		*(zero ? &t->report.zero : &t->report.sent) += n;
		i += n;
	}
	return 0;
}

/* Reads from the start of a range into the buffer; returns the pages that were read. What the process itself may not read is read as a debugger
 * does. 0: there is nothing. */
static size_t read_pages(struct task *k, uint64_t start, size_t want)
{
	struct iovec to = { k->t->buffer, want }, from = { (void *)(uintptr_t)start, want };
	char path[32];
	ssize_t got = process_vm_readv(k->s->pid, &to, 1, &from, 1, 0);
	if (got >= (ssize_t)k->t->page)
		return (size_t)got / k->t->page;
	snprintf(path, sizeof(path), "/proc/%d/mem", k->s->pid);
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && pread(fd, k->t->buffer, k->t->page, (off_t)start) == (ssize_t)k->t->page ? 1 : 0;
}

/* Reads and sends a range. What cannot be read went away meanwhile: it is told as unknown, the next round knows. */
static int send_range(void *arg, uint64_t start, uint64_t end, struct err *e)
{
	struct task *k = arg;
	struct tracker *t = k->t;
	while (start < end) {
		size_t want = MIN(end - start, MEMORY_DATA_PAGES_MAX * t->page);
		size_t pages = read_pages(k, start, want);
		if (pages == 0) {
			if (say_range(k, MEMORY_DROP, start, 1, NULL, e) < 0)
				return -1;
			start += t->page;
			continue;
		}
		pageset_remove(&k->s->lacks, start / t->page, pages);
		if (send_read(k, start, pages, e) < 0)
			return -1;
		start += pages * t->page;
	}
	return 0;
}

static int drop_range(void *arg, uint64_t start, uint64_t end, struct err *e)
{
	struct task *k = arg;
	pageset_remove(&k->s->lacks, start / k->t->page, (end - start) / k->t->page);
	pageset_remove(&k->s->hot, start / k->t->page, (end - start) / k->t->page);
	return say_range(k, MEMORY_DROP, start, (end - start) / k->t->page, NULL, e);
}

/* Notes what the target lacks. */
static int note_range(void *arg, uint64_t start, uint64_t end, struct err *e)
{
	struct task *k = arg;
	return pageset_add(&k->s->lacks, start / k->t->page, (end - start) / k->t->page, e);
}

static int withhold_range(void *arg, uint64_t start, uint64_t end, struct err *e)
{
	return drop_range(arg, start, end, e) < 0 ? -1 : note_range(arg, start, end, e);
}

static int count_range(void *arg, uint64_t start, uint64_t end, struct err *e)
{
	struct task *k = arg;
	(void)e;
	k->t->report.total += (end - start) / k->t->page;
	return 0;
}

static void remove_space(struct tracker *t, size_t i)
{
	tracked_free(t->spaces[i]);
	t->spaces[i] = t->spaces[--t->n];
}

static int forget(struct tracker *t, size_t i, struct err *e)
{
	const struct memory_record r = { .type = MEMORY_DROP, .pid = t->spaces[i]->inner };
	int rc = say(t, &r, NULL, 0, e);
	remove_space(t, i);
	return rc;
}

static struct tracked *find(struct tracker *t, pid_t pid)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->spaces[i]->pid == pid)
			return t->spaces[i];
	return NULL;
}

/* Knows the processes that there are now, and forgets those that are not. One that cannot be tracked is no reason to fail: all of it is left for the
 * freeze. */
static int take_stock(struct tracker *t, struct err *e)
{
	auto_free pid_t *pids = NULL;
	size_t n = 0;
	if (t->pids(t->arg, &pids, &n, e) < 0)
		return -1;
	/* One that was not tracked may run another program by now: it is begun anew. */
	for (size_t i = 0; t->final && i < t->n;)
		if (t->spaces[i]->uffd < 0)
			remove_space(t, i);
		else
			i++;
	for (size_t i = 0; i < t->n; i++)
		t->spaces[i]->seen = false;
	for (size_t i = 0; i < n; i++) {
		struct err why = { 0 };
		struct tracked *s = find(t, pids[i]);
		if (!s && (s = tracked_new(pids[i], !t->final, &why))) {
			if (mem_grow(&t->spaces, &t->cap, t->n + 1, sizeof(*t->spaces), e) < 0) {
				tracked_free(s);
				return -1;
			}
			t->spaces[t->n++] = s;
			t->report.stopped_us = MAX(t->report.stopped_us, s->stopped_us);
			/* What an earlier socket told of it does not hold. */
			const struct memory_record r = { .type = MEMORY_DROP, .pid = s->inner };
			if (say(t, &r, NULL, 0, e) < 0)
				return -1;
		} else if (!s && t->final) {
			*e = why;
			return -1;
		}
		if (s)
			s->seen = true;
	}
	for (size_t i = 0; i < t->n;)
		if (t->spaces[i]->seen)
			i++;
		else if (forget(t, i, e) < 0)
			return -1;
	return 0;
}

/* Pages written in this round: those that were written in the round before as well are hot, and held back. */
static int take_written(void *arg, uint64_t start, uint64_t end, struct err *e)
{
	struct task *k = arg;
	uint64_t page = start / k->t->page, until = end / k->t->page;
	k->t->report.written += until - page;
	if (k->s->rounds > 0 && pageset_add(&k->written, page, until - page, e) < 0)
		return -1;
	while (page < until) {
		bool again;
		uint64_t n = pageset_run(&k->s->recent, page, until - page, &again);
		if (again ? pageset_add(&k->s->hot, page, n, e) < 0 : send_range(k, page * k->t->page, (page + n) * k->t->page, e) < 0)
			return -1;
		page += n;
	}
	return 0;
}

/* Runs of a set, taken out of it: all, or only those pages that are not in `except`. */
static int each_run(struct task *k, struct pageset *set, const struct pageset *except,
		    int (*f)(void *arg, uint64_t start, uint64_t end, struct err *e), struct err *e)
{
	uint64_t page = 0, n;
	while ((n = pageset_next(set, page, MEMORY_ADDRESS_MAX / k->t->page, &page)) > 0) {
		bool in = false;
		n = except ? pageset_run(except, page, n, &in) : n;
		if (!in) {
			pageset_remove(set, page, n);
			if (f(k, page * k->t->page, (page + n) * k->t->page, e) < 0)
				return -1;
		}
		page += n;
	}
	return 0;
}

static int note_hot(void *arg, uint64_t start, uint64_t end, struct err *e)
{
	struct task *k = arg;
	return pageset_add(&k->s->hot, start / k->t->page, (end - start) / k->t->page, e);
}

static int last_round_of(struct task *k, bool withhold, struct err *e)
{
	int (*f)(void *, uint64_t, uint64_t, struct err *) = withhold ? withhold_range : send_range;
	if (k->s->uffd < 0)
		return tracked_look(k->s, PAGEMAP_EXISTING, f, k, e);
	pageset_free(&k->s->lacks); /* as it was counted while it ran */
	return tracked_look(k->s, PAGEMAP_WRITTEN, note_hot, k, e) < 0 ? -1 : each_run(k, &k->s->hot, NULL, f, e);
}

/* A process whose pages devices write to is tracked no more: nothing of it is known, and the last round takes all. */
static int let_go(struct task *k, struct err *e)
{
	const struct memory_record r = { .type = MEMORY_DROP, .pid = k->s->inner };
	tracked_let_go(k->s);
	pageset_free(&k->written);
	return say(k->t, &r, NULL, 0, e);
}

static int round_of(struct task *k, bool withhold, struct err *e)
{
	if (tracked_refresh(k->s, drop_range, k, e) < 0)
		return -1;
	if (k->t->final)
		return last_round_of(k, withhold, e);
	int rc = tracked_look(k->s, PAGEMAP_WRITTEN_TAKE, take_written, k, e);
	/* After the look: what was being read while it was taken is open now. */
	if (rc == 0 && k->s->uffd >= 0 && direct_has_file(k->s->pid))
		return let_go(k, e);
	/* What was hot and has cooled down. */
	if (rc == 0)
		rc = each_run(k, &k->s->hot, &k->written, send_range, e);
	pageset_free(&k->s->recent);
	k->s->recent = k->written;
	k->written = (struct pageset){ 0 };
	k->s->rounds++;
	return rc;
}

/* What was known of a process does not hold: all of it is unknown to the target. */
static int renew(struct tracker *t, size_t i, struct err *e)
{
	const struct memory_record r = { .type = MEMORY_DROP, .pid = t->spaces[i]->inner };
	struct tracked *s = tracked_new(t->spaces[i]->pid, false, e);
	if (!s)
		return -1;
	tracked_free(t->spaces[i]);
	t->spaces[i] = s;
	return say(t, &r, NULL, 0, e);
}

static int each_space(struct tracker *t, int (*f)(struct task *k, bool flag, struct err *e), bool flag, struct err *e)
{
	for (size_t i = 0; i < t->n;) {
		struct task k = { .t = t, .s = t->spaces[i] };
		struct err why = { 0 };
		if (f(&k, flag, &why) == 0) {
			i++;
			continue;
		}
		if (why.code != ERR_NOT_FOUND || (t->final && k.s->uffd < 0)) {
			*e = why;
			return -1;
		}
		/* It ended, or runs another program: it is new in the next round, or now if there is none. */
		if (t->final ? renew(t, i, e) < 0 : forget(t, i, e) < 0)
			return -1;
	}
	return 0;
}

/* What was written since: for the report alone. */
static int count_left(struct task *k, bool flag, struct err *e)
{
	(void)flag;
	if (tracked_look(k->s, PAGEMAP_EXISTING, count_range, k, e) < 0)
		return -1;
	pageset_free(&k->s->lacks);
	if (tracked_look(k->s, PAGEMAP_WRITTEN, note_range, k, e) < 0)
		return -1;
	k->t->report.rate += k->s->lacks.pages;
	for (uint64_t page = 0, n; (n = pageset_next(&k->s->hot, page, MEMORY_ADDRESS_MAX / k->t->page, &page)) > 0; page += n)
		if (pageset_add(&k->s->lacks, page, n, e) < 0)
			return -1;
	k->t->report.left += k->s->lacks.pages;
	return 0;
}

static int end_round(struct tracker *t, uint64_t number, struct err *e)
{
	uint8_t bytes[MEMORY_REPORT_SIZE];
	int64_t now = clock_now_ns(CLOCK_MONOTONIC);
	t->report.processes = t->n;
	for (size_t i = 0; i < t->n; i++) {
		t->report.scan_us += t->spaces[i]->scan_ns / NSEC_PER_USEC;
		t->spaces[i]->scan_ns = 0;
	}
	t->report.round_us = (uint64_t)(now - t->round_began) / NSEC_PER_USEC;
	t->report.rate = t->final ? 0 : t->report.rate * NSEC_PER_SEC / (uint64_t)MAX(now - t->round_began, 1);
	memory_put_report(&t->report, bytes);
	const struct memory_record mark = { .type = MEMORY_MARK, .value = number }, done = { .type = MEMORY_ROUND_DONE, .value = number };
	return say(t, &mark, NULL, 0, e) < 0 ? -1 : say(t, &done, bytes, sizeof(bytes), e);
}

static int on_round(struct tracker *t, const struct memory_record *r, struct err *e)
{
	bool withhold = r->flags & MEMORY_WITHHOLD;
	memset(&t->report, 0, sizeof(t->report));
	t->round_began = clock_now_ns(CLOCK_MONOTONIC);
	t->final |= (r->flags & MEMORY_FINAL) != 0;
	if (take_stock(t, e) < 0 || each_space(t, round_of, withhold, e) < 0)
		return -1;
	if (!t->final && each_space(t, count_left, false, e) < 0)
		return -1;
	for (size_t i = 0; t->final && i < t->n; i++)
		t->report.left += t->spaces[i]->lacks.pages;
	return end_round(t, r->value, e);
}

static int on_fetch(struct tracker *t, const struct memory_record *r, struct err *e)
{
	for (size_t i = 0; i < t->n; i++) {
		struct task k = { .t = t, .s = t->spaces[i] };
		if (t->spaces[i]->inner == r->pid)
			return send_range(&k, r->vaddr, r->vaddr + r->pages * t->page, e);
	}
	return 0;
}

static int on_command(void *arg, const struct memory_record *r, struct err *e)
{
	struct tracker *t = arg;
	if (r->type == MEMORY_ROUND)
		return t->final ? err_set(e, ERR_PROTOCOL, 0, "a round after the last") : on_round(t, r, e);
	if (!t->final && r->type != MEMORY_CLOSE)
		return err_set(e, ERR_PROTOCOL, 0, "pages are wanted while the container runs");
	if (r->type == MEMORY_FETCH)
		return on_fetch(t, r, e);
	t->rest |= r->type == MEMORY_REST;
	t->over |= r->type == MEMORY_CLOSE;
	return 0;
}

/* A piece of the rest; when there is none any more, its end. */
static int send_rest(struct tracker *t, struct err *e)
{
	for (size_t i = 0; i < t->n; i++) {
		struct task k = { .t = t, .s = t->spaces[i] };
		uint64_t page = 0, n = pageset_next(&k.s->lacks, 0, UINT64_MAX / t->page, &page);
		if (n == 0)
			continue;
		n = MIN(n, (uint64_t)REST_PAGES);
		pageset_remove(&k.s->lacks, page, n);
		return send_range(&k, page * t->page, (page + n) * t->page, e);
	}
	t->rest = false;
	const struct memory_record end = { .type = MEMORY_END };
	return say(t, &end, NULL, 0, e);
}

static int serve(struct tracker *t, struct err *e)
{
	struct memory_reader in = { .allowed = MEMORY_OF_MOVER, .page_size = t->page };
	const struct memory_sink sink = { .record = on_command, .arg = t };
	uint8_t piece[64 * MEMORY_RECORD_SIZE];
	while (!t->over) {
		/* No limit: who asks decides when. */
		int ready = fd_wait(t->sock, POLLIN, t->rest ? 0 : -1, e);
		if (ready < 0)
			return -1;
		if (ready > 0) {
			ssize_t n = read(t->sock, piece, sizeof(piece));
			if (n < 0 && (errno == EINTR || errno == EAGAIN))
				continue;
			if (n <= 0)
				return 0;
			if (memory_feed(&in, &sink, piece, (size_t)n, e) < 0)
				return -1;
		} else if (send_rest(t, e) < 0) {
			return -1;
		}
	}
	return 0;
}

int tracker_serve(int sock, tracker_pids *pids, void *arg, struct err *e)
{
	struct tracker t = { .sock = sock, .pids = pids, .arg = arg, .page = (size_t)sysconf(_SC_PAGESIZE) };
	t.buffer = mem_new(MEMORY_DATA_PAGES_MAX, t.page, e);
	int rc = t.buffer ? serve(&t, e) : -1;
	if (rc < 0) {
		struct memory_record failed = { .type = MEMORY_FAILED, .value = MIN(strlen(e->msg), (size_t)MEMORY_TEXT_MAX) };
		(void)say(&t, &failed, e->msg, failed.value, NULL);
	}
	while (t.n > 0)
		remove_space(&t, t.n - 1);
	free(t.spaces);
	free(t.buffer);
	return rc;
}
