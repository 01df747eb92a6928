/* Starting a program with exactly the descriptors, signals and session that were asked for.
 *
 * The child tells a failure before or of execve(2) through a pipe that exec closes: end of file means that the program runs.
 * Order in the child: signals back to default, session, death signal, descriptors, the caller's own step, exec. Descriptors: each
 * wanted one is first copied above all target numbers, so that no copy overwrites one still needed; then everything from 3 on is marked
 * close-on-exec by one close_range(2), and dup2(2) puts the wanted ones, unmarked, in their places. Signals stay blocked from before fork
 * until the child has no handler of the parent's left. */
#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/proc.h"

#define SPAWN_FDS_MAX 64

enum stage { STAGE_SESSION, STAGE_DESCRIPTORS, STAGE_CHILD, STAGE_EXEC };
static const char *const stage_names[] = { "leave the session", "place descriptors", "prepare the process", "execute" };

/* What the child reports. */
struct failure {
	enum stage stage;
	int sys;
};

static void default_signals(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	for (int i = 1; i < NSIG; i++)
		sigaction(i, &sa, NULL); /* those that cannot be set are default anyhow */
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int place_descriptors(const struct proc_spawn *s, int *report)
{
	int copies[SPAWN_FDS_MAX], above = 3;
	bool named[3] = { false };
	for (size_t i = 0; i < s->nfds; i++) {
		above = MAX(above, s->fds[i].to + 1);
		if (s->fds[i].to < 3)
			named[s->fds[i].to] = true;
	}
	for (size_t i = 0; i < s->nfds; i++)
		if ((copies[i] = fcntl(s->fds[i].from, F_DUPFD_CLOEXEC, above)) < 0)
			return -1;
	if ((*report = fcntl(*report, F_DUPFD_CLOEXEC, above)) < 0)
		return -1;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || (null = fcntl(null, F_DUPFD_CLOEXEC, above)) < 0)
		return -1;
	if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return -1;
	for (size_t i = 0; i < s->nfds; i++)
		if (dup2(copies[i], s->fds[i].to) < 0)
			return -1;
	for (int i = 0; i < 3; i++)
		if (!named[i] && dup2(null, i) < 0)
			return -1;
	return 0;
}

static void die_with(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pid_t now = getppid();
	if (now != parent && now != 0) /* it died before prctl(2); 0: it lives outside our PID namespace */
		_exit(127);
}

static enum stage run_child(const struct proc_spawn *s, pid_t parent, int *report)
{
	default_signals();
	if (s->new_session && setsid() < 0)
		return STAGE_SESSION;
	if (s->die_with_parent)
		die_with(parent);
	if (place_descriptors(s, report) < 0)
		return STAGE_DESCRIPTORS;
	if (s->child && s->child(s->arg) < 0)
		return STAGE_CHILD;
	if (s->die_with_parent)
		die_with(parent); /* again: a change of user or group in the step above cleared it */
	execve(s->path, s->argv, s->envp ? s->envp : environ);
	return STAGE_EXEC;
}

static pid_t fork_child(const struct proc_spawn *s, int report, struct err *e)
{
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid == 0) {
		struct failure f = { .stage = run_child(s, parent, &report), .sys = errno };
		ssize_t ignored = write(report, &f, sizeof(f));
		(void)ignored; /* the exit status is left to tell it */
		_exit(127);
	}
	int saved = errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return pid < 0 ? err_sys(e, saved, "start %s: fork", s->path) : pid;
}

pid_t proc_spawn(const struct proc_spawn *s, int *pidfd, struct err *e)
{
	if (s->nfds > SPAWN_FDS_MAX)
		return err_set(e, ERR_LIMIT, 0, "start %s: %zu descriptors, at most %d", s->path, s->nfds, SPAWN_FDS_MAX);
	int p[2];
	if (fd_pipe(p, e) < 0)
		return -1;
	auto_close int in = p[0], out = p[1];
	pid_t pid = fork_child(s, out, e);
	if (pid < 0)
		return -1;
	fd_closep(&out);
	struct failure f;
	int rc = fd_read_exact(in, &f, sizeof(f), e);
	if (rc == 0 && pidfd && (*pidfd = proc_pidfd_open(pid, e)) < 0)
		kill(pid, SIGKILL);
	else if (rc == 0)
		return pid;
	if (rc > 0)
		err_sys(e, f.sys, "%s %s", stage_names[f.stage], s->path);
	proc_wait(pid, -1, NULL); /* no limit: it was killed or is at its _exit(2) */
	return -1;
}
