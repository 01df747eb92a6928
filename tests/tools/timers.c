/* Waits in every way that Linux has, and tells how late each was on its own clock (linked statically; runs inside the tests' containers).
 *
 * timers FILE SECONDS   One process for each kind of wait, all for SECONDS; FILE gets a line "NAME LATE" for each when it is over, LATE in ns of the
 *                       clock that the wait is on. A move in between must not make any of them early or much late: each fires when its clock says so.
 *                       A wait that ends early with EINTR goes on with what is left, as programs do. Runs on afterwards. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SEC INT64_C(1000000000)

static int64_t now(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return t.tv_sec * SEC + t.tv_nsec;
}

static struct timespec spec(int64_t ns)
{
	return (struct timespec){ ns / SEC, ns % SEC };
}

static void wait_timerfd(clockid_t id, int flags, int64_t ns)
{
	uint64_t n;
	struct itimerspec when = { .it_value = spec(flags & TFD_TIMER_ABSTIME ? now(id) + ns : ns) };
	int fd = timerfd_create(id, TFD_CLOEXEC);
	timerfd_settime(fd, flags, &when, NULL);
	/* A wall clock that is another's at the new host cancels: by then the wait is to be made anew, and this one is over. */
	while (read(fd, &n, sizeof(n)) < 0 && errno == EINTR)
		;
}

static volatile sig_atomic_t fired;
static void on_alarm(int sig)
{
	(void)sig;
	fired = 1;
}

/* Until the alarm: it stays blocked but while we wait. */
static void wait_alarm(void)
{
	sigset_t none;
	sigemptyset(&none);
	while (!fired)
		sigsuspend(&none);
}

static void block_alarm(void)
{
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGALRM);
	sigprocmask(SIG_BLOCK, &s, NULL);
	signal(SIGALRM, on_alarm);
}

static void wait_posix(clockid_t id, int64_t ns)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	struct itimerspec when = { .it_value = spec(ns) };
	timer_t t;
	block_alarm();
	timer_create(id, &ev, &t);
	timer_settime(t, 0, &when, NULL);
	wait_alarm();
}

static void wait_itimer(int64_t ns)
{
	struct itimerval when = { .it_value = { ns / SEC, ns % SEC / 1000 } };
	block_alarm();
	setitimer(ITIMER_REAL, &when, NULL);
	wait_alarm();
}

/* The rest of a wait that a signal, or a move, ended. */
static void wait_rest(int64_t ns, int (*once)(int64_t left))
{
	int64_t until = now(CLOCK_MONOTONIC) + ns;
	for (int64_t left; (left = until - now(CLOCK_MONOTONIC)) > 0;)
		if (once(left) == 0)
			return;
}

static int once_nanosleep(int64_t left)
{
	struct timespec t = spec(left);
	return nanosleep(&t, NULL);
}

static int once_poll(int64_t left)
{
	return poll(NULL, 0, (int)((left + 999999) / 1000000)) == 0 ? 0 : -1;
}

static int once_epoll(int64_t left)
{
	struct epoll_event ev;
	static int fd = -1;
	if (fd < 0)
		fd = epoll_create1(EPOLL_CLOEXEC);
	return epoll_wait(fd, &ev, 1, (int)((left + 999999) / 1000000)) == 0 ? 0 : -1;
}

static int once_futex(int64_t left)
{
	static uint32_t word;
	struct timespec t = spec(left);
	return syscall(SYS_futex, &word, FUTEX_WAIT, 0, &t, NULL, 0) < 0 && errno == ETIMEDOUT ? 0 : -1;
}

static void wait_sleep_until(int64_t ns)
{
	struct timespec t = spec(now(CLOCK_MONOTONIC) + ns);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static void timerfd_monotonic(int64_t ns)
{
	wait_timerfd(CLOCK_MONOTONIC, 0, ns);
}

static void timerfd_monotonic_absolute(int64_t ns)
{
	wait_timerfd(CLOCK_MONOTONIC, TFD_TIMER_ABSTIME, ns);
}

static void timerfd_boottime(int64_t ns)
{
	wait_timerfd(CLOCK_BOOTTIME, 0, ns);
}

static void timerfd_boottime_absolute(int64_t ns)
{
	wait_timerfd(CLOCK_BOOTTIME, TFD_TIMER_ABSTIME, ns);
}

static void timerfd_realtime(int64_t ns)
{
	wait_timerfd(CLOCK_REALTIME, 0, ns);
}

static void timerfd_realtime_absolute(int64_t ns)
{
	wait_timerfd(CLOCK_REALTIME, TFD_TIMER_ABSTIME, ns);
}

static void timerfd_cancel_on_set(int64_t ns)
{
	wait_timerfd(CLOCK_REALTIME, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, ns);
}

static void posix_monotonic(int64_t ns)
{
	wait_posix(CLOCK_MONOTONIC, ns);
}

static void posix_boottime(int64_t ns)
{
	wait_posix(CLOCK_BOOTTIME, ns);
}

static void posix_realtime(int64_t ns)
{
	wait_posix(CLOCK_REALTIME, ns);
}

static void nanosleep_relative(int64_t ns)
{
	wait_rest(ns, once_nanosleep);
}

static void poll_timeout(int64_t ns)
{
	wait_rest(ns, once_poll);
}

static void epoll_timeout(int64_t ns)
{
	wait_rest(ns, once_epoll);
}

static void futex_timeout(int64_t ns)
{
	wait_rest(ns, once_futex);
}

/* A relative wait on CLOCK_REALTIME does not follow that clock when it is set: it is one of CLOCK_MONOTONIC. */
static const struct kind {
	const char *name;
	clockid_t clock;
	void (*wait)(int64_t ns);
} kinds[] = {
	{ "timerfd_monotonic", CLOCK_MONOTONIC, timerfd_monotonic },
	{ "timerfd_monotonic_absolute", CLOCK_MONOTONIC, timerfd_monotonic_absolute },
	{ "timerfd_boottime", CLOCK_BOOTTIME, timerfd_boottime },
	{ "timerfd_boottime_absolute", CLOCK_BOOTTIME, timerfd_boottime_absolute },
	{ "timerfd_realtime", CLOCK_MONOTONIC, timerfd_realtime },
	{ "timerfd_realtime_absolute", CLOCK_REALTIME, timerfd_realtime_absolute },
	{ "timerfd_cancel_on_set", CLOCK_REALTIME, timerfd_cancel_on_set },
	{ "posix_monotonic", CLOCK_MONOTONIC, posix_monotonic },
	{ "posix_boottime", CLOCK_BOOTTIME, posix_boottime },
	{ "posix_realtime", CLOCK_MONOTONIC, posix_realtime },
	{ "itimer_real", CLOCK_MONOTONIC, wait_itimer },
	{ "nanosleep", CLOCK_MONOTONIC, nanosleep_relative },
	{ "nanosleep_absolute", CLOCK_MONOTONIC, wait_sleep_until },
	{ "poll", CLOCK_MONOTONIC, poll_timeout },
	{ "epoll", CLOCK_MONOTONIC, epoll_timeout },
	{ "futex", CLOCK_MONOTONIC, futex_timeout },
};

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	int out = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
	int64_t ns = atoll(argv[2]) * SEC;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (fork() > 0)
			continue;
		char line[128];
		int64_t until = now(kinds[i].clock) + ns;
		kinds[i].wait(ns);
		int n = snprintf(line, sizeof(line), "%s %" PRId64 "\n", kinds[i].name, now(kinds[i].clock) - until);
		if (write(out, line, (size_t)n) != n)
			_exit(1);
		_exit(0);
	}
	for (;;)
		pause();
}
