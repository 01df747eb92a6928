/* CRIU's restore hands over the descriptors of its tasks, as to its own lazy-pages daemon (CRIU's uffd.c): it connects to lazy-pages.socket in its
 * work folder, and sends for each process its pid as int and then, with one byte, the userfaultfd; minus the pid for a zombie, which has no memory;
 * and at last the word that the restore is finished. A connection that ends before that is a restore that failed: the next one begins anew. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "base/fd.h"
#include "base/log.h"
#include "runtime/pagestore/pagemap.h"
#include "runtime/pagestore/worker.h"

#define RESTORE_FINISHED 0x52535446

static void give_up(struct worker *w, const struct err *e)
{
	if (e)
		log_err(LOG_LEVEL_ERROR, "page store", e);
	watch_close(w, &w->tasks);
	worker_forget_tasks(w);
}

struct wanting {
	struct arena *a;
	uint32_t owner;
};

static int want(void *arg, uint64_t vaddr, uint64_t pages, struct err *e)
{
	const struct wanting *x = arg;
	return pages_want(x->a, x->owner, vaddr, pages, e);
}

static int add_task(struct worker *w, uint32_t pid, int uffd, struct err *e)
{
	struct arena_process *p = arena_process(w->a, pid, true);
	if (!p) {
		close(uffd);
		return err_set(e, ERR_LIMIT, 0, "more than %d processes", ARENA_PROCESSES_MAX);
	}
	struct arena_space *s = space_new(w->a, p, uffd, e);
	if (!s)
		return -1;
	struct wanting x = { w->a, s->owner };
	if (pagemap_read(w->images_dirfd, pid, w->a->page_size, want, &x, e) < 0)
		return -1;
	return worker_watch_space(w, s, e);
}

static void finished(struct worker *w)
{
	w->a->state = ARENA_FILLING;
	w->fill.again = true;
	fill_trim(&w->fill);
	watch_close(w, &w->tasks);
	watch_close(w, &w->lazy_watch);
	if (w->a->ended)
		fill_ask_rest(&w->fill);
	control_tell_start(w);
}

/* 1 something was read, 0 nothing is there, -1 the end. */
static int read_part(struct worker *w, int fd, struct err *e)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	int32_t value = 0, passed = -1;
	struct iovec iov = { &value, w->task_pid ? 1 : sizeof(value) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(&passed, CMSG_DATA(c), sizeof(passed));
	if (n <= 0)
		return err_set(e, ERR_CRIU, 0, "CRIU's restore ended before it was finished");
	if (w->task_pid && passed >= 0) {
		uint32_t pid = w->task_pid;
		w->task_pid = 0;
		return add_task(w, pid, passed, e) < 0 ? -1 : 1;
	}
	if (passed >= 0)
		close(passed);
	if (w->task_pid || n != sizeof(value))
		return err_set(e, ERR_PROTOCOL, 0, "CRIU says something else than a process");
	if (value == RESTORE_FINISHED)
		finished(w);
	else if (value > 0)
		w->task_pid = (uint32_t)value;
	return 1;
}

static void on_task(struct worker *w, struct watch *at, uint32_t events)
{
	struct err e = { 0 };
	int rc = 1;
	(void)events;
	while (rc > 0 && at->fd >= 0)
		rc = read_part(w, at->fd, &e);
	if (rc < 0)
		give_up(w, &e);
}

/* A restore that began under a predecessor, or whose last round cannot come any more: it has to fail, and would wait for ever were it not told. */
static bool refuses(const struct arena *a)
{
	return !a->expects || (a->memory < 0 && a->round < a->awaited);
}

void tasks_ready(struct worker *w, struct watch *at, uint32_t events)
{
	struct err e = { 0 };
	int fd = accept4(at->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	(void)events;
	if (fd < 0)
		return;
	give_up(w, NULL); /* what an earlier one left */
	w->task_pid = 0;
	if (refuses(w->a)) {
		log_warn("page store: a restore that cannot go well is refused");
		close(fd);
		return;
	}
	if (watch_open(w, &w->tasks, fd, on_task, &e) < 0)
		give_up(w, &e);
}

void tasks_admit(struct worker *w)
{
	struct err e = { 0 };
	const struct arena *a = w->a;
	if (a->state != ARENA_RECEIVING)
		return;
	bool opens = refuses(a) || a->round >= a->awaited;
	if (opens && w->lazy_watch.fd < 0 && watch_open(w, &w->lazy_watch, w->lazy, tasks_ready, &e) < 0)
		log_err(LOG_LEVEL_ERROR, "page store", &e);
	if (!opens && w->lazy_watch.fd >= 0) {
		(void)epoll_ctl(w->epoll, EPOLL_CTL_DEL, w->lazy, NULL);
		w->lazy_watch.fd = -1; /* it listens on */
	}
}
