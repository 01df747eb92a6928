/* Waits in every way that Linux has, and tells how late each was on its own clock (linked statically; runs inside the tests' containers).
 *
 * timers FILE SECONDS   One process for each kind of wait, all for SECONDS; FILE gets a line "NAME LATE" for each when it is over, LATE in ns of the
 *                       clock that the wait is on. A move in between must not make any of them early or much late: each fires when its clock says so.
 *                       A wait that ends early with EINTR goes on with what is left, as programs do. Those of timers with a period ("…_period") are
 *                       told as the kernel has it: it knows when one was due, however late we were woken. The last line is "stall NS", the longest
 *                       time that a process which does nothing but sleep for a millisecond was kept from it. Runs on afterwards. */
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
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SEC INT64_C(1000000000)
#define PERIOD (1000 * SEC)
#define UNKNOWN INT64_MAX

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

/* When a timer is due next, from what is left of it: of some attempts the quickest, rounded down or up by how exact that is. */
static int64_t due_of(clockid_t id, int64_t (*left)(void *timer), void *timer, int up)
{
	int64_t due = 0, quickest = INT64_MAX;
	for (int i = 0; i < 20; i++) {
		int64_t before = now(id), rest = left(timer), after = now(id);
		if (after - before < quickest) {
			quickest = after - before;
			due = (up ? after : before) + rest;
		}
	}
	return due;
}

static int64_t ns_of(struct timespec t)
{
	return t.tv_sec * SEC + t.tv_nsec;
}

static int64_t left_timerfd(void *timer)
{
	struct itimerspec t;
	timerfd_gettime(*(int *)timer, &t);
	return ns_of(t.it_value);
}

static int64_t left_posix(void *timer)
{
	struct itimerspec t;
	timer_gettime(*(timer_t *)timer, &t);
	return ns_of(t.it_value);
}

static int64_t left_itimer(void *timer)
{
	struct itimerval t;
	(void)timer;
	getitimer(ITIMER_REAL, &t);
	return t.it_value.tv_sec * SEC + t.it_value.tv_usec * 1000;
}

/* Each wait returns how late its timer was, or UNKNOWN: then nobody knows better than who waited. */
static int64_t wait_timerfd(clockid_t id, int flags, int64_t ns, int64_t period)
{
	uint64_t n;
	struct itimerspec when = { .it_value = spec(flags & TFD_TIMER_ABSTIME ? now(id) + ns : ns), .it_interval = spec(period) };
	int fd = timerfd_create(id, TFD_CLOEXEC);
	timerfd_settime(fd, flags, &when, NULL);
	int64_t until = due_of(id, left_timerfd, &fd, 0);
	/* A wall clock that is another's at the new host cancels: by then the wait is to be made anew, and this one is over. */
	while (read(fd, &n, sizeof(n)) < 0 && errno == EINTR)
		;
	return period ? due_of(id, left_timerfd, &fd, 1) - PERIOD - until : UNKNOWN;
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

static int64_t wait_posix(clockid_t id, int64_t ns, int64_t period)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	struct itimerspec when = { .it_value = spec(ns), .it_interval = spec(period) };
	timer_t t;
	block_alarm();
	timer_create(id, &ev, &t);
	timer_settime(t, 0, &when, NULL);
	int64_t until = due_of(id, left_posix, &t, 0);
	wait_alarm();
	return period ? due_of(id, left_posix, &t, 1) - PERIOD - until : UNKNOWN;
}

static int64_t wait_itimer(int64_t ns, int64_t period)
{
	struct itimerval when = { .it_value = { ns / SEC, ns % SEC / 1000 }, .it_interval = { period / SEC, 0 } };
	block_alarm();
	setitimer(ITIMER_REAL, &when, NULL);
	int64_t until = due_of(CLOCK_MONOTONIC, left_itimer, NULL, 0);
	wait_alarm();
	return period ? due_of(CLOCK_MONOTONIC, left_itimer, NULL, 1) - PERIOD - until : UNKNOWN;
}

/* The rest of a wait that a signal, or a move, ended. */
static int64_t wait_rest(int64_t ns, int (*once)(int64_t left))
{
	int64_t until = now(CLOCK_MONOTONIC) + ns;
	for (int64_t left; (left = until - now(CLOCK_MONOTONIC)) > 0;)
		if (once(left) == 0)
			break;
	return UNKNOWN;
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

static int64_t wait_sleep_until(int64_t ns)
{
	struct timespec t = spec(now(CLOCK_MONOTONIC) + ns);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
	return UNKNOWN;
}

static int64_t timerfd_monotonic(int64_t ns)
{
	return wait_timerfd(CLOCK_MONOTONIC, 0, ns, 0);
}

static int64_t timerfd_monotonic_period(int64_t ns)
{
	return wait_timerfd(CLOCK_MONOTONIC, 0, ns, PERIOD);
}

static int64_t timerfd_monotonic_absolute(int64_t ns)
{
	return wait_timerfd(CLOCK_MONOTONIC, TFD_TIMER_ABSTIME, ns, 0);
}

static int64_t timerfd_boottime(int64_t ns)
{
	return wait_timerfd(CLOCK_BOOTTIME, 0, ns, 0);
}

static int64_t timerfd_boottime_absolute(int64_t ns)
{
	return wait_timerfd(CLOCK_BOOTTIME, TFD_TIMER_ABSTIME, ns, 0);
}

static int64_t timerfd_boottime_period(int64_t ns)
{
	return wait_timerfd(CLOCK_BOOTTIME, TFD_TIMER_ABSTIME, ns, PERIOD);
}

static int64_t timerfd_realtime(int64_t ns)
{
	return wait_timerfd(CLOCK_REALTIME, 0, ns, 0);
}

static int64_t timerfd_realtime_absolute(int64_t ns)
{
	return wait_timerfd(CLOCK_REALTIME, TFD_TIMER_ABSTIME, ns, 0);
}

static int64_t timerfd_realtime_period(int64_t ns)
{
	return wait_timerfd(CLOCK_REALTIME, TFD_TIMER_ABSTIME, ns, PERIOD);
}

static int64_t timerfd_cancel_on_set(int64_t ns)
{
	return wait_timerfd(CLOCK_REALTIME, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, ns, 0);
}

static int64_t posix_monotonic(int64_t ns)
{
	return wait_posix(CLOCK_MONOTONIC, ns, 0);
}

static int64_t posix_monotonic_period(int64_t ns)
{
	return wait_posix(CLOCK_MONOTONIC, ns, PERIOD);
}

static int64_t posix_boottime(int64_t ns)
{
	return wait_posix(CLOCK_BOOTTIME, ns, 0);
}

static int64_t posix_boottime_period(int64_t ns)
{
	return wait_posix(CLOCK_BOOTTIME, ns, PERIOD);
}

static int64_t posix_realtime(int64_t ns)
{
	return wait_posix(CLOCK_REALTIME, ns, 0);
}

static int64_t itimer_real(int64_t ns)
{
	return wait_itimer(ns, 0);
}

static int64_t itimer_real_period(int64_t ns)
{
	return wait_itimer(ns, PERIOD);
}

static int64_t nanosleep_relative(int64_t ns)
{
	return wait_rest(ns, once_nanosleep);
}

static int64_t poll_timeout(int64_t ns)
{
	return wait_rest(ns, once_poll);
}

static int64_t epoll_timeout(int64_t ns)
{
	return wait_rest(ns, once_epoll);
}

static int64_t futex_timeout(int64_t ns)
{
	return wait_rest(ns, once_futex);
}

/* A relative wait on CLOCK_REALTIME does not follow that clock when it is set: it is one of CLOCK_MONOTONIC. */
static const struct kind {
	const char *name;
	clockid_t clock;
	int64_t (*wait)(int64_t ns);
} kinds[] = {
	{ "timerfd_monotonic", CLOCK_MONOTONIC, timerfd_monotonic },
	{ "timerfd_monotonic_absolute", CLOCK_MONOTONIC, timerfd_monotonic_absolute },
	{ "timerfd_monotonic_period", CLOCK_MONOTONIC, timerfd_monotonic_period },
	{ "timerfd_boottime", CLOCK_BOOTTIME, timerfd_boottime },
	{ "timerfd_boottime_absolute", CLOCK_BOOTTIME, timerfd_boottime_absolute },
	{ "timerfd_boottime_period", CLOCK_BOOTTIME, timerfd_boottime_period },
	{ "timerfd_realtime", CLOCK_MONOTONIC, timerfd_realtime },
	{ "timerfd_realtime_absolute", CLOCK_REALTIME, timerfd_realtime_absolute },
	{ "timerfd_realtime_period", CLOCK_REALTIME, timerfd_realtime_period },
	{ "timerfd_cancel_on_set", CLOCK_REALTIME, timerfd_cancel_on_set },
	{ "posix_monotonic", CLOCK_MONOTONIC, posix_monotonic },
	{ "posix_monotonic_period", CLOCK_MONOTONIC, posix_monotonic_period },
	{ "posix_boottime", CLOCK_BOOTTIME, posix_boottime },
	{ "posix_boottime_period", CLOCK_BOOTTIME, posix_boottime_period },
	{ "posix_realtime", CLOCK_MONOTONIC, posix_realtime },
	{ "itimer_real", CLOCK_MONOTONIC, itimer_real },
	{ "itimer_real_period", CLOCK_MONOTONIC, itimer_real_period },
	{ "nanosleep", CLOCK_MONOTONIC, nanosleep_relative },
	{ "nanosleep_absolute", CLOCK_MONOTONIC, wait_sleep_until },
	{ "poll", CLOCK_MONOTONIC, poll_timeout },
	{ "epoll", CLOCK_MONOTONIC, epoll_timeout },
	{ "futex", CLOCK_MONOTONIC, futex_timeout },
};

static void tell(int out, const char *name, int64_t late)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "%s %" PRId64 "\n", name, late);
	if (write(out, line, (size_t)n) != n)
		_exit(1);
}

/* Until all children have ended. */
static int64_t longest_stall(void)
{
	int64_t worst = 0;
	do {
		int64_t until = now(CLOCK_MONOTONIC) + SEC / 1000;
		nanosleep(&(struct timespec){ .tv_nsec = SEC / 1000 }, NULL);
		int64_t late = now(CLOCK_MONOTONIC) - until;
		worst = late > worst ? late : worst;
	} while (waitpid(-1, NULL, WNOHANG) >= 0);
	return worst;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	int out = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
	int64_t ns = atoll(argv[2]) * SEC;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (fork() > 0)
			continue;
		int64_t until = now(kinds[i].clock) + ns, late = kinds[i].wait(ns);
		tell(out, kinds[i].name, late == UNKNOWN ? now(kinds[i].clock) - until : late);
		_exit(0);
	}
	tell(out, "stall", longest_stall());
	for (;;)
		pause();
}
