/* Jobs: a forked child for each request.
 *
 * The child keeps its own channel and closes the others, so that a channel's end is seen when the loop closes it. It is not killed with the core:
 * what it holds the lock of it also finishes, and a new core waits for that lock. When its asker is gone the child's cancel descriptor becomes
 * readable; only ops that stream for the asker look at it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include "base/log.h"
#include "base/proc.h"
#include "runtime/serve/lifecycle.h"
#include "runtime/serve/loop.h"
#include "runtime/serve/records.h"

#define EXIT_REFUSED 3 /* the child sent an error */

static void job_ready(struct loop *l, struct source *s);

static void keep_only(struct loop *l, const struct channel *c)
{
	sigset_t none;
	close(l->epoll);
	close(l->core->lock); /* the next core need not wait for us */
	fd_closep(&l->signals.fd);
	fd_closep(&l->inotify.fd);
	for (struct channel *x = l->channels; x; x = x->next)
		if (x != c)
			close(x->source.fd);
	for (struct job *j = l->jobs; j; j = j->next) {
		close(j->source.fd);
		fd_closep(&j->cancel);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static struct job *job_new(const struct op *op, const char *name, struct err *e)
{
	struct job *j = mem_new(1, sizeof(*j), e);
	if (!j)
		return NULL;
	j->source = (struct source){ .fd = -1, .ready = job_ready };
	j->cancel = -1;
	j->op = op;
	snprintf(j->name, sizeof(j->name), "%s", name ? name : "");
	return j;
}

static int job_add(struct loop *l, struct job *j, struct err *e)
{
	j->source.fd = proc_pidfd_open(j->pid, e);
	if (j->source.fd < 0 || loop_add(l, &j->source, e) < 0) {
		fd_closep(&j->source.fd);
		fd_closep(&j->cancel);
		free(j);
		return -1; /* it runs on; its answer will tell */
	}
	j->next = l->jobs;
	l->jobs = j;
	l->njobs++;
	return 0;
}

int job_serve(struct loop *l, struct channel *c, const struct op *op, const Davit__CoreRequest *msg, const char *name, struct err *e)
{
	int cancel[2] = { -1, -1 };
	struct job *j = job_new(op, name, e);
	if (!j || fd_pipe(cancel, e) < 0) {
		free(j);
		return -1;
	}
	j->channel = c;
	j->id = msg->id;
	j->cancel = cancel[1];
	j->pid = fork();
	if (j->pid == 0) {
		close(cancel[1]);
		keep_only(l, c);
		const struct request r = { .core = l->core, .msg = msg, .name = name, .sock = c->source.fd, .cancel = cancel[0] };
		_exit(op_run(op, &r) == 0 ? 0 : EXIT_REFUSED);
	}
	close(cancel[0]);
	if (j->pid < 0) {
		close(j->cancel);
		free(j);
		return err_sys(e, errno, "fork");
	}
	return job_add(l, j, e);
}

/* A child for what nobody asked for. */
static void job_aside(struct loop *l, const char *name, const char *what, int (*f)(const struct core *c, const char *name, struct err *e))
{
	struct err e = { 0 };
	struct job *j = job_new(NULL, name, &e);
	if (!j)
		return;
	j->pid = fork();
	if (j->pid == 0) {
		keep_only(l, NULL);
		if (f(l->core, name, &e) < 0)
			log_err(LOG_LEVEL_WARN, what, &e);
		_exit(0);
	}
	if (j->pid < 0)
		free(j);
	else
		(void)job_add(l, j, &e);
}

void job_put_away(struct loop *l, const char *name)
{
	job_aside(l, name, "put away", lifecycle_put_away_locked);
}

static int take_up(void *arg, const char *name, struct err *e)
{
	struct loop *l = arg;
	(void)e;
	if (throttle_is_marked(l->core, name))
		job_aside(l, name, "throttle", throttle_undo);
	return 0;
}

int job_take_up(struct loop *l, struct err *e)
{
	return record_each(l->core, take_up, l, e);
}

bool job_defers_exit(struct loop *l, const char *name)
{
	for (struct job *j = l->jobs; j; j = j->next)
		if (j->op && str_eq(j->op->event, "container.started") && str_eq(j->name, name))
			return j->container_ended = true;
	return false;
}

void job_cancel_of(struct loop *l, const struct channel *c)
{
	for (struct job *j = l->jobs; j; j = j->next)
		if (j->channel == c) {
			j->channel = NULL;
			fd_closep(&j->cancel);
		}
}

/* An answer was given unless the child fell: then it is given here. */
static void job_finish(struct loop *l, struct job *j, const siginfo_t *info)
{
	bool answered = info->si_code == CLD_EXITED && (info->si_status == 0 || info->si_status == EXIT_REFUSED);
	if (!j->op)
		return;
	if (!answered) {
		struct err e = { 0 };
		err_set(&e, ERR_INTERNAL, 0, "%s %s: its process ended by %s %d", j->op->name, j->name,
			info->si_code == CLD_EXITED ? "status" : "signal", info->si_status);
		log_error("%s", e.msg);
		if (j->channel)
			channel_refuse(l, j->channel, j->id, &e);
		if (j->op->undo)
			job_aside(l, j->name, j->op->name, j->op->undo);
	} else if (info->si_status == 0 && j->op->event) {
		channel_event(l, j->op->event, j->name);
	}
}

static void job_ready(struct loop *l, struct source *s)
{
	struct job *j = (struct job *)s;
	siginfo_t info = { 0 };
	if (waitid(P_PID, (id_t)j->pid, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
		return;
	for (struct job **at = &l->jobs; *at; at = &(*at)->next)
		if (*at == j) {
			*at = j->next;
			break;
		}
	l->njobs--;
	loop_remove(l, s);
	fd_closep(&j->cancel);
	job_finish(l, j, &info);
	if (j->container_ended)
		events_tell_exit(l, j->name);
	free(j);
}
