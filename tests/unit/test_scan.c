/* criu_obstacles(): a look at live processes that hold one obstacle each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/str.h"
#include "proto/pb.h"
#include "runtime/criu/obstacle.h"

static int outside; /* the parent's end of a socket pair */
static int inside;

static int nothing(void)
{
	return 0;
}
static int io_uring(void)
{
	struct io_uring_params p = { 0 };
	return (int)syscall(SYS_io_uring_setup, 4, &p);
}
static int perf_event(void)
{
	struct perf_event_attr a = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(a), .config = PERF_COUNT_SW_DUMMY, .exclude_kernel = 1 };
	return (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, 0);
}
static int userfault(void)
{
	return (int)syscall(SYS_userfaultfd, 1);
}
static int secret_memory(void)
{
	return (int)syscall(SYS_memfd_secret, 0);
}
static int locked(void)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	return fd < 0 ? -1 : flock(fd, LOCK_EX);
}
static int device(void)
{
	return open("/dev/vsock", O_RDONLY);
}
static int nested(void)
{
	return unshare(CLONE_NEWUTS);
}
static int multipath(void)
{
	return socket(AF_INET, SOCK_STREAM, 262 /* IPPROTO_MPTCP */);
}
static int cipher(void)
{
	return socket(AF_ALG, SOCK_SEQPACKET, 0);
}
static int vsock(void)
{
	return socket(AF_VSOCK, SOCK_STREAM, 0);
}
static int unix_stream(void)
{
	return dup(inside);
}
static int deleted(void)
{
	static char block[1 << 20];
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	for (int i = 0; fd >= 0 && i < 65; i++)
		if (write(fd, block, sizeof(block)) != sizeof(block))
			return -1;
	return fd;
}

/* A helper process of the "container" is what holds it: init is another, so that namespaces differ. */
static pid_t start(int (*hold)(void), bool *can)
{
	int p[2], ok = 0;
	struct err e = { 0 };
	assert_int_equal(fd_pipe(p, &e), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(outside);
		setsid();
		for (int i = 0; i < 3; i++)
			dup2(open("/dev/null", O_RDWR), i);
		ok = hold() >= 0;
		if (hold != unix_stream)
			close(inside);
		if (write(p[1], &ok, sizeof(ok)) == sizeof(ok))
			for (;;)
				pause();
		_exit(1);
	}
	assert_int_equal(read(p[0], &ok, sizeof(ok)), sizeof(ok));
	close(p[0]);
	close(p[1]);
	*can = ok;
	return pid;
}

static Davit__ObstacleList *look(int (*hold)(void), const struct obstacle_scan *how, bool *can)
{
	struct err e = { 0 };
	bool ignored;
	int sv[2];
	assert_int_equal(fd_socketpair(SOCK_STREAM, sv, &e), 0);
	outside = sv[0];
	inside = sv[1];
	pid_t init = start(nothing, &ignored), pids[2] = { init, start(hold, can) };
	close(inside);
	struct obstacle_scan o = *how;
	o.init = init;
	Davit__ObstacleList *l = criu_obstacles(pids, 2, &o, &e);
	for (int i = 0; i < 2; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	close(outside);
	if (!l)
		fail_msg("%s", e.msg);
	return l;
}

static bool has(const Davit__ObstacleList *l, const char *kind)
{
	for (size_t i = 0; i < l->n_obstacles; i++)
		if (str_eq(l->obstacles[i]->kind, kind))
			return true;
	return false;
}

static void each_obstacle_is_seen_without_stopping_anything(void **state)
{
	static const struct {
		const char *kind;
		int (*hold)(void);
	} cases[] = {
		{ "mptcp", multipath },
		{ "socket", cipher },
		{ "socket", vsock },
		{ "io_uring", io_uring },
		{ "perf_event", perf_event },
		{ "userfaultfd", userfault },
		{ "memfd", secret_memory },
		{ "file_lock", locked },
		{ "device", device },
		{ "nested_namespace", nested },
		{ "unix_stream_external", unix_stream },
		{ "ghost_limit", deleted },
	};
	const struct obstacle_scan how = { 0 };
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool can;
		auto_pb(Davit__ObstacleList) *l = look(cases[i].hold, &how, &can);
		if (!can)
			print_message("%s: this kernel does not make it\n", cases[i].kind);
		else if (!has(l, cases[i].kind))
			fail_msg("%s is not seen", cases[i].kind);
	}
}

/* The helper has the test as its parent, not init: that is what an exec session looks like. */
static void a_process_from_outside_is_an_exec_session_and_nothing_else(void **state)
{
	const struct obstacle_scan how = { 0 };
	bool can;
	(void)state;
	auto_pb(Davit__ObstacleList) *l = look(nothing, &how, &can);
	assert_int_equal(l->n_obstacles, 1);
	assert_string_equal(l->obstacles[0]->kind, "exec_session");
	assert_string_equal(l->obstacles[0]->process, "test_scan");
	assert_true(l->obstacles[0]->pid > 0);
}

static void locks_are_none_when_they_are_dumped(void **state)
{
	const struct obstacle_scan how = { .file_locks = true };
	bool can;
	(void)state;
	auto_pb(Davit__ObstacleList) *l = look(locked, &how, &can);
	assert_false(has(l, "file_lock"));
}

static void a_container_that_is_gone_has_none(void **state)
{
	struct err e = { 0 };
	pid_t pid = fork();
	(void)state;
	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	const struct obstacle_scan o = { .init = pid };
	auto_pb(Davit__ObstacleList) *l = criu_obstacles(&pid, 1, &o, &e);
	assert_non_null(l);
	assert_int_equal(l->n_obstacles, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_obstacle_is_seen_without_stopping_anything),
		cmocka_unit_test(a_process_from_outside_is_an_exec_session_and_nothing_else),
		cmocka_unit_test(locks_are_none_when_they_are_dumped),
		cmocka_unit_test(a_container_that_is_gone_has_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
