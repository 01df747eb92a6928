/* `criu page-server` as a child: it ends when the other side has sent everything, and its exit status tells how it went. */
#include "runtime/criu/page_server.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "runtime/criu/criu.h"
#include "runtime/criu/log.h"
#include "runtime/criu/mounts.h"

#define LOG "page-server.log"

static int child_step(void *arg)
{
	return criu_mounts_apply(arg);
}

pid_t criu_page_server(const char *criu, const char *tmp_dir, int images_dirfd, int sock, struct err *e)
{
	struct criu_call c = { .criu = criu, .tmp_dir = tmp_dir };
	struct criu_mounts m;
	char number[16];

	criu_mounts_prepare(&c, &m);
	/* The number of the folder is that of the child, where it is still open when criu reads its arguments. */
	struct path_fd folder = path_of_fd(images_dirfd);
	snprintf(number, sizeof(number), "%d", sock);
	char *argv[] = { (char *)criu, "page-server", "--images-dir", folder.s, "--log-file", LOG, "-v2", "--ps-socket", number, NULL };
	struct proc_fd fds[] = { { images_dirfd, images_dirfd }, { sock, sock } };
	struct proc_spawn spawn = { .path = criu, .argv = argv, .fds = fds, .nfds = 2, .die_with_parent = true, .child = child_step, .arg = &m };
	return proc_spawn(&spawn, NULL, e);
}

int criu_page_server_wait(pid_t pid, int images_dirfd, int timeout_ms, struct err *e)
{
	size_t n;

	int status = proc_wait(pid, timeout_ms, e);
	if (status < 0) {
		kill(pid, SIGKILL);
		proc_wait(pid, -1, NULL); /* no limit: it was killed */
		return -1;
	}
	if (status == 0)
		return 0;
	auto_free char *log = criu_log_tail(images_dirfd, LOG, &n, NULL);
	return criu_log_explain("receive memory pages", log ? log : "", log ? n : 0, NULL, e);
}
