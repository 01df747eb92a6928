/* Taking a userfaultfd from a process: whatever it waits in, it waits on, and has nothing afterwards that it had not before. */
#include "tests/unit/unit.h"
#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include "base/clock.h"
#include "runtime/track/uffd.h"

#define TIMES 20

static int wake[2]; /* a byte ends the child's call */
static int queue;   /* of semaphores */

/* Calls that wait, each in a child: they return 0 when they ended as they should, and never by EINTR. */
static int in_read(void)
{
	char c;
	return read(wake[0], &c, 1) == 1 ? 0 : 1;
}

static int in_poll(void)
{
	struct pollfd p = { .fd = wake[0], .events = POLLIN };
	return poll(&p, 1, 60000) == 1 ? 0 : 1;
}

static int in_epoll_wait(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = epoll_create1(0);
	return epoll_ctl(fd, EPOLL_CTL_ADD, wake[0], &ev) == 0 && epoll_wait(fd, &ev, 1, -1) == 1 ? 0 : 1;
}

static int in_epoll_pwait(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	sigset_t set;
	int fd = epoll_create1(0);
	sigfillset(&set);
	return epoll_ctl(fd, EPOLL_CTL_ADD, wake[0], &ev) == 0 && epoll_pwait(fd, &ev, 1, 60000, &set) == 1 ? 0 : 1;
}

static int in_semop(void)
{
	struct sembuf take = { .sem_op = -1 };
	return semop(queue, &take, 1) == 0 ? 0 : 1;
}

static int in_nanosleep(void)
{
	struct timespec t = { .tv_nsec = 300000000 };
	int64_t begin = clock_now_ns(CLOCK_MONOTONIC);
	if (nanosleep(&t, NULL) != 0)
		return 1;
	int64_t took = clock_now_ns(CLOCK_MONOTONIC) - begin;
	return took >= 300 * NSEC_PER_MSEC && took < 450 * NSEC_PER_MSEC ? 0 : 2; /* not begun anew */
}

static int in_sigtimedwait(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	return sigwaitinfo(&set, NULL) == SIGUSR1 ? 0 : 1;
}

static volatile sig_atomic_t handled;
static void handler(int sig)
{
	(void)sig;
	handled++;
}

/* sigsuspend ends by a handler only, and the mask is as before. */
static int in_sigsuspend(void)
{
	sigset_t all, most, now;
	sigfillset(&all);
	sigfillset(&most);
	sigdelset(&most, SIGUSR1);
	signal(SIGUSR1, handler);
	sigprocmask(SIG_SETMASK, &all, NULL);
	if (sigsuspend(&most) != -1 || errno != EINTR || handled != 1)
		return 1;
	sigprocmask(SIG_SETMASK, NULL, &now);
	return sigismember(&now, SIGUSR1) && sigismember(&now, SIGTERM) ? 0 : 2;
}

/* A program that only computes: no register may change. */
static int in_user_mode(void)
{
	uint64_t a = 1, b = 2, c = 3, d = 4;
	double x = 1.0;
	struct pollfd p = { .fd = wake[0], .events = POLLIN };
	for (int round = 0; poll(&p, 1, 0) == 0; round++)
		for (int i = 0; i < 2000000; i++) {
			a = a * 3 + 1, b += a ^ c, c = (c << 7 | c >> 57) + d, d ^= b;
			x = x * 0.5 + 1.0;
		}
	uint64_t a2 = a, again = 0;
	for (int i = 0; i < 1000; i++)
		again += a2;
	return again == a2 * 1000 && x > 1.9 && x < 2.1 ? 0 : 1;
}

static void wake_up(pid_t pid)
{
	struct sembuf give = { .sem_op = 1 };
	assert_int_equal(write(wake[1], "x", 1), 1);
	semop(queue, &give, 1);
	kill(pid, SIGUSR1);
}

static const struct {
	const char *name;
	long nr; /* -1: in none */
	int (*run)(void);
} calls[] = {
	{ "read", SYS_read, in_read },
	{ "poll", SYS_poll, in_poll },
	{ "epoll_wait", SYS_epoll_wait, in_epoll_wait },
	{ "epoll_pwait", SYS_epoll_pwait, in_epoll_pwait },
	{ "semop", SYS_semtimedop, in_semop },
	{ "nanosleep", SYS_clock_nanosleep, in_nanosleep },
	{ "sigwaitinfo", SYS_rt_sigtimedwait, in_sigtimedwait },
	{ "sigsuspend", SYS_rt_sigsuspend, in_sigsuspend },
	{ "user mode", -1, in_user_mode },
};

/* Waits until the child is where it should be. */
static void wait_in(pid_t pid, long nr)
{
	char path[64], line[256];
	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	for (int i = 0; i < 2000; i++) {
		struct timespec t = { .tv_nsec = 1000000 };
		if (file_read_line(AT_FDCWD, path, line, sizeof(line), NULL) == 0 && (nr < 0 ? line[0] == 'r' : strtol(line, NULL, 10) == nr))
			return;
		nanosleep(&t, NULL);
	}
	fail_msg("the child is in call %s", line);
}

static int open_descriptors(pid_t pid)
{
	char path[64];
	int n = 0;
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	DIR *d = opendir(path);
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void take_and_close(pid_t pid)
{
	struct err e = { 0 };
	uint64_t us;
	int fd = uffd_of_process(pid, &us, &e);
	if (fd < 0)
		fail_msg("%s", e.msg);
	close(fd);
}

static void assert_ended_well(pid_t pid, const char *what)
{
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("%s: status 0x%x", what, status);
}

/* A child that waits in calls[i]. */
static pid_t start_call(size_t i)
{
	assert_int_equal(pipe(wake), 0);
	queue = semget(IPC_PRIVATE, 1, 0600);
	pid_t pid = fork();
	if (pid == 0) {
		sigset_t usr1;
		sigemptyset(&usr1);
		sigaddset(&usr1, SIGUSR1);
		sigprocmask(SIG_BLOCK, &usr1, NULL);
		_exit(calls[i].run());
	}
	wait_in(pid, calls[i].nr);
	return pid;
}

static void end_call(pid_t pid, size_t i)
{
	wake_up(pid);
	assert_ended_well(pid, calls[i].name);
	semctl(queue, 0, IPC_RMID);
	close(wake[0]);
	close(wake[1]);
}

static void each_wait_goes_on(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		pid_t pid = start_call(i);
		int before = open_descriptors(pid);
		for (int k = 0; k < TIMES; k++)
			take_and_close(pid);
		assert_int_equal(open_descriptors(pid), before);
		end_call(pid, i);
	}
}

/* Takes one descriptor after the other until it is killed. */
static pid_t start_asker(pid_t pid, int began)
{
	pid_t asker = fork();
	if (asker == 0) {
		struct err e = { 0 };
		uint64_t us;
		setpgid(0, 0);
		(void)!write(began, "x", 1);
		for (;;)
			close(uffd_of_process(pid, &us, &e));
	}
	return asker;
}

static bool is_traced(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	auto_free char *text = file_read(AT_FDCWD, path, 1 << 16, NULL, NULL);
	return text && !strstr(text, "TracerPid:\t0\n");
}

/* At any moment of the calls that are made in the process; SIGTERM comes to the tracer as well. */
static void who_asked_may_be_killed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		int began[2];
		char c;
		assert_int_equal(pipe(began), 0);
		pid_t pid = start_call(i);
		int before = open_descriptors(pid);
		for (int k = 0; k < TIMES; k++) {
			pid_t asker = start_asker(pid, began[1]);
			assert_int_equal(read(began[0], &c, 1), 1);
			struct timespec t = { .tv_nsec = 300000 + 37000 * k };
			nanosleep(&t, NULL);
			assert_int_equal(k % 2 ? kill(asker, SIGKILL) : kill(-asker, SIGTERM), 0);
			assert_int_equal(waitpid(asker, NULL, 0), asker);
			while (is_traced(pid))
				poll(NULL, 0, 1);
		}
		assert_int_equal(open_descriptors(pid), before);
		end_call(pid, i);
		close(began[0]);
		close(began[1]);
	}
}

static void *thread_waits(void *arg)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = epoll_create1(0);
	(void)arg;
	epoll_ctl(fd, EPOLL_CTL_ADD, wake[0], &ev);
	return (void *)(intptr_t)(epoll_wait(fd, &ev, 1, 30000) == 1 ? 0 : 1);
}

static void all_threads_go_on(void **state)
{
	(void)state;
	assert_int_equal(pipe(wake), 0);
	pid_t pid = fork();
	if (pid == 0) {
		pthread_t t[16];
		intptr_t bad = 0;
		for (size_t i = 0; i < ARRAY_LEN(t); i++)
			pthread_create(&t[i], NULL, thread_waits, NULL);
		for (size_t i = 0; i < ARRAY_LEN(t); i++) {
			void *result;
			pthread_join(t[i], &result);
			bad |= (intptr_t)result;
		}
		_exit(bad ? 1 : 0);
	}
	wait_in(pid, SYS_futex);
	for (int k = 0; k < TIMES; k++)
		take_and_close(pid);
	assert_int_equal(write(wake[1], "x", 1), 1);
	assert_ended_well(pid, "threads");
	close(wake[0]);
	close(wake[1]);
}

/* Kills at any call but these. */
static void allow_little(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_restart_syscall, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = ARRAY_LEN(code), .filter = code };
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
		_exit(9);
}

static void a_filter_of_seccomp_does_not_see_it(void **state)
{
	(void)state;
	assert_int_equal(pipe(wake), 0);
	pid_t pid = fork();
	if (pid == 0) {
		char c;
		allow_little();
		// By the bare calls: a sanitizer's own read and end make others, which would be killed.
		syscall(SYS_exit_group, syscall(SYS_read, wake[0], &c, 1) == 1 ? 0 : 1);
	}
	wait_in(pid, SYS_read);
	for (int k = 0; k < TIMES; k++)
		take_and_close(pid);
	assert_int_equal(write(wake[1], "x", 1), 1);
	assert_ended_well(pid, "seccomp");
	close(wake[0]);
	close(wake[1]);
}

static void a_process_in_a_user_namespace_is_tracked_too(void **state)
{
	(void)state;
	assert_int_equal(pipe(wake), 0);
	pid_t pid = fork();
	if (pid == 0) {
		char c;
		if (unshare(CLONE_NEWUSER) < 0)
			_exit(77);
		_exit(read(wake[0], &c, 1) == 1 ? 0 : 1);
	}
	wait_in(pid, SYS_read);
	take_and_close(pid);
	assert_int_equal(write(wake[1], "x", 1), 1);
	assert_ended_well(pid, "user namespace");
	close(wake[0]);
	close(wake[1]);
}

/* Its parent learns of one stop, SIGSTOP's, and of nothing more. */
static void a_stopped_process_stays_stopped(void **state)
{
	siginfo_t info = { 0 };
	(void)state;
	assert_int_equal(pipe(wake), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(in_read());
	wait_in(pid, SYS_read);
	kill(pid, SIGSTOP);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WSTOPPED), 0);
	for (int k = 0; k < TIMES; k++)
		take_and_close(pid);
	info = (siginfo_t){ 0 };
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOHANG), 0);
	assert_int_equal(info.si_pid, 0);
	char path[64], line[512];
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	assert_int_equal(file_read_line(AT_FDCWD, path, line, sizeof(line), NULL), 0);
	assert_int_equal(strrchr(line, ')')[2], 'T');
	assert_int_equal(write(wake[1], "x", 1), 1);
	kill(pid, SIGCONT);
	assert_ended_well(pid, "stopped");
	close(wake[0]);
	close(wake[1]);
}

/* Signals that come in between are all handled, once each, and no call says EINTR that no handler interrupted. */
static void signals_in_between_are_handled(void **state)
{
	(void)state;
	assert_int_equal(pipe(wake), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct epoll_event ev = { .events = EPOLLIN };
		struct itimerspec every = { .it_interval.tv_nsec = 700000, .it_value.tv_nsec = 700000 };
		struct sigevent by = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2 };
		timer_t timer;
		int fd = epoll_create1(0), rc;
		epoll_ctl(fd, EPOLL_CTL_ADD, wake[0], &ev);
		signal(SIGUSR2, handler);
		timer_create(CLOCK_MONOTONIC, &by, &timer);
		timer_settime(timer, 0, &every, NULL);
		int told = 0;
		for (;;) {
			int before = handled;
			rc = epoll_wait(fd, &ev, 1, -1);
			if (rc >= 0)
				break;
			if (handled == before)
				told++;
		}
		_exit(rc == 1 && told == 0 ? 0 : 1);
	}
	wait_in(pid, SYS_epoll_wait);
	for (int k = 0; k < 200; k++)
		take_and_close(pid);
	assert_int_equal(write(wake[1], "x", 1), 1);
	assert_ended_well(pid, "signals");
	close(wake[0]);
	close(wake[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_wait_goes_on),
		cmocka_unit_test(who_asked_may_be_killed),
		cmocka_unit_test(all_threads_go_on),
		cmocka_unit_test(a_filter_of_seccomp_does_not_see_it),
		cmocka_unit_test(a_process_in_a_user_namespace_is_tracked_too),
		cmocka_unit_test(a_stopped_process_stays_stopped),
		cmocka_unit_test(signals_in_between_are_handled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
