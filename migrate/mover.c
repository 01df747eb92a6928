/* Starting davit-mover and reading its reports. See mover.h. */
#include "migrate/mover.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/proc.h"
#include "proto/frame.h"

#define REPORT_MAX (1 << 20)
/* How long a mover that has said its last word may take to end. */
#define END_MS 5000
#define ASK_MS 10000

int mover_start(const char *program, const Davit__MoverJob *job, int core_fd, struct mover *out, struct err *e)
{
	auto_close int job_read = -1, job_write = -1, report_read = -1, report_write = -1;
	int p[2];
	if (fd_pipe(p, e) < 0)
		return -1;
	job_read = p[0];
	job_write = p[1];
	if (fd_pipe(p, e) < 0)
		return -1;
	report_read = p[0];
	report_write = p[1];
	const struct proc_fd fds[] = { { job_read, 0 }, { report_write, 1 }, { 2, 2 }, { core_fd, 3 } };
	char *const argv[] = { (char *)"davit-mover", NULL };
	const struct proc_spawn s = { .path = program, .argv = argv, .fds = fds, .nfds = core_fd < 0 ? 3 : 4 };
	memset(out, 0, sizeof(*out));
	out->pidfd = out->report_fd = out->go_fd = -1;
	if ((out->pid = proc_spawn(&s, &out->pidfd, e)) < 0)
		return -1;
	fd_closep(&job_read);
	fd_closep(&report_write);
	out->report_fd = steal_fd(&report_read);
	if (frame_write_delimited(job_write, &job->base, e) < 0) {
		mover_close(out);
		return -1;
	}
	if (job->group)
		out->go_fd = steal_fd(&job_write);
	return 0;
}

int mover_next(struct mover *m, int timeout_ms, Davit__MoverReport **out, struct err *e)
{
	int64_t deadline = timeout_ms < 0 ? 0 : clock_now_ns(CLOCK_MONOTONIC) + timeout_ms * NSEC_PER_MSEC;
	char chunk[4096];
	for (;;) {
		int r = frame_take_delimited(&m->partial, &davit__mover_report__descriptor, REPORT_MAX, out, e);
		if (r != 0)
			return r;
		int left = timeout_ms < 0 ? -1 : (int)(MAX(0, deadline - clock_now_ns(CLOCK_MONOTONIC)) / NSEC_PER_MSEC);
		r = fd_wait(m->report_fd, POLLIN, left, e);
		if (r < 0)
			return -1;
		if (r == 0)
			return err_set(e, ERR_TIMEOUT, 0, "davit-mover has nothing to report");
		ssize_t n = read(m->report_fd, chunk, sizeof(chunk));
		if (n < 0 && errno != EINTR)
			return err_sys(e, errno, "read davit-mover's reports");
		if (n == 0)
			return 0;
		if (n > 0 && buf_append(&m->partial, chunk, (size_t)n, e) < 0)
			return -1;
	}
}

int mover_go(const struct mover *m, struct err *e)
{
	return fd_write_all(m->go_fd, "g", 1, e);
}

int mover_cancel(struct mover *m, bool late, struct err *e)
{
	return proc_pidfd_kill(m->pidfd, late ? SIGALRM : SIGTERM, e);
}

void mover_close(struct mover *m)
{
	fd_closep(&m->report_fd);
	fd_closep(&m->go_fd);
	if (m->pid > 0 && proc_wait(m->pid, END_MS, NULL) < 0) {
		proc_pidfd_kill(m->pidfd, SIGKILL, NULL);
		proc_wait(m->pid, END_MS, NULL);
	}
	m->pid = 0;
	fd_closep(&m->pidfd);
	buf_free(&m->partial);
}

/* Runs a question and copies its answer. */
static int ask(const char *program, Davit__MoverJob *job, const char *kind, char answer[32], struct err *e)
{
	struct mover m;
	auto_pb(Davit__MoverReport) *r = NULL;
	job->kind = (char *)kind;
	if (mover_start(program, job, -1, &m, e) < 0)
		return -1;
	int rc = mover_next(&m, (job->has_timeout_ms ? (int)job->timeout_ms : ASK_MS) + END_MS, &r, e);
	mover_close(&m);
	if (rc < 0)
		return -1;
	if (!r)
		return err_set(e, ERR_IO, 0, "davit-mover ended without an answer");
	if (r->error) {
		pb_error_get(r->error, e);
		return -1;
	}
	strncpy(answer, r->answer ? r->answer : "", 31);
	answer[31] = '\0';
	return 0;
}

int mover_ask_verdict(const char *program, Davit__MoverJob *job, enum handover_verdict *out, struct err *e)
{
	char answer[32];
	if (ask(program, job, "verdict", answer, e) < 0)
		return -1;
	return handover_verdict_of(answer, out, e);
}

int mover_ask_state(const char *program, Davit__MoverJob *job, enum handover_answer *out, struct err *e)
{
	char answer[32];
	if (ask(program, job, "state", answer, e) < 0)
		return -1;
	return handover_answer_of(answer, out, e);
}
