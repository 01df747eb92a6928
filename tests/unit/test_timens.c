/* Time namespaces: offsets are against the caller's clocks, wherever the caller is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "proto/pb.h"
#include "runtime/timens.h"

#define HOUR (3600 * NSEC_PER_SEC)

/* Reads both clocks inside the namespace `in`, and the caller's right before and after. */
static void check_offsets(int in, const struct timens_offsets *off)
{
	int p[2];
	int64_t inside[2];
	struct err e = { 0 };

	assert_int_equal(fd_pipe(p, &e), 0);
	int64_t before[2] = { clock_now_ns(CLOCK_MONOTONIC), clock_now_ns(CLOCK_BOOTTIME) };
	pid_t pid = fork();
	if (pid == 0) {
		if (timens_enter(in) < 0)
			_exit(1);
		inside[0] = clock_now_ns(CLOCK_MONOTONIC);
		inside[1] = clock_now_ns(CLOCK_BOOTTIME);
		_exit(write(p[1], inside, sizeof(inside)) != sizeof(inside));
	}
	close(p[1]);
	assert_int_equal(fd_read_exact(p[0], inside, sizeof(inside), &e), 1);
	close(p[0]);
	waitpid(pid, NULL, 0);
	int64_t after[2] = { clock_now_ns(CLOCK_MONOTONIC), clock_now_ns(CLOCK_BOOTTIME) };
	assert_true(inside[0] >= before[0] + off->monotonic && inside[0] <= after[0] + off->monotonic);
	assert_true(inside[1] >= before[1] + off->boottime && inside[1] <= after[1] + off->boottime);
}

static void make_and_check(struct timens_offsets off)
{
	struct err e = { 0 };
	auto_close int fd = timens_new(&off, &e);
	if (fd < 0)
		fail_msg("%s", e.msg);
	check_offsets(fd, &off);
}

static void clocks_are_shifted_by_the_offsets(void **state)
{
	(void)state;
	make_and_check((struct timens_offsets){ 0, 0 });
	make_and_check((struct timens_offsets){ 5 * HOUR + 123456789, 100 * HOUR + 1 });
	make_and_check((struct timens_offsets){ -1, -NSEC_PER_SEC - 1 });
}

static void the_caller_stays_where_it_is(void **state)
{
	struct err e = { 0 };
	struct timens_offsets off = { HOUR, HOUR }, own;
	(void)state;
	auto_close int fd = timens_new(&off, &e);
	assert_true(fd >= 0);
	assert_int_equal(timens_offsets_of_pid(getpid(), &own, &e), 0);
	assert_int_equal(own.monotonic, 0);
	assert_int_equal(own.boottime, 0);
}

/* The kernel counts offsets from the initial namespace: a caller in one of its own adds its own. */
static void a_caller_in_a_time_namespace_means_its_own_clocks(void **state)
{
	struct err e = { 0 };
	struct timens_offsets outer = { 1000 * HOUR, 2000 * HOUR };
	(void)state;
	auto_close int fd = timens_new(&outer, &e);
	assert_true(fd >= 0);
	pid_t pid = fork();
	if (pid == 0) {
		if (timens_enter(fd) < 0)
			_exit(1);
		make_and_check((struct timens_offsets){ -500 * HOUR, 7 });
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void offsets_of_a_process_are_found_again(void **state)
{
	struct err e = { 0 };
	struct timens_offsets off = { 12345678901, 98765432109876 }, got;
	int p[2];
	char c;
	(void)state;
	auto_close int fd = timens_new(&off, &e);
	assert_int_equal(fd_pipe(p, &e), 0);
	pid_t pid = fork();
	if (pid == 0) {
		_exit(timens_enter(fd) < 0 || write(p[1], "x", 1) != 1 || pause());
	}
	assert_int_equal(read(p[0], &c, 1), 1);
	assert_int_equal(timens_offsets_of_pid(pid, &got, &e), 0);
	assert_int_equal(got.monotonic, off.monotonic);
	assert_int_equal(got.boottime, off.boottime);
	auto_pb(Davit__ClockSample) *s = pb_new(&davit__clock_sample__descriptor, &e);
	assert_int_equal(timens_sample(pid, s, &e), 0);
	assert_int_equal(s->container_monotonic - s->host_monotonic, off.monotonic);
	assert_int_equal(s->container_boottime - s->host_boottime, off.boottime);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(p[0]);
	close(p[1]);
}

static void clocks_that_cannot_be_are_refused(void **state)
{
	struct err e = { 0 };
	struct timens_offsets negative = { -1000000 * HOUR, 0 }, huge = { INT64_MAX, 0 };
	(void)state;
	assert_int_equal(timens_new(&negative, &e), -1);
	assert_int_equal(e.code, ERR_RANGE);
	assert_int_equal(timens_new(&huge, &e), -1);
	assert_int_equal(e.code, ERR_RANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clocks_are_shifted_by_the_offsets),
		cmocka_unit_test(the_caller_stays_where_it_is),
		cmocka_unit_test(a_caller_in_a_time_namespace_means_its_own_clocks),
		cmocka_unit_test(offsets_of_a_process_are_found_again),
		cmocka_unit_test(clocks_that_cannot_be_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
