/* The core's side of a page store: starting it, and asking it. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/proc.h"
#include "pagestore.pb-c.h"
#include "proto/pb.h"
#include "runtime/pagestore/guard.h"
#include "runtime/pagestore/pagestore.h"

#define ANSWER_MS 10000
#define STREAM_BUFFER (4 << 20)
#define LAZY_SOCKET "lazy-pages.socket"

/* By the folder's descriptor, since its own path may be longer than a socket's address can be. */
static int socket_address(int dirfd, const char *name, struct sockaddr_un *sa)
{
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return snprintf(sa->sun_path, sizeof(sa->sun_path), "/proc/self/fd/%d/%s", dirfd, name) < (int)sizeof(sa->sun_path) ? 0 : -1;
}

static int listen_at(int dirfd, const char *name, int type, struct err *e)
{
	struct sockaddr_un sa;
	if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "remove an old %s", name);
	auto_close int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || socket_address(dirfd, name, &sa) < 0 || bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 16) < 0)
		return err_sys(e, errno, "listen at %s", name);
	return steal_fd(&fd);
}

/* In the child: from here on a process that nobody waits for. */
static void leave(const struct guard *g)
{
	setsid();
	pid_t pid = fork();
	if (pid != 0)
		_exit(pid < 0 ? 1 : 0);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		(void)dup2(null, 0);
		(void)dup2(null, 1);
	}
	(void)!chdir("/");
	guard_run(g);
}

static int spawn(const struct guard *g, struct err *e)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0)
		leave(g);
	if (pid < 0)
		return err_sys(e, errno, "fork");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status ? err_set(e, ERR_RESOURCE, 0, "the page store does not start") : 0;
}

static void widen(int fd)
{
	int size = STREAM_BUFFER;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)); /* refused, it is only slower */
}

static int memory_pair(int sv[2], struct err *e)
{
	if (fd_socketpair(SOCK_STREAM, sv, e) < 0)
		return -1;
	widen(sv[0]);
	widen(sv[1]);
	return 0;
}

int pagestore_start(const struct pagestore_options *o, struct err *e)
{
	int sv[2];
	if (pagestore_end(o->folder, e) < 0 || memory_pair(sv, e) < 0)
		return -1;
	auto_close int ours = sv[0], theirs = sv[1];
	auto_close int folder = file_open_dir(AT_FDCWD, o->folder, e), work = file_open_dir(AT_FDCWD, o->work, e);
	if (folder < 0 || work < 0)
		return -1;
	(void)unlinkat(folder, PAGESTORE_LOST, 0);
	(void)unlinkat(folder, PAGESTORE_DONE, 0);
	auto_close int lazy = listen_at(work, LAZY_SOCKET, SOCK_STREAM, e);
	auto_close int control = lazy < 0 ? -1 : listen_at(folder, PAGESTORE_SOCKET, SOCK_SEQPACKET, e);
	if (control < 0)
		return -1;
	const struct guard g = { .folder = folder,
				 .control = control,
				 .lazy = lazy,
				 .memory = theirs,
				 .images_dirfd = o->images_dirfd,
				 .limit = o->limit / (uint64_t)sysconf(_SC_PAGESIZE) };
	return spawn(&g, e) < 0 ? -1 : steal_fd(&ours);
}

static int lost(struct err *e)
{
	return err_set(e, ERR_CORRUPT, 0, "the container's page store has fallen: its memory is lost");
}

/* A connection, or -1: ERR_NOT_FOUND there is no store, ERR_CORRUPT it has fallen. */
static int connect_to(const char *folder, struct err *e)
{
	struct sockaddr_un sa;
	auto_close int dir = file_open_dir(AT_FDCWD, folder, e);
	if (dir < 0)
		return -1;
	if (file_exists(dir, PAGESTORE_LOST))
		return lost(e);
	if (file_exists(dir, PAGESTORE_DONE))
		return err_set(e, ERR_NOT_FOUND, 0, "the container has all of its memory");
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || socket_address(dir, PAGESTORE_SOCKET, &sa) < 0)
		return err_sys(e, errno, "page store");
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0)
		return steal_fd(&fd);
	if (errno == ECONNREFUSED)
		return err_set(e, ERR_CORRUPT, 0, "the container's page store was killed: its memory is lost");
	if (errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND, 0, "the container has no page store");
	return err_sys(e, errno, "page store");
}

static Davit__StoreReply *hear(int sock, struct err *e)
{
	Davit__StoreReply *reply = NULL;
	int none;
	size_t n = 0;
	int rc = pb_recv(sock, &davit__store_reply__descriptor, &reply, &none, &n, e);
	if (rc == 0)
		err_set(e, ERR_STATE, 0, "the page store has ended before the container had all of its memory");
	if (rc <= 0)
		return NULL;
	if (!reply->error)
		return reply;
	pb_error_get(reply->error, e);
	pb_freep(&reply);
	return NULL;
}

/* One question and its answer. Owned, or NULL. */
static Davit__StoreReply *ask_for(int sock, const Davit__StoreRequest *q, int fd, int wait_ms, struct err *e)
{
	if (pb_send(sock, &q->base, &fd, fd >= 0 ? 1 : 0, e) < 0)
		return NULL;
	int ready = fd_wait(sock, POLLIN, wait_ms, e);
	if (ready == 0)
		err_set(e, ERR_TIMEOUT, 0, "the page store does not answer");
	return ready > 0 ? hear(sock, e) : NULL;
}

static Davit__StoreReply *ask(int sock, const Davit__StoreRequest *q, int fd, struct err *e)
{
	return ask_for(sock, q, fd, ANSWER_MS, e);
}

/* Whether a question failed because the container has all of its memory: a store that is complete ends, whoever is just asking it. One that has
 * fallen says so in *why. */
static bool is_done(const char *folder, struct err *why)
{
	if (why->code == ERR_NOT_FOUND)
		return true;
	if (why->code != ERR_STATE && why->code != ERR_IO)
		return false;
	auto_close int dir = file_open_dir(AT_FDCWD, folder, NULL);
	if (dir >= 0 && file_exists(dir, PAGESTORE_DONE))
		return true;
	if (dir >= 0 && file_exists(dir, PAGESTORE_LOST))
		(void)lost(why);
	return false;
}

bool pagestore_is_busy(const char *folder)
{
	Davit__StoreRequest q = DAVIT__STORE_REQUEST__INIT;
	q.op_case = DAVIT__STORE_REQUEST__OP_STATUS;
	auto_close int sock = connect_to(folder, NULL);
	auto_pb(Davit__StoreReply) *reply = sock < 0 ? NULL : ask(sock, &q, -1, NULL);
	return reply && reply->status && !reply->status->complete;
}

int pagestore_attach(const char *folder, struct err *e)
{
	int sv[2];
	Davit__StoreRequest q = DAVIT__STORE_REQUEST__INIT;
	q.op_case = DAVIT__STORE_REQUEST__OP_ATTACH;
	auto_close int sock = connect_to(folder, e);
	if (sock < 0 || memory_pair(sv, e) < 0)
		return -1;
	auto_close int ours = sv[0], theirs = sv[1];
	auto_pb(Davit__StoreReply) *reply = ask(sock, &q, theirs, e);
	return reply ? steal_fd(&ours) : -1;
}

int pagestore_restore(const char *folder, uint64_t round, struct err *e)
{
	Davit__StoreRequest q = DAVIT__STORE_REQUEST__INIT;
	q.op_case = DAVIT__STORE_REQUEST__OP_RESTORE;
	q.restore = round;
	auto_close int sock = connect_to(folder, e);
	auto_pb(Davit__StoreReply) *reply = sock < 0 ? NULL : ask(sock, &q, -1, e);
	return reply ? 0 : -1;
}

int pagestore_running(const char *folder, pid_t init, struct err *e)
{
	Davit__StoreRequest q = DAVIT__STORE_REQUEST__INIT;
	q.op_case = DAVIT__STORE_REQUEST__OP_RUNNING;
	struct err why = { 0 };
	auto_close int sock = connect_to(folder, &why);
	auto_close int pidfd = sock < 0 ? -1 : proc_pidfd_open(init, e);
	if (sock >= 0 && pidfd < 0)
		return -1;
	/* No limit: the rest of the last round takes what the network takes. */
	auto_pb(Davit__StoreReply) *reply = sock < 0 ? NULL : ask_for(sock, &q, pidfd, -1, &why);
	if (reply || is_done(folder, &why))
		return 0;
	*e = why;
	return -1;
}

int pagestore_end(const char *folder, struct err *e)
{
	Davit__StoreRequest q = DAVIT__STORE_REQUEST__INIT;
	q.op_case = DAVIT__STORE_REQUEST__OP_END;
	auto_free char *path = mem_printf(e, "%s/" PAGESTORE_SOCKET, folder);
	if (!path)
		return -1;
	auto_close int sock = file_exists(AT_FDCWD, path) ? connect_to(folder, NULL) : -1;
	if (sock < 0)
		return 0;
	if (pb_send(sock, &q.base, NULL, 0, NULL) == 0 && fd_wait(sock, POLLIN, ANSWER_MS, e) == 0)
		return err_set(e, ERR_TIMEOUT, 0, "the page store does not end");
	return 0;
}

/* The next word of the store. NULL: e. */
static Davit__StoreReply *next(int sock, int cancel, struct err *e)
{
	struct pollfd p[] = { { .fd = sock, .events = POLLIN }, { .fd = cancel, .events = POLLIN } };
	while (poll(p, 2, -1) < 0)
		if (errno != EINTR) {
			err_sys(e, errno, "poll");
			return NULL;
		}
	if (!p[0].revents) {
		err_set(e, ERR_CANCELLED, 0, "who asked for it is gone");
		return NULL;
	}
	return hear(sock, e);
}

static Davit__MemoryStatus *all_there(struct err *e)
{
	Davit__MemoryStatus *s = pb_new(&davit__memory_status__descriptor, e);
	if (s)
		s->has_complete = s->complete = true;
	return s;
}

Davit__MemoryStatus *pagestore_wait(const char *folder, int cancel, int (*f)(void *arg, const Davit__MemoryStatus *s, struct err *e), void *arg,
				    struct err *e)
{
	struct err why = { 0 };
	Davit__StoreRequest q = DAVIT__STORE_REQUEST__INIT;
	q.op_case = DAVIT__STORE_REQUEST__OP_WAIT;
	auto_close int sock = connect_to(folder, &why);
	int rc = sock < 0 ? -1 : pb_send(sock, &q.base, NULL, 0, NULL); /* refused by one that ends: it is heard below */
	for (; sock >= 0;) {
		auto_pb(Davit__StoreReply) *reply = next(sock, rc < 0 ? -1 : cancel, &why);
		if (!reply || !reply->status)
			break;
		if (!reply->more)
			return steal_ptr(&reply->status);
		if (f && f(arg, reply->status, &why) < 0)
			break;
	}
	if (is_done(folder, &why))
		return all_there(e);
	if (e)
		*e = why;
	return NULL;
}
