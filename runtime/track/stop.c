/* See stop.h. Threads are looked up until a pass finds no new one while all known ones stand still: then none can be made any more. */
#include "runtime/track/stop.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"

#ifndef PTRACE_O_SUSPEND_SECCOMP
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif
#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif
#define OPTIONS (PTRACE_O_TRACESYSGOOD | PTRACE_O_SUSPEND_SECCOMP)

static bool known(const struct stop *s, pid_t tid)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->threads[i].tid == tid)
			return true;
	return false;
}

/* A first thread that has ended stays visible as long as others live. */
static bool has_ended(pid_t pid, pid_t tid)
{
	char path[64], line[256];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	if (file_read_line(AT_FDCWD, path, line, sizeof(line), NULL) < 0)
		return true;
	const char *state = strrchr(line, ')');
	return !state || strchr("ZX", state[1] ? state[2] : 'X');
}

static int seize(struct stop *s, pid_t tid, struct err *e)
{
	struct stop_thread t = { .tid = tid };

	if (mem_grow(&s->threads, &s->cap, s->n + 1, sizeof(*s->threads), e) < 0)
		return -1;
	regs_look_before(s->pid, tid, &t.before);
	if (ptrace(PTRACE_SEIZE, tid, NULL, (void *)OPTIONS) < 0)
		return errno == ESRCH || has_ended(s->pid, tid) ? 0 : err_sys(e, EPERM, "process %d: PTRACE_SEIZE of thread %d", s->pid, tid);
	s->threads[s->n++] = t;
	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0 && errno != ESRCH)
		return err_sys(e, errno, "process %d: PTRACE_INTERRUPT of thread %d", s->pid, tid);
	return 0;
}

/* Seizes threads that are not known yet. Returns how many, or -1. */
static int seize_new(struct stop *s, struct err *e)
{
	char path[64];
	size_t before = s->n;
	int rc = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", s->pid);
	DIR *d = opendir(path);
	if (!d)
		return err_sys(e, errno, "%s", path);
	for (struct dirent *x; rc == 0 && (x = readdir(d));) {
		pid_t tid = (pid_t)strtol(x->d_name, NULL, 10);
		if (tid > 0 && !known(s, tid))
			rc = seize(s, tid, e);
	}
	closedir(d);
	return rc < 0 ? -1 : (int)(s->n - before);
}

/* Waits for a change of any child or tracee. */
static int wait_change(int64_t until_ns, struct err *e)
{
	sigset_t set;
	int64_t left = until_ns - clock_now_ns(CLOCK_MONOTONIC);

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	struct timespec t = clock_timespec_of_ns(left > 0 ? left : 0);
	if (left <= 0 || (sigtimedwait(&set, NULL, &t) < 0 && errno == EAGAIN))
		return err_set(e, ERR_TIMEOUT, 0, "a thread does not stop");
	return 0;
}

int stop_wait(pid_t tid, int64_t until_ns, struct err *e)
{
	for (;;) {
		int status;
		pid_t got = waitpid(tid, &status, __WALL | WNOHANG);
		if (got == tid)
			return status;
		if (got < 0)
			return err_sys(e, errno, "wait for thread %d", tid);
		if (wait_change(until_ns, e) < 0)
			return -1;
	}
}

/* A signal that comes before the stop is passed on; its own stop has taken the place of ours, which is asked for again. Returns 1 when the thread
 * stands still, 0 when it has ended, -1. */
static int until_stopped(pid_t tid, int64_t until_ns, struct err *e)
{
	for (;;) {
		int status = stop_wait(tid, until_ns, e);
		if (status < 0)
			return -1;
		if (WIFEXITED(status) || WIFSIGNALED(status))
			return 0;
		if (status >> 16 == PTRACE_EVENT_STOP)
			return 1;
		if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0 ||
		    ptrace(PTRACE_CONT, tid, NULL, (void *)(long)(status >> 16 ? 0 : WSTOPSIG(status))) < 0)
			return errno == ESRCH ? 0 : err_sys(e, errno, "thread %d: PTRACE_CONT", tid);
	}
}

/* What the stop ended with EINTR is made to be taken up again. */
static int keep_call(const struct stop_thread *t, struct err *e)
{
	struct regs r;

	if (regs_get(t->tid, &r) < 0)
		return errno == ESRCH ? 0 : err_sys(e, errno, "thread %d: registers", t->tid);
	if (!regs_wait_on(&r, &t->before))
		return 0;
	return regs_set(t->tid, &r) < 0 ? err_sys(e, errno, "thread %d: registers", t->tid) : 0;
}

static int wait_all(struct stop *s, int64_t until_ns, struct err *e)
{
	for (size_t i = 0; i < s->n;) {
		struct stop_thread *t = &s->threads[i];
		int rc = t->stopped ? 1 : until_stopped(t->tid, until_ns, e);
		if (rc < 0)
			return err_prefix(e, "process %d", s->pid);
		if (rc == 0) {
			*t = s->threads[--s->n];
			continue;
		}
		if (!t->stopped && keep_call(t, e) < 0)
			return -1;
		t->stopped = true;
		i++;
	}
	return 0;
}

int stop_process(struct stop *s, pid_t pid, int timeout_ms, struct err *e)
{
	int64_t until = clock_now_ns(CLOCK_MONOTONIC) + timeout_ms * NSEC_PER_MSEC;
	int found;

	*s = (struct stop){ .pid = pid };
	while ((found = seize_new(s, e)) > 0)
		if (wait_all(s, until, e) < 0)
			return -1;
	if (found == 0 && s->n == 0)
		return err_set(e, ERR_NOT_FOUND, 0, "process %d has ended", pid);
	return found;
}

pid_t stop_thread_for_calls(const struct stop *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->threads[i].tid == s->pid)
			return s->pid;
	return s->threads[0].tid;
}

int stop_release(struct stop *s, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < s->n; i++)
		if (ptrace(PTRACE_DETACH, s->threads[i].tid, NULL, NULL) < 0 && errno != ESRCH)
			rc = err_sys(e, errno, "process %d: PTRACE_DETACH of thread %d", s->pid, s->threads[i].tid);
	free(s->threads);
	*s = (struct stop){ 0 };
	return rc;
}
