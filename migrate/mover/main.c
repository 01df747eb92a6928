/* davit-mover: one outgoing move, or one question to a peer. migrate/mover.h tells how it is started and what it says.
 *
 * It is a process of its own because it brings libcurl and a TLS stack to a connection that lives for minutes. It needs no privilege: the
 * core does to the container what is to be done, over the socket at fd 3. It starts nothing and cannot gain rights. */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "api.pb-c.h"
#include "base/fd.h"
#include "base/log.h"
#include "migrate/mover/http.h"
#include "migrate/source.h"
#include "proto/frame.h"

#define CORE_FD 3
#define JOB_MAX (4 << 20)

static void tell(const Davit__MoverReport *r)
{
	struct err e = { 0 };
	/* The agent may have gone; the move goes on without it, and its journal tells the next one. */
	if (frame_write_delimited(STDOUT_FILENO, &r->base, &e) < 0)
		log_err(LOG_LEVEL_WARN, "report", &e);
}

static void report(void *arg, const Davit__MoveRecord *record, const char *phase, uint64_t total)
{
	Davit__MoverReport r = DAVIT__MOVER_REPORT__INIT;
	(void)arg;
	r.record = (Davit__MoveRecord *)record;
	r.phase = (char *)phase;
	r.has_bytes_total = total > 0;
	r.bytes_total = total;
	tell(&r);
}

/* The last word. record and answer may be NULL; e->code ERR_NONE: it went well. */
static void report_end(const Davit__MoveRecord *record, const char *answer, const struct err *e, const Davit__Error *detail)
{
	Davit__MoverReport r = DAVIT__MOVER_REPORT__INIT;
	auto_pb(Davit__Error) *made = e->code && !detail ? pb_error(e) : NULL;
	r.has_last = 1;
	r.last = 1;
	r.record = (Davit__MoveRecord *)record;
	r.answer = (char *)answer;
	r.error = e->code ? (detail ? (Davit__Error *)detail : made) : NULL;
	tell(&r);
}

/* Signals that end a move become readable; nothing else interrupts it. */
static int cancel_fd(struct err *e)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? err_sys(e, errno, "signalfd") : fd;
}

static int do_move(const Davit__MoverJob *job, struct err *e)
{
	auto_pb(Davit__Error) *early = NULL;
	const Davit__Error *detail = NULL;
	auto_close int cancel = cancel_fd(e);
	bool resumes = str_eq(job->kind, "resume");
	struct source *s = cancel < 0 ? NULL
			   : resumes  ? source_resume(job, CORE_FD, report, NULL, e)
				      : source_new(job, CORE_FD, report, NULL, &early, e);
	if (!s) {
		report_end(NULL, NULL, e, early);
		return -1;
	}
	if (job->group && !job->check_only) {
		fd_set_nonblock(STDIN_FILENO, true, NULL);
		source_meets_at(s, STDIN_FILENO);
	}
	if (http_move(job, s, cancel, e) < 0)
		source_lost(s, e);
	err_clear(e);
	int rc = source_result(s, &detail, e);
	report_end(source_record(s), NULL, e, detail);
	source_free(s);
	return rc;
}

static int ask(const Davit__MoverJob *job, struct err *e)
{
	auto_buf struct buf body = { 0 };
	const char *answer = NULL;
	auto_pb(Davit__MoveVerdict) *verdict = NULL;
	auto_pb(Davit__MoveState) *state = NULL;
	int rc = http_ask(job, job->kind, &body, e);
	if (rc == 0 && str_eq(job->kind, "verdict")) {
		verdict = pb_unpack(&davit__move_verdict__descriptor, body.data, body.len, "verdict", e);
		answer = verdict ? verdict->verdict : NULL;
	} else if (rc == 0) {
		state = pb_unpack(&davit__move_state__descriptor, body.data, body.len, "state", e);
		answer = state ? state->state : NULL;
	}
	report_end(NULL, answer, e, NULL);
	return answer ? 0 : -1;
}

static int run(struct err *e)
{
	auto_pb(Davit__MoverJob) *job = NULL;
	int r = frame_read_delimited(STDIN_FILENO, &davit__mover_job__descriptor, JOB_MAX, &job, e);
	if (r <= 0)
		return r < 0 ? -1 : err_set(e, ERR_INVALID, 0, "no job on stdin: this program is started by davitd");
	if (str_eq(job->kind, "move") || str_eq(job->kind, "resume"))
		return do_move(job, e);
	if (str_eq(job->kind, "verdict") || str_eq(job->kind, "state"))
		return ask(job, e);
	return err_field(e, "kind", "'%s' is none of move, resume, verdict, state", job->kind);
}

int main(void)
{
	const struct rlimit no_core = { 0, 0 };
	struct err e = { 0 };
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &no_core); /* it holds a private key */
	signal(SIGPIPE, SIG_IGN);
	if (run(&e) == 0)
		return 0;
	log_err(LOG_LEVEL_ERROR, "davit-mover", &e);
	return err_info(e.code)->exit;
}
