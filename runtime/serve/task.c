/* Children for parts of a request. The result is one struct on a pipe; a child that falls leaves none. */
#include "runtime/serve/task.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "base/fd.h"

#define TASKS_MAX 8

struct result {
	uint64_t bytes;
	int rc;
	struct err e;
};

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Closes all from 3 on but these. */
static void keep_only(const int *fds, size_t n, int also)
{
	int keep[FD_PASS_MAX + 1];
	size_t k = 0;
	keep[k++] = also;
	for (size_t i = 0; i < n && k < ARRAY_LEN(keep); i++)
		if (fds[i] > 2)
			keep[k++] = fds[i];
	qsort(keep, k, sizeof(*keep), compare);
	unsigned from = 3;
	for (size_t i = 0; i < k; i++) {
		if ((unsigned)keep[i] > from)
			(void)close_range(from, (unsigned)keep[i] - 1, 0);
		from = (unsigned)keep[i] + 1;
	}
	(void)close_range(from, ~0U, 0);
}

int task_start(struct task *t, const char *what, const int *fds, size_t n, int (*run)(void *arg, uint64_t *bytes, struct err *e), void *arg,
	       struct err *e)
{
	int p[2];
	if (fd_pipe(p, e) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		struct result r = { 0 };
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		keep_only(fds, n, p[1]);
		r.rc = run(arg, &r.bytes, &r.e);
		_exit(fd_write_all(p[1], &r, sizeof(r), NULL) < 0);
	}
	close(p[1]);
	if (pid < 0) {
		close(p[0]);
		return err_sys(e, errno, "fork");
	}
	*t = (struct task){ .pid = pid, .fd = p[0], .what = what };
	return 0;
}

static int finish(struct task *t, struct err *e)
{
	struct result r;
	int rc = fd_read_exact(t->fd, &r, sizeof(r), e);
	while (waitpid(t->pid, NULL, 0) < 0 && errno == EINTR)
		;
	fd_closep(&t->fd);
	t->done = true;
	if (rc <= 0)
		return err_set(e, ERR_INTERNAL, 0, "%s: its process fell", t->what);
	t->bytes = r.bytes;
	if (r.rc == 0)
		return 0;
	*e = r.e;
	return err_prefix(e, "%s", t->what);
}

void task_end_all(struct task *t, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (t[i].done || t[i].pid <= 0)
			continue;
		kill(t[i].pid, SIGKILL);
		while (waitpid(t[i].pid, NULL, 0) < 0 && errno == EINTR)
			;
		fd_closep(&t[i].fd);
		t[i].done = true;
	}
}

/* One turn: waits for any. 1 goes on, 0 all done, -1. */
static int wait_some(struct task *t, size_t n, int cancel, struct err *e)
{
	struct pollfd p[TASKS_MAX + 1];
	size_t open = 0;
	for (size_t i = 0; i < n; i++) {
		p[i] = (struct pollfd){ .fd = t[i].done ? -1 : t[i].fd, .events = POLLIN };
		open += !t[i].done;
	}
	p[n] = (struct pollfd){ .fd = cancel, .events = POLLIN };
	if (open == 0)
		return 0;
	if (poll(p, n + 1, -1) < 0)
		return errno == EINTR ? 1 : err_sys(e, errno, "poll");
	for (size_t i = 0; i < n; i++)
		if (p[i].fd >= 0 && p[i].revents && finish(&t[i], e) < 0)
			return -1;
	return p[n].revents ? err_set(e, ERR_CANCELLED, 0, "who asked for it is gone") : 1;
}

int task_wait_one(struct task *t, size_t n, size_t which, int cancel, struct err *e)
{
	int rc = n > TASKS_MAX ? err_set(e, ERR_INTERNAL, 0, "too many tasks") : 1;
	while (rc == 1 && !(which < n && t[which].done))
		rc = wait_some(t, n, cancel, e);
	if (rc < 0)
		task_end_all(t, n);
	return rc < 0 ? -1 : 0;
}

int task_wait_all(struct task *t, size_t n, int cancel, struct err *e)
{
	return task_wait_one(t, n, n, cancel, e);
}
