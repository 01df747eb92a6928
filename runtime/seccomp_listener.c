/* See seccomp_listener.h. The descriptor is fetched rather than sent by the child, whose sendmsg(2) may be what its filter asks about. */
#include "runtime/seccomp_listener.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/fd.h"
#include "base/log.h"
#include "proto/json.h"
#include "proto/pb.h"
#include "runtime/create.h"
#include "runtime/init/sync.h"

static int connect_to(const char *path, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!path || !*path || strlen(path) >= sizeof(a.sun_path)) {
		err_field(e, "linux.seccomp.listenerPath", "SCMP_ACT_NOTIFY needs the path of an agent's unix socket");
		return err_remedy(e, "use one of 1 to %zu bytes", sizeof(a.sun_path) - 1);
	}
	strcpy(a.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_field(e, "linux.seccomp.listenerPath", "connect to %s: %s", path, strerror(errno));
	return steal_fd(&fd);
}

/* ContainerProcessState of the OCI spec. */
static char *process_state(const Davit__OciSeccomp *s, const Davit__RuntimeState *state, pid_t pid, struct err *e)
{
	auto_pb(Davit__OciState) *oci = create_oci_state(state, "creating", e);
	auto_buf struct buf text = { 0 };

	if (!oci || json_print(&oci->base, false, &text, e) < 0)
		return NULL;
	json_t *j = json_pack("{s:s, s:[s], s:i, s:s, s:o}", "ociVersion", "1.2.0", "fds", "seccompFd", "pid", (int)pid, "metadata",
			      s->listener_metadata ? s->listener_metadata : "", "state", json_loadb(text.data, text.len, 0, NULL));
	char *out = j ? json_dumps(j, JSON_COMPACT) : NULL;
	json_decref(j);
	if (!out)
		err_set(e, ERR_RESOURCE, ENOMEM, "write the process state");
	return out;
}

static int send_with_fd(int sock, const char *text, int fd, struct err *e)
{
	union {
		struct cmsghdr h;
		char b[CMSG_SPACE(sizeof(int))];
	} c = { 0 };
	struct iovec iov = { .iov_base = (char *)text, .iov_len = strlen(text) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.b, .msg_controllen = sizeof(c.b) };

	c.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&c.h), &fd, sizeof(int));
	return sendmsg(sock, &m, MSG_NOSIGNAL) < 0 ? err_sys(e, errno, "send the seccomp listener") : 0;
}

int seccomp_listener_check(const Davit__OciSeccomp *s, const struct seccomp_filter *f, const Davit__SeccompSupervisor *supervised, struct err *e)
{
	if (!f->notifies || supervised || (s->listener_path && *s->listener_path))
		return 0;
	err_field(e, "linux.seccomp.listenerPath", "SCMP_ACT_NOTIFY without anybody who is notified: calls would only fail");
	return err_remedy(e, "name the unix socket of a seccomp agent, or use the annotation " SUPERVISE_ANNOTATION);
}

static int send_listener(int fd, pid_t pid, const Davit__OciSeccomp *s, const Davit__RuntimeState *state, struct err *e)
{
	auto_close int sock = connect_to(s->listener_path, e);
	auto_free char *text = sock < 0 ? NULL : process_state(s, state, pid, e);

	return text ? send_with_fd(sock, text, fd, e) : -1;
}

/* Where davit's own callers want audit lines (DAVIT_AUDIT_FD), else where the log goes. */
static int audit_fd(void)
{
	const char *fd = getenv("DAVIT_AUDIT_FD");

	return fd ? atoi(fd) : log_fd();
}

int seccomp_listener_pass(struct init_child *child, const Davit__OciSeccomp *s, const Davit__SeccompSupervisor *supervised,
			  const Davit__RuntimeState *state, const char *root, struct err *e)
{
	int number = -1, rc;

	if (sync_wait(child->sync, SYNC_SECCOMP, &number, e) < 0)
		return -1;
	auto_close int fd = pidfd_getfd(child->pidfd, number, 0);
	if (fd < 0)
		return err_sys(e, errno, "take the seccomp listener");
	if (supervised)
		rc = supervise_start(state->id, supervised, child->pid, fd, root, audit_fd(), e);
	else
		rc = send_listener(fd, child->pid, s, state, e);
	return rc < 0 ? -1 : sync_send(child->sync, SYNC_TAKEN, 0, e);
}
