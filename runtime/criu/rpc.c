/* One request to criu: start, converse, end.
 *
 * criu is our child (`criu swrk N`, N its end of a SOCK_SEQPACKET pair). It resolves images_dir_fd and work_dir_fd through /proc of the
 * process that made the pair, that is us; other descriptors are its own, so they are passed on under the same numbers.
 *
 * The conversation: our request; any number of notifications, each answered; one response. Then criu ends by itself.
 *
 * Cancelling: a criu that is killed in the middle of a dump would leave foreign code in the tasks. So our half of the socket is shut, and the page
 * socket with it: criu then fails at its next notification or page, undoes what it did and still tells its result. Only if that takes longer than
 * CANCEL_GRACE_MS is it killed. One that somebody else killed is known by its pidfd, since what it forked has its socket open too; what it forked,
 * or a restore had made, by then stands unfinished for ever, comes to us, its next reaper, and is killed here. There is no limit on a dump or restore
 * as a whole: they take as long as the memory needs, and the caller holds cancel_fd; all other requests have REQUEST_LIMIT_MS. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "proto/pb.h"
#include "runtime/criu/criu.h"
#include "runtime/criu/environment.h"
#include "runtime/criu/log.h"
#include "runtime/criu/mounts.h"
#include "runtime/timens.h"

#define CANCEL_GRACE_MS 10000
#define REQUEST_LIMIT_MS 60000
#define EXIT_LIMIT_MS 30000
#define FDS_MAX 32

struct session {
	const struct criu_call *call;
	int sock, messages; /* messages: a memfd that takes criu's stderr */
	pid_t pid, root;    /* root: init of a restore */
	int pidfd;
	bool cancelled, callback_failed;
	int64_t deadline; /* ns of CLOCK_MONOTONIC, or 0 */
};

static const char *request_name(Criu__ReqType type)
{
	static const char *const names[] = {
		[CRIU__REQ_TYPE__REQ_DUMP] = "dump",
		[CRIU__REQ_TYPE__REQ_RESTORE] = "restore",
		[CRIU__REQ_TYPE__REQ_CHECK] = "check of criu",
		[CRIU__REQ_TYPE__REQ_PRE_DUMP] = "pre-dump",
		[CRIU__REQ_TYPE__REQ_SINGLE_PRE_DUMP] = "pre-dump",
		[CRIU__REQ_TYPE__REQ_CPUINFO_DUMP] = "look at the CPU",
		[CRIU__REQ_TYPE__REQ_CPUINFO_CHECK] = "comparison of CPUs",
		[CRIU__REQ_TYPE__REQ_FEATURE_CHECK] = "look at criu's features",
		[CRIU__REQ_TYPE__REQ_VERSION] = "version of criu",
	};
	return type < ARRAY_LEN(names) && names[type] ? names[type] : "request to criu";
}

static bool takes_time(Criu__ReqType type)
{
	return type == CRIU__REQ_TYPE__REQ_DUMP || type == CRIU__REQ_TYPE__REQ_RESTORE || type == CRIU__REQ_TYPE__REQ_SINGLE_PRE_DUMP;
}

struct child_step {
	int timens_fd;
	const struct criu_mounts *mounts;
};

/* Between fork and exec: only system calls. */
static int child_step(void *arg)
{
	const struct child_step *s = arg;

	if (s->timens_fd >= 0 && timens_enter(s->timens_fd) < 0)
		return -1;
	return criu_mounts_apply(s->mounts);
}

static int start(struct session *s, const struct criu_mounts *m, struct err *e)
{
	const struct criu_call *c = s->call;
	struct child_step step = { .timens_fd = c->timens_fd, .mounts = m };
	struct proc_fd fds[FDS_MAX];
	char number[16];
	size_t n = 0;
	int sv[2];

	if (c->nfds > FDS_MAX - 3)
		return err_set(e, ERR_LIMIT, 0, "criu: %zu descriptors, at most %d", c->nfds, FDS_MAX - 3);
	if ((s->messages = memfd_create("criu", MFD_CLOEXEC)) < 0)
		return err_sys(e, errno, "criu: memfd");
	if (fd_socketpair(SOCK_SEQPACKET, sv, e) < 0)
		return -1;
	s->sock = sv[0];
	auto_close int theirs = sv[1];
	fds[n++] = (struct proc_fd){ s->messages, 1 };
	fds[n++] = (struct proc_fd){ s->messages, 2 };
	fds[n++] = (struct proc_fd){ theirs, theirs };
	for (size_t i = 0; i < c->nfds; i++)
		if (c->fds[i] > 2)
			fds[n++] = (struct proc_fd){ c->fds[i], c->fds[i] };
	snprintf(number, sizeof(number), "%d", theirs);
	char *argv[] = { (char *)c->criu, "swrk", number, NULL };
	struct criu_environment env;
	criu_environment_make(&env);
	struct proc_spawn spawn = { .path = c->criu, .argv = argv, .envp = env.envp, .fds = fds, .nfds = n, .child = child_step, .arg = &step };
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return err_sys(e, errno, "criu: PR_SET_CHILD_SUBREAPER");
	s->pid = proc_spawn(&spawn, &s->pidfd, e);
	return s->pid < 0 ? -1 : 0;
}

static void cancel(struct session *s)
{
	const Criu__CriuOpts *o = s->call->req->opts;

	s->cancelled = true;
	s->deadline = clock_now_ns(CLOCK_MONOTONIC) + CANCEL_GRACE_MS * NSEC_PER_MSEC;
	shutdown(s->sock, SHUT_WR);
	if (o && o->ps && o->ps->has_fd)
		shutdown(o->ps->fd, SHUT_RDWR);
}

/* 1: criu has said something; -1: its time is over. */
static int wait_message(struct session *s, struct err *e)
{
	struct pollfd p[3] = { { .fd = s->sock, .events = POLLIN },
			       { .fd = s->call->cancel_fd, .events = POLLIN },
			       { .fd = s->pidfd, .events = POLLIN } };

	for (;;) {
		int timeout = -1;
		if (s->deadline)
			timeout = (int)(MAX(s->deadline - clock_now_ns(CLOCK_MONOTONIC), 0) / NSEC_PER_MSEC);
		p[1].fd = s->cancelled ? -1 : s->call->cancel_fd;
		int n = poll(p, 3, timeout);
		if (n < 0 && errno != EINTR)
			return err_sys(e, errno, "criu: poll");
		if (n == 0)
			return err_set(e, ERR_TIMEOUT, 0, "criu does not answer");
		if (n > 0 && p[0].revents)
			return 1;
		if (n > 0 && p[2].revents)
			return err_set(e, ERR_CRIU, 0, "criu was killed");
		if (n > 0 && p[1].revents)
			cancel(s);
	}
}

static int answer(struct session *s, const Criu__Notify *n, int fd, struct err *e)
{
	const struct criu_callbacks *cb = s->call->cb;
	Criu__CriuReq reply = CRIU__CRIU_REQ__INIT;

	if (n->has_pid)
		s->root = n->pid;
	if (cb && cb->notify && !s->callback_failed && cb->notify(cb->arg, n->script ? n->script : "", n->pid, fd, e) < 0)
		s->callback_failed = true;
	reply.type = CRIU__REQ_TYPE__REQ_NOTIFY;
	reply.has_notify_success = true;
	reply.notify_success = !s->callback_failed;
	/* Of a cancelled call the socket is shut: that is criu's answer. */
	return s->cancelled ? 0 : pb_send(s->sock, &reply.base, NULL, 0, s->callback_failed ? NULL : e);
}

/* Until the response. Owned, or NULL. */
static Criu__CriuResp *converse(struct session *s, struct err *e)
{
	if (pb_send(s->sock, &s->call->req->base, NULL, 0, NULL) < 0) {
		err_set(e, ERR_CRIU, 0, "criu ended before it was asked");
		return NULL;
	}
	for (;;) {
		auto_pb(Criu__CriuResp) *resp = NULL;
		struct err cause = { 0 };
		int fd = -1;
		size_t nfds = 1;

		if (wait_message(s, &cause) < 0 || pb_recv(s->sock, &criu__criu_resp__descriptor, &resp, &fd, &nfds, &cause) < 0) {
			/* It ended with the request unread: the same as ending after it. */
			if (cause.sys == ECONNRESET)
				err_set(&cause, ERR_CRIU, 0, "criu ended without an answer");
			if (!s->callback_failed && e)
				*e = cause;
			return NULL;
		}
		auto_close int passed = nfds ? fd : -1;
		if (!resp) {
			if (!s->callback_failed)
				err_set(e, ERR_CRIU, 0, "criu ended without an answer");
			return NULL;
		}
		if (resp->type != CRIU__REQ_TYPE__REQ_NOTIFY || !resp->notify)
			return steal_ptr(&resp);
		if (answer(s, resp->notify, passed, e) < 0)
			return NULL;
	}
}

/* What criu said on stderr, of a criu that could not even open its log. */
static void explain_by_messages(struct session *s, const char *what, struct err *e)
{
	char text[512], line[512];
	ssize_t n = pread(s->messages, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return;
	text[n] = '\0';
	criu_log_errors(text, line, sizeof(line));
	text[strcspn(text, "\n")] = '\0';
	err_set(e, ERR_CRIU, 0, "%s: CRIU failed: %s", what, line[0] ? line : text);
}

static void explain(struct session *s, const Criu__CriuResp *resp, Davit__ObstacleList *obstacles, struct err *e)
{
	const char *what = request_name(s->call->req->type);
	const Criu__CriuOpts *o = s->call->req->opts;
	size_t n = 0;

	if (s->cancelled) {
		err_set(e, ERR_CANCELLED, 0, "%s: cancelled", what);
		return;
	}
	if (s->callback_failed) {
		err_prefix(e, "%s", what);
		return;
	}
	auto_free char *log = s->call->log_dirfd >= 0 && o && o->log_file ? criu_log_tail(s->call->log_dirfd, o->log_file, &n, NULL) : NULL;
	if (log && n > 0)
		criu_log_explain(what, log, n, obstacles, e);
	else if (resp && resp->cr_errmsg)
		criu_log_explain(what, resp->cr_errmsg, strlen(resp->cr_errmsg), obstacles, e);
	else
		explain_by_messages(s, what, e);
}

/* A restore that failed: criu kills what it made, and its init, a child of ours by rst_sibling, is reaped here. */
static void reap_root(struct session *s)
{
	if (s->root <= 0 || s->call->req->type != CRIU__REQ_TYPE__REQ_RESTORE)
		return;
	auto_close int pidfd = proc_pidfd_open(s->root, NULL);
	if (pidfd < 0)
		return;
	proc_pidfd_kill(pidfd, SIGKILL, NULL);
	proc_wait(s->root, EXIT_LIMIT_MS, NULL);
}

static bool is_criu(pid_t pid)
{
	char path[64], name[32];

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	return file_read_line(AT_FDCWD, path, name, sizeof(name), NULL) == 0 && str_eq(name, "criu");
}

/* The first of our main thread's children, to which orphans come, or 0. helpers: only those that criu forked for itself. */
static pid_t first_child(bool helpers)
{
	auto_free char *path = mem_printf(NULL, "/proc/self/task/%d/children", (int)getpid());
	auto_free char *text = path ? file_read(AT_FDCWD, path, 1 << 16, NULL, NULL) : NULL;
	char *at = text, *next;

	for (pid_t pid; at && (pid = (pid_t)strtol(at, &next, 10)) > 0; at = next)
		if (!helpers || is_criu(pid))
			return pid;
	return 0;
}

/* Of a criu that was killed: kills what it left, which is ours by now, or will be when its parent has gone. In a restore that is all we have. */
static void reap_orphans(bool helpers)
{
	for (pid_t pid; (pid = first_child(helpers)) > 0;) {
		kill(pid, SIGKILL);
		if (proc_wait(pid, EXIT_LIMIT_MS, NULL) == -1 && kill(pid, 0) == 0)
			return; /* it does not end */
	}
}

static void finish(struct session *s, bool answered)
{
	if (!answered && s->cancelled)
		kill(s->pid, SIGKILL);
	fd_closep(&s->sock);
	if (proc_wait(s->pid, answered || !s->cancelled ? EXIT_LIMIT_MS : -1, NULL) >= 0) /* -1: it was killed */
		return;
	log_warn("criu (process %d) does not end: killing it", s->pid);
	kill(s->pid, SIGKILL);
	proc_wait(s->pid, -1, NULL); /* no limit: it was killed */
}

static void session_close(struct session *s)
{
	fd_closep(&s->sock);
	fd_closep(&s->messages);
	fd_closep(&s->pidfd);
}

static int open_session(struct session *s, const struct criu_call *c, const struct criu_mounts *m, struct err *e)
{
	*s = (struct session){ .call = c, .sock = -1, .messages = -1, .pid = -1, .pidfd = -1 };
	if (start(s, m, e) == 0)
		return 0;
	session_close(s);
	return -1;
}

static Criu__CriuResp *ask(struct session *s, Davit__ObstacleList *obstacles, struct err *e)
{
	Criu__ReqType type = s->call->req->type;
	struct err mine = { 0 };

	if (!takes_time(type))
		s->deadline = clock_now_ns(CLOCK_MONOTONIC) + REQUEST_LIMIT_MS * NSEC_PER_MSEC;
	auto_pb(Criu__CriuResp) *resp = converse(s, &mine);
	bool success = resp && resp->success && !s->callback_failed;
	finish(s, resp != NULL);
	if (!success) {
		reap_root(s);
		if (!resp)
			reap_orphans(type != CRIU__REQ_TYPE__REQ_RESTORE);
		explain(s, resp, obstacles, &mine);
		if (mine.code == ERR_NONE)
			err_set(&mine, ERR_CRIU, 0, "%s: CRIU refused and gave no reason", request_name(type));
		if (e)
			*e = mine;
	}
	session_close(s);
	return success ? steal_ptr(&resp) : NULL;
}

/* Fills the kernel cache by a run whose /run is the cache's folder. If that fails, only time is lost. */
static void fill_cache(const struct criu_call *c)
{
	Criu__CriuReq req = CRIU__CRIU_REQ__INIT;
	Criu__Features features = CRIU__FEATURES__INIT;
	struct criu_mounts m = { .any = true, .whole_run = true };
	char file[PATH_MAX + 16];

	if (!criu_cache_folder(c, m.cache))
		return;
	snprintf(file, sizeof(file), "%s/criu.kdat", m.cache);
	if (file_exists(AT_FDCWD, file))
		return;
	req.type = CRIU__REQ_TYPE__REQ_FEATURE_CHECK;
	req.features = &features;
	struct criu_call fill = { .criu = c->criu, .req = &req, .timens_fd = -1, .log_dirfd = -1, .cancel_fd = -1 };
	struct session s;
	if (open_session(&s, &fill, &m, NULL) < 0)
		return;
	auto_pb(Criu__CriuResp) *ignored = ask(&s, NULL, NULL);
}

struct criu_running {
	struct session session;
};

struct criu_running *criu_begin(const struct criu_call *c, struct err *e)
{
	struct criu_running *r = mem_new(1, sizeof(*r), e);
	struct criu_mounts m;

	if (!r)
		return NULL;
	fill_cache(c);
	criu_mounts_prepare(c, &m);
	if (open_session(&r->session, c, &m, e) == 0)
		return r;
	free(r);
	return NULL;
}

Criu__CriuResp *criu_ask(struct criu_running *r, Davit__ObstacleList *obstacles, struct err *e)
{
	Criu__CriuResp *resp = ask(&r->session, obstacles, e);
	free(r);
	return resp;
}

void criu_end(struct criu_running *r)
{
	if (!r)
		return;
	finish(&r->session, true); /* it ends with its socket */
	session_close(&r->session);
	free(r);
}

Criu__CriuResp *criu_run(const struct criu_call *c, Davit__ObstacleList *obstacles, struct err *e)
{
	struct criu_running *r = criu_begin(c, e);
	return r ? criu_ask(r, obstacles, e) : NULL;
}
