/* davit-monitor: holds one container (or one exec session): its stdio, its log, its terminal, its clients and its exit status.
 *
 *   davit-monitor --id ID --pid-file F --exit-file F --attach F --sync-fd N
 *                 [--log F [--log-max-bytes N] [--log-max-files N] [--log-group GID]] [--attach-fd N]
 *                 [--terminal [--rows N --columns N]] [--stdin] -- PROGRAM ARGS…
 *
 * Steps: leaves its caller (two forks, own session, nothing kept of what it inherited) · opens log, exit folder and attach socket · becomes
 * subreaper · runs PROGRAM with the container's stdio · tells {"pid":N} or {"error":"text"} on --sync-fd · gives up its privileges · serves until
 * the container's first process has ended and its output is read · writes the exit record, tells the clients, ends.
 *
 * What callers rely on:
 * - PROGRAM (an absolute path) must be given the same pid file as --pid-file, which it writes before it ends with status 0. With --terminal,
 *   `--console-socket PATH` is put after its first argument that is create, restore, exec or run (at the end if none is).
 * - Descriptors from 3 on that are open in the monitor are open in PROGRAM, --sync-fd and --attach-fd excepted.
 * - --attach-fd is a connected SOCK_SEQPACKET socket that becomes the first client before PROGRAM starts: nothing of a short exec session is missed.
 * - stdin is /dev/null; with --stdin a pipe that stays open until a client says STDIN_EOF; with --terminal the terminal.
 * - The exit record (JSON, mode 600) is written whole and synced: {"exitCode":N,"exitSignal":N,"finishedAt":"RFC 3339","oomKilled":bool}. It is
 *   there before EXIT is sent to clients, and after the output that lay in the pipes was logged. EXIT is the last datagram.
 * - The monitor ignores SIGTERM, SIGINT and SIGHUP and forwards nothing: it ends with its container, whoever of its callers lives or not. Killed, it
 * leaves the container running without a log and without an exit record.
 * - If PROGRAM fails, nothing is left but what it logged. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "runtime/monitor/monitor.h"

static struct monitor monitor; /* static: too large for a stack, and its unused pages cost nothing */

static void init(struct monitor *m)
{
	struct watch *watches[] = { &m->signals, &m->listener, &m->console, &m->out[0].w, &m->out[1].w, &m->in };
	for (size_t i = 0; i < ARRAY_LEN(watches); i++)
		watches[i]->fd = -1;
	for (size_t i = 0; i < ATTACH_CLIENTS_MAX; i++)
		m->clients[i].w.fd = -1;
	m->epoll = m->exit_dirfd = m->attach_dirfd = m->log.dirfd = m->log.fd = m->pty = m->oom_fd = -1;
	m->umask = umask(022);
	umask(m->umask);
}

static int open_exit_folder(struct monitor *m, struct err *e)
{
	char dir[4096], base[4096];
	snprintf(dir, sizeof(dir), "%s", m->o.exit_file);
	snprintf(base, sizeof(base), "%s", m->o.exit_file);
	if (snprintf(m->exit_name, sizeof(m->exit_name), "%s", basename(base)) >= (int)sizeof(m->exit_name))
		return err_field(e, "exit-file", "%s: the name is too long", m->o.exit_file);
	m->exit_dirfd = open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->exit_dirfd < 0)
		return err_sys(e, errno, "folder of the exit file %s", m->o.exit_file);
	(void)unlinkat(m->exit_dirfd, m->exit_name, 0); /* of the container's earlier life */
	return 0;
}

/* Returns 0 in the process that goes on, 1 in the others, or -1. */
static int leave_caller(struct err *e)
{
	pid_t pid = fork();
	if (pid > 0)
		(void)waitpid(pid, NULL, 0); /* it forks and ends: not left to whoever reaps orphans here */
	if (pid != 0)
		return pid < 0 ? err_sys(e, errno, "fork") : 1;
	setsid();
	pid = fork(); /* no leader of a session: it can never get a controlling terminal */
	if (pid != 0)
		return pid < 0 ? err_sys(e, errno, "fork") : 1;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd < 3; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			return err_sys(e, errno, "open /dev/null");
	if (null > 2)
		close(null);
	return 0;
}

static int run(struct monitor *m, struct err *e)
{
	if (loop_init(m, e) < 0 || log_open(&m->log, &m->o, e) < 0 || open_exit_folder(m, e) < 0 || attach_listen(m, e) < 0 || reap_init(m, e) < 0)
		return -1;
	if (m->o.attach_fd >= 0 && attach_add(m, m->o.attach_fd, !m->o.log) < 0)
		return err_set(e, ERR_LIMIT, 0, "too many clients");
	if (start_program(m, e) < 0)
		return -1;
	return loop_run(m, e);
}

int main(int argc, char **argv)
{
	struct monitor *m = &monitor;
	struct err e;
	err_clear(&e);
	init(m);
	int parsed = options_parse(argc, argv, &m->o, &e);
	if (parsed > 0)
		return 0;
	if (parsed < 0 || start_note_inherited(m, &e) < 0) {
		fprintf(stderr, "davit-monitor: %s\n", e.msg);
		sync_error(m, &e);
		return err_info(e.code)->exit;
	}
	(void)fd_set_cloexec(m->o.sync_fd, true, NULL);
	if (m->o.attach_fd >= 0)
		(void)fd_set_cloexec(m->o.attach_fd, true, NULL);
	int left = leave_caller(&e);
	if (left > 0)
		_exit(0);
	if (left < 0 || run(m, &e) < 0) {
		start_undo(m);
		sync_error(m, &e);
		return err_info(e.code)->exit;
	}
	attach_unlink(m);
	return 0;
}
