/* memory: a process of its own serves the private memory of a container (runtime/track/tracker.h). It outlives the core, since a moved container may
 * lack what only it can give; when its socket ends, it ends, and with it every trace of the tracking. */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "proto/pb.h"
#include "runtime/container.h"
#include "runtime/serve/ops.h"
#include "runtime/serve/records.h"
#include "runtime/track/tracker.h"

#define SOCKET_BUFFER (1 << 20)

static int pids_of(void *arg, pid_t **pids, size_t *n, struct err *e)
{
	const struct request *r = arg;
	return container_pids(&r->core->rt, r->name, pids, n, e);
}

static _Noreturn void serve(const struct request *r, int sock)
{
	struct err e = { 0 };
	setsid();
	signal(SIGPIPE, SIG_IGN);
	close(r->sock);
	if (r->cancel >= 0)
		close(r->cancel);
	int rc = tracker_serve(sock, pids_of, (void *)r, &e);
	if (rc < 0)
		log_err(LOG_LEVEL_WARN, r->name, &e);
	_exit(rc < 0);
}

int op_memory(const struct request *r, struct answer *a, struct err *e)
{
	auto_pb(Davit__ContainerStatus) *s = record_require(r->core, r->name, "running paused", e);
	int sv[2], size = SOCKET_BUFFER;
	if (!s || filling_wait(r, e) < 0 || fd_socketpair(SOCK_STREAM, sv, e) < 0)
		return -1;
	(void)setsockopt(sv[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	pid_t pid = fork();
	if (pid == 0) {
		close(sv[1]);
		serve(r, sv[0]);
	}
	close(sv[0]);
	if (pid < 0) {
		close(sv[1]);
		return err_sys(e, errno, "fork");
	}
	a->fds[a->nfds++] = sv[1];
	a->reply->result_case = DAVIT__CORE_REPLY__RESULT_STREAMS;
	a->reply->streams = pb_new(&davit__streams_ready__descriptor, e);
	return a->reply->streams ? 0 : -1;
}
