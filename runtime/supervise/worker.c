/* Work that a process can do once only: it takes another root, other ids and namespaces for it. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "runtime/supervise/internal.h"
#include "runtime/sys.h"

#define LIMIT_MS 10000

int worker_enter(const struct call *c)
{
	return fchdir(c->root) < 0 || chroot(".") < 0 || fchdir(c->cwd) < 0 ? errno : 0;
}

int worker_do(int (*work)(void *arg), void *arg)
{
	auto_close int pidfd = -1;
	pid_t pid = sys_clone(0, &pidfd);
	if (pid == 0)
		_exit(work(arg));
	if (pid < 0)
		return EAGAIN;
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	bool ended = poll(&p, 1, LIMIT_MS) > 0;
	int status;
	if (!ended)
		kill(pid, SIGKILL);
	/* No limit: it has ended or was just killed. */
	if (waitpid(pid, &status, 0) < 0 || !ended)
		return ETIMEDOUT;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}
