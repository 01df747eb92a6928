/* See worker.h. In each turn tasks that wait come first, then what has arrived, then one chunk for those that do not wait yet. The worker reads bytes
 * of another host and holds no privilege (confine()); what it knows is in the arena, so that one that falls has a successor (guard.c). */
#include "runtime/pagestore/worker.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include "base/clock.h"
#include "base/confine.h"
#include "base/fd.h"
#include "base/log.h"

#define BUFFER_SIZE (512 << 10)
#define EVENTS_MAX 64
#define TICK_MS 250
#define TELL_TICKS 4

int watch_open(struct worker *w, struct watch *at, int fd, void (*ready)(struct worker *w, struct watch *at, uint32_t events), struct err *e)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = at };
	at->fd = fd;
	at->ready = ready;
	at->writing = false;
	if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &ev) == 0)
		return 0;
	close(fd);
	at->fd = -1;
	return err_sys(e, errno, "watch a descriptor");
}

void watch_close(struct worker *w, struct watch *at)
{
	if (at->fd < 0)
		return;
	(void)epoll_ctl(w->epoll, EPOLL_CTL_DEL, at->fd, NULL);
	if (at == &w->memory)
		w->a->memory = -1;
	if (at == &w->init)
		w->a->init = -1;
	close(at->fd);
	at->fd = -1;
}

static void fail(struct worker *w, const struct err *e)
{
	log_err(LOG_LEVEL_ERROR, "page store", e);
	w->failed = w->end = true;
}

static void on_space(struct worker *w, struct watch *at, uint32_t events)
{
	struct err e = { 0 };
	struct arena_space *s = &w->a->spaces[at - w->uffds];
	(void)events;
	if (s->used && fill_events(&w->fill, s, &e) < 0)
		fail(w, &e);
}

int worker_watch_space(struct worker *w, struct arena_space *s, struct err *e)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &w->uffds[space_number(w->a, s)] };
	*(struct watch *)ev.data.ptr = (struct watch){ .fd = s->uffd, .ready = on_space };
	/* A space that is freed closes its descriptor, and that ends the watch. */
	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, s->uffd, &ev) < 0 ? err_sys(e, errno, "watch a task") : 0;
}

static int on_fork(void *arg, struct arena_space *s, struct err *e)
{
	return worker_watch_space(arg, s, e);
}

void worker_forget_tasks(struct worker *w)
{
	for (size_t i = 0; i < w->a->nspaces; i++)
		if (w->a->spaces[i].used)
			space_free(w->a, &w->a->spaces[i]);
	w->a->nspaces = 0;
	w->fill.space = w->fill.region = 0;
}

/* A container that runs already waits for the next connection; a restore has none to wait for. */
static void lose_source(struct worker *w)
{
	watch_close(w, &w->memory);
	if (w->a->state == ARENA_RECEIVING)
		fill_refuse(&w->fill);
	tasks_admit(w);
	control_tell_start(w);
}

static void write_out(struct worker *w)
{
	struct fill *f = &w->fill;
	while (f->out.len > 0 && w->memory.fd >= 0) {
		ssize_t n = send(w->memory.fd, f->out.data, f->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			lose_source(w);
			break;
		}
		buf_consume(&f->out, (size_t)n);
		if (f->out.len == 0 && f->resend)
			fill_ask_again(f);
	}
	bool writing = f->out.len > 0;
	if (w->memory.fd >= 0 && writing != w->memory.writing) {
		struct epoll_event ev = { .events = writing ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = &w->memory };
		(void)epoll_ctl(w->epoll, EPOLL_CTL_MOD, w->memory.fd, &ev);
		w->memory.writing = writing;
	}
}

/* One read of the memory socket. False: there is nothing, or nothing any more. */
static bool take_in(struct worker *w)
{
	struct err e = { 0 };
	ssize_t n = recv(w->memory.fd, w->buffer, BUFFER_SIZE, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n > 0 && intake_feed(&w->intake, w->buffer, (size_t)n, &e) == 0) {
		tasks_admit(w);
		return true;
	}
	if (n > 0)
		log_err(LOG_LEVEL_ERROR, "page store", &e);
	lose_source(w);
	return false;
}

static void on_memory(struct worker *w, struct watch *at, uint32_t events)
{
	(void)at;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		(void)take_in(w);
}

void worker_take_all(struct worker *w)
{
	while (w->memory.fd >= 0 && take_in(w))
		;
}

void worker_attach(struct worker *w, int fd)
{
	struct err e = { 0 };
	watch_close(w, &w->memory);
	w->fill.out.len = 0;
	intake_reset(&w->intake);
	if (watch_open(w, &w->memory, fd, on_memory, &e) < 0) {
		log_err(LOG_LEVEL_ERROR, "page store", &e);
		return;
	}
	w->a->memory = fd;
	/* This source says anew what the container still lacks, and ends anew. */
	if (w->a->state != ARENA_COMPLETE)
		w->a->ended = false;
	fill_ask_again(&w->fill);
}

/* The container has all of its memory: nothing of ours is between it and that any more. */
static void complete(struct worker *w)
{
	worker_forget_tasks(w);
	for (size_t i = 0; i < w->a->nprocesses; i++)
		fd_closep(&w->a->processes[i].file);
	w->a->held = 0;
	w->a->state = ARENA_COMPLETE;
	watch_close(w, &w->init);
	control_tell(w);
}

/* What is not told by a descriptor: tasks that ended, memory that has become free, and how far it is. */
static void on_tick(struct worker *w, unsigned *ticks)
{
	if (w->a->state == ARENA_FILLING) {
		fill_sweep(&w->fill);
		w->fill.again = true; /* a look over all that is lacked costs nothing */
		w->fill.short_of_memory = false;
	}
	if (++*ticks % TELL_TICKS == 0)
		control_tell(w);
}

static int wait_ms(const struct worker *w)
{
	if (w->a->state == ARENA_FILLING && w->fill.again && !w->fill.short_of_memory)
		return 0;
	bool ticks = w->a->state == ARENA_FILLING;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		ticks |= w->clients[i].fd >= 0 && w->clients[i].waits;
	return ticks ? (int)MAX(0, (w->tick - clock_now_ns(CLOCK_MONOTONIC)) / NSEC_PER_MSEC) : -1; /* -1: nothing to do until somebody comes */
}

static bool is_task(const struct worker *w, const struct watch *at)
{
	return at >= w->uffds && at < w->uffds + ARENA_SPACES_MAX;
}

static void look_for_end(struct worker *w)
{
	if (w->a->state == ARENA_FILLING && w->a->wanted == 0)
		complete(w);
	/* A source that still sends is heard out. */
	if (w->a->state == ARENA_COMPLETE && (w->a->ended || w->memory.fd < 0))
		w->end = true;
}

static int turn(struct worker *w, unsigned *ticks, struct err *e)
{
	struct epoll_event ev[EVENTS_MAX];
	int n = epoll_wait(w->epoll, ev, EVENTS_MAX, wait_ms(w));
	if (n < 0 && errno != EINTR)
		return err_sys(e, errno, "epoll_wait");
	for (int tasks = 1; tasks >= 0; tasks--)
		for (int i = 0; i < n; i++) {
			struct watch *at = ev[i].data.ptr;
			if (is_task(w, at) == (tasks == 1) && at->fd >= 0)
				at->ready(w, at, ev[i].events);
		}
	if (w->a->state == ARENA_FILLING && w->fill.again) {
		w->fill.again = false; /* set again by a page that has to wait for an event to be read */
		if (fill_step(&w->fill))
			w->fill.again = true;
	}
	if (clock_now_ns(CLOCK_MONOTONIC) >= w->tick) {
		w->tick = clock_now_ns(CLOCK_MONOTONIC) + TICK_MS * NSEC_PER_MSEC;
		on_tick(w, ticks);
	}
	write_out(w);
	look_for_end(w);
	return 0;
}

static const int allowed_calls[] = {
	SYS_epoll_pwait, SYS_epoll_ctl, SYS_restart_syscall, SYS_rt_sigreturn, SYS_clock_gettime, SYS_ppoll,   SYS_read,       SYS_write,
	SYS_pread64,	 SYS_pwrite64,	SYS_close,	     SYS_ioctl,	       SYS_fcntl,	  SYS_accept4, SYS_recvfrom,   SYS_recvmsg,
	SYS_sendto,	 SYS_sendmsg,	SYS_memfd_create,    SYS_fallocate,    SYS_openat,	  SYS_fstat,   SYS_newfstatat, SYS_brk,
	SYS_mmap,	 SYS_munmap,	SYS_mremap,	     SYS_madvise,      SYS_futex,	  SYS_getpid,  SYS_exit_group, SYS_getrandom,
	SYS_sigaltstack, /* the sanitizers, at the end */
#ifdef SYS_epoll_wait
	SYS_epoll_wait,	 SYS_poll,
#endif
};

static void confine(const struct worker *w)
{
	const struct confine_folder images = { .dirfd = w->images_dirfd };
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	confine_capabilities();
	confine_files(&images, 1);
	confine_calls(allowed_calls, ARRAY_LEN(allowed_calls));
}

/* What is in the arena of a predecessor: a restore that was under way has failed, tasks that waited fault once more. */
static int open_inherited(struct worker *w, struct err *e)
{
	if (w->a->state == ARENA_RECEIVING) {
		worker_forget_tasks(w);
		w->a->expects = false;
	}
	for (size_t i = 0; i < w->a->nspaces; i++)
		if (w->a->spaces[i].used && worker_watch_space(w, &w->a->spaces[i], e) < 0)
			return -1;
	return w->a->init >= 0 ? worker_watch_init(w, e) : 0;
}

static int open_all(struct worker *w, struct err *e)
{
	struct watch *none[] = { &w->control_watch, &w->lazy_watch, &w->memory, &w->init, &w->tasks };
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		none[i]->fd = -1;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		w->clients[i].fd = -1;
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->buffer = malloc(BUFFER_SIZE);
	if (w->epoll < 0 || !w->buffer)
		return err_sys(e, errno, "page store");
	w->fill.forked = on_fork;
	w->fill.arg = w;
	if (fill_init(&w->fill, w->a, e) < 0 || intake_init(&w->intake, &w->fill, e) < 0 ||
	    watch_open(w, &w->control_watch, w->control, control_ready, e) < 0)
		return -1;
	return open_inherited(w, e);
}

int worker_run(struct arena *a, int control, int lazy, int images_dirfd)
{
	static struct worker worker;
	struct worker *w = &worker;
	struct err e = { 0 };
	unsigned ticks = 0;
	*w = (struct worker){ .a = a, .control = control, .lazy = lazy, .images_dirfd = images_dirfd };
	int rc = open_all(w, &e);
	if (rc == 0)
		confine(w);
	if (rc == 0 && a->memory >= 0)
		worker_attach(w, a->memory);
	if (rc == 0)
		tasks_admit(w);
	if (rc == 0)
		fill_wake(&w->fill);
	if (rc == 0)
		look_for_end(w); /* a predecessor may have fallen when nothing was left to wait for */
	while (rc == 0 && !w->end)
		rc = turn(w, &ticks, &e);
	if (rc < 0)
		fail(w, &e);
	return w->failed ? -1 : 0;
}
