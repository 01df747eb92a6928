/* Children. The monitor is a subreaper (PR_SET_CHILD_SUBREAPER, prctl(2)): the container's first process, whose parent PROGRAM ends, becomes its
 * child, and so does every orphan of it that shares our PID namespace.
 *
 * Until PROGRAM has ended only PROGRAM is reaped, so that an init that is quicker than its runtime is not taken for an orphan.
 *
 * The exit record must not be lost: while it cannot be written (a full disk) it is tried again every second; only when its folder is gone nobody
 * wants it any more. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/monitor/monitor.h"

static void signals_ready(struct monitor *m, struct watch *w, uint32_t events)
{
	struct signalfd_siginfo info;
	(void)events;
	(void)!read(w->fd, &info, sizeof(info));
	if (!m->program)
		reap_children(m);
}

int reap_init(struct monitor *m, struct err *e)
{
	/* A monitor ends when its container has. To end the container is the runtime's work, and there is one way to ask for it. */
	const int ignored[] = { SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGALRM, SIGTERM, SIGUSR1, SIGUSR2, SIGTSTP, SIGTTIN, SIGTTOU, SIGXFSZ, SIGXCPU };
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		signal(ignored[i], SIG_IGN);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	signal(SIGCHLD, SIG_DFL); /* ignored by inheritance it would make wait fail */
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return err_sys(e, errno, "become a subreaper");
	m->signals = (struct watch){ .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .ready = signals_ready };
	if (m->signals.fd < 0 || watch_set(m, &m->signals, EPOLLIN) < 0)
		return err_sys(e, errno, "signalfd");
	return 0;
}

bool reap_program(struct monitor *m, int *wait_status)
{
	if (waitpid(m->program, wait_status, WNOHANG) != m->program)
		return false;
	m->program = 0;
	return true;
}

static void note_exit(struct monitor *m, int wait_status)
{
	m->exited = true;
	m->wait_status = wait_status;
	m->finished_ns = clock_now_ns(CLOCK_REALTIME);
	/* The kernel killed one of its processes since we took it over, and it did not end well. */
	m->oom_killed = reap_exit_code(m) != 0 && cgroup_oom_count(m->oom_fd) > m->oom_before;
	output_note_exit(m);
}

void reap_children(struct monitor *m)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == m->init)
			note_exit(m, status);
}

int reap_exit_code(const struct monitor *m)
{
	return WIFSIGNALED(m->wait_status) ? 128 + WTERMSIG(m->wait_status) : WEXITSTATUS(m->wait_status);
}

void reap_record(struct monitor *m)
{
	char text[256], at[32];
	struct stat st;
	struct err e;
	err_clear(&e);
	int n =
	    snprintf(text, sizeof(text), "{\"exitCode\":%d,\"exitSignal\":%d,\"finishedAt\":\"%s\",\"oomKilled\":%s}\n", reap_exit_code(m),
		     WIFSIGNALED(m->wait_status) ? WTERMSIG(m->wait_status) : 0, clock_rfc3339(m->finished_ns, at), m->oom_killed ? "true" : "false");
	m->recorded = file_write_atomic(m->exit_dirfd, m->exit_name, text, (size_t)n, 0600, true, &e) == 0 ||
		      (fstat(m->exit_dirfd, &st) == 0 && st.st_nlink == 0);
	m->record_again_ns = clock_now_ns(CLOCK_MONOTONIC) + NSEC_PER_SEC;
}
