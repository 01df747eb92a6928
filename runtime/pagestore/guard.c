/* See guard.h and pagestore.h. Three processes, each the parent of the next: one that stands behind, the guard, the worker. The first two read
 * nothing from anybody: they wait. All share the table of descriptors (CLONE_FILES), so what a fallen worker had open is open still, and the
 * container's tasks wait at their userfaultfds, whichever two of the three are killed at once; what only a fallen one needed is closed before the
 * next starts.
 *
 * A worker that falls has a successor by the guard. A guard that falls leaves its worker to the one behind (PR_SET_CHILD_SUBREAPER), which lets it
 * work, and starts another guard once it falls too. */
#include "runtime/pagestore/guard.h"
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "runtime/pagestore/worker.h"

#define FALLS_MAX 8
#define DESCRIPTORS_MAX 32768

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Closes all from 3 on but what guard and arena know of. */
static void close_others(const struct guard *g, const struct arena *a)
{
	static int keep[ARENA_PROCESSES_MAX + ARENA_SPACES_MAX + 8];
	size_t n = 0;
	const int ours[] = { g->folder, g->control, g->lazy, g->images_dirfd, a->memory, a->init };
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		keep[n++] = ours[i];
	for (size_t i = 0; i < a->nprocesses; i++)
		keep[n++] = a->processes[i].file;
	for (size_t i = 0; i < a->nspaces; i++)
		keep[n++] = a->spaces[i].used ? a->spaces[i].uffd : -1;
	qsort(keep, n, sizeof(*keep), compare);
	unsigned from = 3;
	for (size_t i = 0; i < n; i++) {
		if (keep[i] < (int)from)
			continue;
		if ((unsigned)keep[i] > from)
			(void)close_range(from, (unsigned)keep[i] - 1, 0);
		from = (unsigned)keep[i] + 1;
	}
	(void)close_range(from, ~0U, 0);
}

/* A child with the same table of descriptors. */
static pid_t fork_sharing(void)
{
	return (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
}

static pid_t start_worker(const struct guard *g, struct arena *a)
{
	pid_t pid = fork_sharing();
	if (pid == 0)
		_exit(worker_run(a, g->control, g->lazy, g->images_dirfd) == 0 ? 0 : 1);
	return pid;
}

/* Of one child, or of any (-1). False: there is none. */
static bool wait_for(pid_t pid, int *status)
{
	pid_t got;
	while ((got = waitpid(pid, status, 0)) < 0 && errno == EINTR)
		;
	return got > 0;
}

static void mark(const struct guard *g, const char *name)
{
	(void)file_write_atomic(g->folder, name, "", 0, 0600, false, NULL);
}

/* Rather an end that everybody sees than a program whose memory turns into zeros: its descriptors are held until it has ended. */
static void give_up(const struct guard *g, const struct arena *a)
{
	log_error("the page store has fallen: the container's memory is lost, and the container is ended");
	mark(g, PAGESTORE_LOST);
	if (a->init >= 0 && proc_pidfd_kill(a->init, SIGKILL, NULL) == 0)
		(void)fd_wait(a->init, POLLIN, -1, NULL); /* no limit: a frozen one dies when it is thawed */
}

/* What a worker's own end means. */
static int end(const struct guard *g, const struct arena *a, int rc)
{
	if (rc < 0)
		give_up(g, a);
	else if (a->state == ARENA_COMPLETE)
		mark(g, PAGESTORE_DONE);
	(void)unlinkat(g->folder, PAGESTORE_SOCKET, 0);
	return rc;
}

static void clear_up(const struct guard *g, struct arena *a, const char *who, int status)
{
	log_warn("the %s of a page store was ended by signal %d: another one goes on", who, WTERMSIG(status));
	a->memory = -1; /* in the middle of a record, perhaps */
	close_others(g, a);
}

/* Until a worker has done all. 0 or -1. */
static int watch_over(const struct guard *g, struct arena *a)
{
	for (int falls = 0; falls < FALLS_MAX; falls++) {
		int status;
		if (start_worker(g, a) < 0 || !wait_for(-1, &status))
			return -1;
		if (WIFEXITED(status))
			return WEXITSTATUS(status) == 0 ? 0 : -1;
		clear_up(g, a, "worker", status);
	}
	return -1;
}

/* Until a guard has done all, or the worker that one left. 0 or -1. */
static int stand_behind(const struct guard *g, struct arena *a)
{
	for (int falls = 0; falls < FALLS_MAX; falls++) {
		int status, left;
		pid_t guard = fork_sharing();
		if (guard == 0)
			_exit(end(g, a, watch_over(g, a)) == 0 ? 0 : 1);
		if (guard < 0 || !wait_for(guard, &status))
			return -1;
		if (WIFEXITED(status))
			return WEXITSTATUS(status) == 0 ? 0 : -1;
		if (wait_for(-1, &left) && WIFEXITED(left))
			return end(g, a, WEXITSTATUS(left) == 0 ? 0 : -1);
		clear_up(g, a, "guard", status);
	}
	return end(g, a, -1);
}

void guard_run(const struct guard *g)
{
	const struct rlimit files = { DESCRIPTORS_MAX, DESCRIPTORS_MAX };
	struct err e = { 0 };
	(void)prctl(PR_SET_NAME, "davit-pages");
	(void)setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	struct arena *a = arena_new(g->limit, (size_t)sysconf(_SC_PAGESIZE), &e);
	if (!a) {
		log_err(LOG_LEVEL_ERROR, "page store", &e);
		_exit(1);
	}
	a->memory = g->memory;
	close_others(g, a);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	_exit(stand_behind(g, a) == 0 ? 0 : 1);
}
