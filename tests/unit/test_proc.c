/* Starting programs, waiting, and knowing processes again, also from another time namespace. */
#include "tests/unit/unit.h"
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/clock.h"
#include "base/proc.h"
#include "base/str.h"

#define SHELL(script) ((char *const[]){ (char *)"sh", (char *)"-c", (char *)(script), NULL })

/* What a shell script prints when it is spawned so. Owned. */
static char *output_of(struct proc_spawn s, const char *script)
{
	struct err e = { 0 };
	int p[2];
	assert_int_equal(fd_pipe(p, NULL), 0);
	struct proc_fd fds[8];
	for (size_t i = 0; i < s.nfds; i++)
		fds[i] = s.fds[i];
	fds[s.nfds] = (struct proc_fd){ p[1], 1 };
	s.path = "/bin/sh";
	s.argv = SHELL(script);
	s.fds = fds;
	s.nfds++;
	pid_t pid = proc_spawn(&s, NULL, &e);
	if (pid < 0)
		fail_msg("%s", e.msg);
	close(p[1]);
	char *text = fd_read_all(p[0], 1 << 16, NULL, NULL);
	close(p[0]);
	assert_int_equal(proc_exit_code(proc_wait(pid, 10000, NULL)), 0);
	return text;
}

static void child_has_the_named_descriptors_only(void **state)
{
	(void)state;
	int p[2];
	assert_int_equal(fd_pipe(p, NULL), 0);
	int leaked = open("/dev/zero", O_RDONLY); /* NOLINT: not close-on-exec on purpose */
	const struct proc_fd fds[] = { { p[0], 5 }, { p[1], p[0] } };
	auto_free char *text = output_of((struct proc_spawn){ .fds = fds, .nfds = 2 }, "ls -l /proc/self/fd | sed 's/.* \\([0-9]* -> .*\\)/\\1/'");
	char want[64];
	snprintf(want, sizeof(want), "%d -> pipe:", p[0]);
	assert_non_null(strstr(text, "0 -> /dev/null"));
	assert_non_null(strstr(text, "2 -> /dev/null"));
	assert_non_null(strstr(text, "5 -> pipe:"));
	assert_non_null(strstr(text, want));
	assert_null(strstr(text, "/dev/zero"));
	close(leaked);
	close(p[0]);
	close(p[1]);
}

static void descriptors_may_change_places(void **state)
{
	(void)state;
	int a[2], b[2];
	assert_int_equal(fd_pipe(a, NULL), 0);
	assert_int_equal(fd_pipe(b, NULL), 0);
	const struct proc_fd fds[] = { { a[0], b[0] }, { b[0], a[0] } };
	assert_int_equal(write(a[1], "a\n", 2), 2);
	assert_int_equal(write(b[1], "b\n", 2), 2);
	char script[64];
	snprintf(script, sizeof(script), "read x <&%d; read y <&%d; echo $x$y", a[0], b[0]);
	auto_free char *text = output_of((struct proc_spawn){ .fds = fds, .nfds = 2 }, script);
	assert_string_equal(text, "ba\n");
	int all[] = { a[0], a[1], b[0], b[1] };
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		close(all[i]);
}

static void failed_exec_is_told_to_the_parent(void **state)
{
	(void)state;
	struct err e = { 0 };
	int pidfd = -1;
	struct proc_spawn s = { .path = "/no/such/program", .argv = SHELL("") };
	assert_int_equal(proc_spawn(&s, &pidfd, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_string_equal(e.msg, "execute /no/such/program: No such file or directory");
	assert_int_equal(pidfd, -1);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static int refuse(void *arg)
{
	errno = *(int *)arg;
	return -1;
}

static void failed_step_is_told_to_the_parent(void **state)
{
	(void)state;
	struct err e = { 0 };
	int sys = ENOSPC;
	struct proc_spawn s = { .path = "/bin/true", .argv = SHELL(""), .child = refuse, .arg = &sys };
	assert_int_equal(proc_spawn(&s, NULL, &e), -1);
	assert_string_equal(e.msg, "prepare the process /bin/true: No space left on device");
	const struct proc_fd fds[] = { { 9999, 3 } };
	struct proc_spawn bad = { .path = "/bin/true", .argv = SHELL(""), .fds = fds, .nfds = 1 };
	assert_int_equal(proc_spawn(&bad, NULL, &e), -1);
	assert_string_equal(e.msg, "place descriptors /bin/true: Bad file descriptor");
}

static void child_has_default_signals_own_session_and_environment(void **state)
{
	(void)state;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	char *env[] = { (char *)"A=1", NULL };
	auto_free char *text = output_of((struct proc_spawn){ .new_session = true, .envp = env },
					 /* Signals 32 and 33 are the C library's own: it sets them for nobody. */
					 "sed -nE '/^Sig(Blk|Ign):/{s/000000(00|01)[08]0000000$/0000000000000000/;p}' /proc/self/status; [ $(ps -o "
					 "sid= $$ 2>/dev/null || echo $$) = $$ ] && echo $A $HOME");
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	signal(SIGPIPE, SIG_DFL);
	assert_string_equal(text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n1\n");
}

static void child_dies_with_its_parent(void **state)
{
	(void)state;
	int p[2], sync[2];
	assert_int_equal(fd_pipe(p, NULL), 0);
	assert_int_equal(fd_pipe(sync, NULL), 0);
	pid_t parent = fork();
	if (parent == 0) {
		const struct proc_fd fds[] = { { p[1], 1 } };
		struct proc_spawn s = { .path = "/bin/sh", .argv = SHELL("exec sleep 1000"), .fds = fds, .nfds = 1, .die_with_parent = true };
		pid_t child = proc_spawn(&s, NULL, NULL);
		_exit(write(sync[1], &child, sizeof(child)) == sizeof(child) && child > 0 ? 0 : 1);
	}
	close(p[1]);
	assert_int_equal(proc_exit_code(proc_wait(parent, 10000, NULL)), 0);
	/* The end of file comes when the grandchild, which holds the other end, is dead. */
	assert_true(fd_wait(p[0], POLLIN | POLLHUP, 10000, NULL) & POLLHUP);
	close(p[0]);
	close(sync[0]);
	close(sync[1]);
}

static void waiting_has_a_limit(void **state)
{
	(void)state;
	struct err e = { 0 };
	int pidfd = -1;
	struct proc_spawn s = { .path = "/bin/sh", .argv = SHELL("exec sleep 1000") };
	pid_t pid = proc_spawn(&s, &pidfd, &e);
	assert_true(pid > 0 && pidfd >= 0);
	assert_int_equal(proc_wait(pid, 20, &e), -1);
	assert_int_equal(e.code, ERR_TIMEOUT);
	assert_int_equal(proc_pidfd_kill(pidfd, SIGKILL, &e), 0);
	assert_int_equal(proc_exit_code(proc_wait(pid, -1, &e)), 128 + SIGKILL);
	assert_int_equal(proc_pidfd_kill(pidfd, SIGKILL, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	close(pidfd);
}

static void a_process_is_known_again_and_a_dead_one_is_not_alive(void **state)
{
	(void)state;
	struct err e = { 0 };
	uint64_t ticks;
	struct proc_spawn s = { .path = "/bin/sh", .argv = SHELL("exec sleep 1000") };
	pid_t pid = proc_spawn(&s, NULL, &e);
	assert_int_equal(proc_start_time(pid, &ticks, &e), 0);
	assert_true(proc_is_alive(pid, ticks));
	assert_true(proc_is_alive(pid, ticks + 1));
	assert_true(proc_is_alive(pid, ticks - 1));
	assert_false(proc_is_alive(pid, ticks + 2));
	assert_false(proc_is_alive(pid, ticks - 2));
	kill(pid, SIGKILL);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_false(proc_is_alive(pid, ticks)); /* a zombie */
	proc_wait(pid, -1, NULL);
	assert_false(proc_is_alive(pid, ticks));
	assert_int_equal(proc_start_time(pid, &ticks, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_false(proc_is_alive(-1, 0));
}

static void what_a_descriptor_tells_is_read(void **state)
{
	struct err e = { 0 };
	uint64_t n = 7;
	(void)state;
	auto_close int fd = open("/dev/null", O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(proc_fd_number(getpid(), fd, "flags", 8, &n, &e), 0);
	assert_int_equal(n & (O_ACCMODE | O_APPEND), O_WRONLY | O_APPEND);
	assert_int_equal(proc_fd_number(getpid(), fd, "mnt_id", 10, &n, &e), 0);
	assert_true(n > 0);
	assert_int_equal(proc_fd_number(getpid(), fd, "id", 10, &n, &e), -1); /* no part of a key is one */
	assert_int_equal(e.code, ERR_INTERNAL);
	assert_int_equal(proc_fd_number(getpid(), 1 << 20, "flags", 8, &n, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

static void names_with_brackets_do_not_confuse(void **state)
{
	(void)state;
	uint64_t before, after;
	assert_int_equal(proc_start_time(getpid(), &before, NULL), 0);
	prctl(PR_SET_NAME, ") Z 1 (x) 2");
	assert_int_equal(proc_start_time(getpid(), &after, NULL), 0);
	assert_int_equal(before, after);
	assert_true(proc_is_alive(getpid(), before));
}

static void write_result(int fd, uint64_t v)
{
	if (write(fd, &v, sizeof(v)) != sizeof(v))
		_exit(1);
}

static void start_time_is_the_same_from_another_time_namespace(void **state)
{
	(void)state;
	uint64_t here, there;
	int p[2];
	assert_int_equal(fd_pipe(p, NULL), 0);
	assert_int_equal(proc_start_time(getpid(), &here, NULL), 0);
	pid_t target = getpid(), pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWTIME) < 0 || file_write_pseudo(AT_FDCWD, "/proc/self/timens_offsets", "boottime 864000 5000001\n", NULL) < 0)
			_exit(77);
		uint64_t between;
		struct err e = { 0 };
		/* Still in the old namespace, with a new one for children. */
		write_result(p[1], proc_start_time(target, &between, &e) == 0 ? between : UINT64_MAX);
		pid_t inner = fork();
		if (inner == 0) {
			uint64_t ticks = 0;
			int rc = proc_start_time(target, &ticks, NULL);
			write_result(p[1], rc == 0 ? ticks : UINT64_MAX);
			_exit(0);
		}
		_exit(proc_exit_code(proc_wait(inner, -1, NULL)));
	}
	int code = proc_exit_code(proc_wait(pid, -1, NULL));
	close(p[1]);
	if (code == 77) {
		close(p[0]);
		print_message("no right to make a time namespace here\n");
		skip();
	}
	assert_int_equal(fd_read_exact(p[0], &there, sizeof(there), NULL), 1);
	assert_in_range(there, here - 1, here + 1);
	assert_int_equal(fd_read_exact(p[0], &there, sizeof(there), NULL), 1);
	assert_in_range(there, here - 1, here + 1);
	close(p[0]);
}

static void boot_id_is_a_uuid(void **state)
{
	(void)state;
	char id[37];
	assert_int_equal(proc_boot_id(id, NULL), 0);
	assert_int_equal(strlen(id), 36);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(child_has_the_named_descriptors_only),
		cmocka_unit_test(descriptors_may_change_places),
		cmocka_unit_test(failed_exec_is_told_to_the_parent),
		cmocka_unit_test(failed_step_is_told_to_the_parent),
		cmocka_unit_test(child_has_default_signals_own_session_and_environment),
		cmocka_unit_test(child_dies_with_its_parent),
		cmocka_unit_test(waiting_has_a_limit),
		cmocka_unit_test(a_process_is_known_again_and_a_dead_one_is_not_alive),
		cmocka_unit_test(what_a_descriptor_tells_is_read),
		cmocka_unit_test(names_with_brackets_do_not_confuse),
		cmocka_unit_test(start_time_is_the_same_from_another_time_namespace),
		cmocka_unit_test(boot_id_is_a_uuid),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
