/* See uffd.h. The tracer is a child of ours, so that its end lets go of threads that did not stop in time, and takes nobody's SIGCHLD.
 *
 * Were it to end within a call that it makes a thread do, that thread would go on with registers that are not its own. So it depends on nobody: it
 * finishes if we are killed meanwhile, no signal but SIGKILL reaches it, and the kernel does not choose it when memory runs out. */
#include "runtime/track/uffd.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "runtime/track/inject.h"
#include "runtime/track/pagemap.h"

/* Newer than the headers of Debian 12 (include/uapi/linux/userfaultfd.h, Linux 6.7). */
#define WP_UNPOPULATED (1 << 13)
#define WP_ASYNC (1 << 15)
#define STOP_LIMIT_MS 100  /* for its threads to stop */
#define CALLS_LIMIT_MS 500 /* for its calls, which do not wait */

struct result {
	struct err error;
	uint64_t stopped_us;
};

/* Without more than user mode's faults no privilege is asked for (vm.unprivileged_userfaultfd), and in asynchronous mode nothing is lost by it. */
static int take(struct inject *i, int pidfd, int *uffd, struct err *e)
{
	long fd, closed;

	if (inject_call(i, SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY, 0, &fd, e) < 0)
		return -1;
	if (fd < 0)
		return err_sys(e, (int)-fd, "userfaultfd");
	*uffd = (int)syscall(SYS_pidfd_getfd, pidfd, (int)fd, 0);
	int failed = *uffd < 0 ? errno : 0;
	if (inject_call(i, SYS_close, (uint64_t)fd, 0, &closed, e) < 0)
		return -1;
	return failed ? err_sys(e, failed, "pidfd_getfd") : 0;
}

static int take_stopped(const struct stop *s, int pidfd, int *uffd, struct err *e)
{
	struct inject i;

	if (inject_begin(&i, s, CALLS_LIMIT_MS, e) < 0)
		return -1;
	int rc = take(&i, pidfd, uffd, e);
	return inject_end(&i, rc < 0 ? NULL : e) < 0 ? -1 : rc;
}

/* SIGCHLD is blocked to be waited for. */
static void become_undisturbed(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	(void)file_write_pseudo(AT_FDCWD, "/proc/self/oom_score_adj", "-1000", NULL);
}

static int trace(pid_t pid, int *uffd, struct result *r)
{
	struct stop s = { 0 };

	become_undisturbed();
	auto_close int pidfd = proc_pidfd_open(pid, &r->error);
	int64_t begin = clock_now_ns(CLOCK_MONOTONIC);
	if (pidfd < 0 || stop_process(&s, pid, STOP_LIMIT_MS, &r->error) < 0)
		return -1;
	int rc = take_stopped(&s, pidfd, uffd, &r->error);
	if (stop_release(&s, &r->error) < 0)
		rc = -1;
	r->stopped_us = (uint64_t)(clock_now_ns(CLOCK_MONOTONIC) - begin) / NSEC_PER_USEC;
	return rc;
}

static void trace_and_tell(pid_t pid, int sock)
{
	struct result r = { 0 };
	int uffd = -1;

	if (trace(pid, &uffd, &r) < 0 && r.error.code == ERR_NONE)
		err_set(&r.error, ERR_INTERNAL, 0, "process %d: no reason", pid);
	(void)fd_send_msg(sock, &r, sizeof(r), &uffd, uffd >= 0 ? 1 : 0, NULL);
	_exit(0);
}

static int receive(int sock, uint64_t *stopped_us, struct err *e)
{
	struct result r;
	int uffd = -1;
	size_t nfds = 1;

	ssize_t n = fd_recv_msg(sock, &r, sizeof(r), &uffd, &nfds, e);
	if (n < 0)
		return -1;
	if (n != sizeof(r))
		return err_set(e, ERR_INTERNAL, 0, "the tracer has ended");
	*stopped_us = r.stopped_us;
	if (r.error.code == ERR_NONE && nfds == 1)
		return uffd;
	if (nfds == 1)
		close(uffd);
	if (e)
		*e = r.error;
	return -1;
}

static int set_up(int uffd, struct err *e)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP | WP_UNPOPULATED | WP_ASYNC };

	return ioctl(uffd, UFFDIO_API, &api) < 0 ? err_set(e, ERR_UNSUPPORTED, errno, "UFFDIO_API") : 0;
}

int uffd_of_process(pid_t pid, uint64_t *stopped_us, struct err *e)
{
	int sv[2];

	*stopped_us = 0;
	if (fd_socketpair(SOCK_SEQPACKET, sv, e) < 0)
		return -1;
	auto_close int ours = sv[0];
	pid_t tracer = fork();
	if (tracer == 0) {
		close(sv[0]);
		trace_and_tell(pid, sv[1]);
	}
	close(sv[1]);
	if (tracer < 0)
		return err_sys(e, errno, "fork");
	auto_close int uffd = receive(ours, stopped_us, e);
	while (waitpid(tracer, NULL, 0) < 0 && errno == EINTR)
		;
	return uffd < 0 || set_up(uffd, e) < 0 ? -1 : steal_fd(&uffd);
}

/* A mapping may have come here by mremap(2) with marks of an earlier place that some kernels leave in its pages. ERR_NOT_FOUND: there is no such
 * address space any more. */
static int forget_marks(int uffd, uint64_t start, uint64_t end, struct err *e)
{
	struct uffdio_writeprotect wp = { .range = { .start = start, .len = end - start } };

	while (ioctl(uffd, UFFDIO_WRITEPROTECT, &wp) < 0)
		if (errno != EAGAIN && errno != EINTR)
			return err_set(e, errno == ESRCH ? ERR_NOT_FOUND : ERR_UNSUPPORTED, errno, "UFFDIO_WRITEPROTECT");
	return 0;
}

int uffd_register(int uffd, int pagemap, uint64_t start, uint64_t end, struct err *e)
{
	struct uffdio_register reg = { .range = { .start = start, .len = end - start }, .mode = UFFDIO_REGISTER_MODE_WP };
	bool tracked = pagemap_is_tracked(pagemap, start, end);

	/* It says the same of a process that has ended and of a mapping that is gone. */
	if (ioctl(uffd, UFFDIO_REGISTER, &reg) < 0) {
		err_set(e, ERR_UNSUPPORTED, errno, "UFFDIO_REGISTER");
		(void)forget_marks(uffd, start, end, e);
		return -1;
	}
	if (tracked)
		return 1;
	return forget_marks(uffd, start, end, e);
}
