/* PROGRAM: `davit-runtime create`, `restore` or `exec`, or anything that starts a process, writes its pid into --pid-file and ends.
 *
 * It is started with the container's stdin, stdout and stderr as its own. What it says on stderr before it ends is its error if it fails; a container
 * that could not be made has written nothing, so both share the pipe. With --terminal the container's stdio is the terminal and the pipe is PROGRAM's
 * alone.
 *
 * Descriptors from 3 on that the caller left open (without close-on-exec) are PROGRAM's, under their numbers; the monitor keeps none. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/proc.h"
#include "base/str.h"
#include "runtime/monitor/monitor.h"

int start_note_inherited(struct monitor *m, struct err *e)
{
	DIR *d = opendir("/proc/self/fd");
	if (!d)
		return err_sys(e, errno, "open /proc/self/fd");
	int rc = 0;
	for (struct dirent *entry; rc == 0 && (entry = readdir(d));) {
		int fd = atoi(entry->d_name);
		if (fd < 3 || fd == dirfd(d) || fd == m->o.sync_fd || fd == m->o.attach_fd)
			continue;
		if (m->n_inherited == INHERITED_MAX)
			rc = err_set(e, ERR_LIMIT, 0, "more than %d descriptors are inherited", INHERITED_MAX);
		else
			m->inherited[m->n_inherited++] = fd;
		(void)fd_set_cloexec(fd, true, NULL);
	}
	closedir(d);
	return rc;
}

/* A pipe for an output. Returns the container's end; ours is watched. */
static int output_pipe(struct monitor *m, int stream, struct err *e)
{
	int p[2];
	if (fd_pipe(p, e) < 0)
		return -1;
	(void)fd_set_nonblock(p[0], true, NULL);
	output_add(m, stream, p[0]);
	return p[1];
}

static int input_pipe(struct monitor *m, struct err *e)
{
	int p[2];
	if (fd_pipe(p, e) < 0)
		return -1;
	(void)fd_set_nonblock(p[1], true, NULL);
	input_watch(m, p[1]);
	return p[0];
}

static int open_null(struct err *e)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return fd < 0 ? err_sys(e, errno, "open /dev/null") : fd;
}

static int child(void *arg)
{
	const struct monitor *m = arg;
	sigset_t none;
	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			signal(sig, SIG_DFL); /* ignored ones would stay ignored over exec */
	sigemptyset(&none);
	umask(m->umask);
	return sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ARGS with `--console-socket PATH` after the runtime's command, or at the end. */
static int add_console(struct strv *v, char *const *program, const char *path, struct err *e)
{
	static const char *const commands[] = { "create", "restore", "exec", "run" };
	bool added = false;
	for (size_t i = 0; program[i]; i++) {
		if (strv_add(v, program[i], e) < 0)
			return -1;
		for (size_t c = 0; i && !added && c < ARRAY_LEN(commands); c++)
			if (str_eq(program[i], commands[c])) {
				if (strv_add(v, "--console-socket", e) < 0 || strv_add(v, path, e) < 0)
					return -1;
				added = true;
			}
	}
	return added || (strv_add(v, "--console-socket", e) == 0 && strv_add(v, path, e) == 0) ? 0 : -1;
}

static int spawn(struct monitor *m, char *const *argv, const int stdio[3], struct err *e)
{
	struct proc_fd fds[INHERITED_MAX + 3];
	size_t n = 0;
	for (int i = 0; i < 3; i++)
		fds[n++] = (struct proc_fd){ stdio[i], i };
	for (int i = 0; i < m->n_inherited; i++)
		fds[n++] = (struct proc_fd){ m->inherited[i], m->inherited[i] };
	const struct proc_spawn s = { .path = argv[0], .argv = argv, .fds = fds, .nfds = n, .child = child, .arg = m };
	m->program = proc_spawn(&s, NULL, e);
	for (int i = 0; i < m->n_inherited; i++)
		close(m->inherited[i]);
	m->n_inherited = 0;
	return m->program < 0 ? -1 : 0;
}

int start_program(struct monitor *m, struct err *e)
{
	auto_strv struct strv args = { 0 };
	auto_close int in = -1, out = -1, err = -1;
	char console[128];
	(void)unlink(m->o.pid_file); /* an old one would be taken for the new */
	if ((err = output_pipe(m, 1, e)) < 0)
		return -1;
	if (m->o.terminal) {
		if (pty_listen(m, console, sizeof(console), e) < 0 || add_console(&args, m->o.program, console, e) < 0 || (in = open_null(e)) < 0 ||
		    (out = fd_dup(err, e)) < 0)
			return -1;
	} else if ((out = output_pipe(m, 0, e)) < 0 || (in = m->o.want_stdin ? input_pipe(m, e) : open_null(e)) < 0) {
		return -1;
	}
	return spawn(m, m->o.terminal ? args.v : m->o.program, (const int[]){ in, out, err }, e);
}

static int read_pid(const char *path, pid_t *pid, struct err *e)
{
	char text[32];
	uint64_t n;
	if (file_read_line(AT_FDCWD, path, text, sizeof(text), e) < 0 || str_to_u64(text, 1, INT32_MAX, &n, "pid file", e) < 0)
		return -1;
	*pid = (pid_t)n;
	return 0;
}

int start_done(struct monitor *m, int wait_status, struct err *e)
{
	siginfo_t info;
	pty_unlisten(m);
	if (!WIFEXITED(wait_status) || WEXITSTATUS(wait_status)) {
		output_note_exit(m);
		(void)output_drain(m);
		return sync_program_error(m, wait_status, e);
	}
	pid_t pid;
	if (read_pid(m->o.pid_file, &pid, e) < 0)
		return -1;
	/* Looks without reaping: only a child of ours, by way of the subreaper, is what PROGRAM started. */
	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return err_set(e, ERR_INTERNAL, 0, "%s holds %d, which is no process that %s started", m->o.pid_file, (int)pid, m->o.program[0]);
	m->init = pid;
	m->oom_fd = cgroup_open_oom(pid);
	m->oom_before = cgroup_oom_count(m->oom_fd);
	drop_privileges(m);
	log_look_again(&m->log);
	sync_pid(m, pid);
	reap_children(m);
	return 0;
}

/* Kills our children until none is left: orphans of PROGRAM come to us as we are their subreaper. Two seconds at most: one that cannot die is beyond
 * help. */
void start_undo(struct monitor *m)
{
	int64_t until = clock_now_ns(CLOCK_MONOTONIC) + 2 * NSEC_PER_SEC;
	while (clock_now_ns(CLOCK_MONOTONIC) < until) {
		char text[4096] = "";
		if (file_read_line(AT_FDCWD, "/proc/thread-self/children", text, sizeof(text), NULL) == 0)
			for (char *rest = text, *word; (word = strsep(&rest, " "));)
				if (atoi(word) > 0)
					kill(atoi(word), SIGKILL);
		if (waitpid(-1, NULL, 0) < 0 && errno == ECHILD)
			break;
	}
	pty_unlisten(m);
	attach_unlink(m);
	(void)unlink(m->o.pid_file);
}
