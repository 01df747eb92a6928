/* Descriptors: whole reads and writes, and passing. */
#include "tests/unit/unit.h"
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

static size_t open_descriptors(void)
{
	size_t n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void *drain(void *arg)
{
	static char got[1 << 20];
	return (void *)(intptr_t)fd_read_exact(*(int *)arg, got, sizeof(got), NULL);
}

static void writes_all_into_a_full_nonblocking_pipe(void **state)
{
	(void)state;
	int p[2];
	assert_int_equal(fd_pipe(p, NULL), 0);
	assert_int_equal(fd_set_nonblock(p[1], true, NULL), 0);
	pthread_t reader;
	pthread_create(&reader, NULL, drain, &p[0]);
	static const char data[1 << 20];
	assert_int_equal(fd_write_all(p[1], data, sizeof(data), NULL), 0);
	void *result;
	pthread_join(reader, &result);
	assert_int_equal((intptr_t)result, 1);
	close(p[0]);
	close(p[1]);
}

static void read_exact_tells_the_end_from_a_broken_end(void **state)
{
	(void)state;
	int p[2];
	char out[4];
	struct err e = { 0 };
	assert_int_equal(fd_pipe(p, NULL), 0);
	assert_int_equal(write(p[1], "abcdef", 6), 6);
	close(p[1]);
	assert_int_equal(fd_read_exact(p[0], out, 4, &e), 1);
	assert_int_equal(fd_read_exact(p[0], out, 4, &e), -1);
	assert_int_equal(e.code, ERR_PROTOCOL);
	assert_int_equal(fd_read_exact(p[0], out, 4, &e), 0);
	close(p[0]);
}

static void read_all_has_a_limit(void **state)
{
	(void)state;
	for (size_t max = 9999; max <= 10000; max++) {
		int p[2];
		char data[10000] = { 0 };
		size_t len = 0;
		struct err e = { 0 };
		assert_int_equal(fd_pipe(p, NULL), 0);
		assert_int_equal(write(p[1], data, sizeof(data)), sizeof(data));
		close(p[1]);
		auto_free char *all = fd_read_all(p[0], max, &len, &e);
		assert_int_equal(all != NULL, max == 10000);
		assert_int_equal(e.code, all ? ERR_NONE : ERR_LIMIT);
		assert_int_equal(len, all ? 10000 : 0);
		close(p[0]);
	}
}

static void wait_tells_timeout_from_ready(void **state)
{
	(void)state;
	int p[2];
	assert_int_equal(fd_pipe(p, NULL), 0);
	assert_int_equal(fd_wait(p[0], POLLIN, 10, NULL), 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_true(fd_wait(p[0], POLLIN, 1000, NULL) & POLLIN);
	close(p[0]);
	close(p[1]);
}

static void copies_are_close_on_exec_and_not_stdio(void **state)
{
	(void)state;
	auto_close int copy = fd_dup(0, NULL);
	assert_true(copy > 2);
	assert_true(fcntl(copy, F_GETFD) & FD_CLOEXEC);
}

static void descriptors_pass_with_a_message(void **state)
{
	(void)state;
	int sv[2], p[2], got[4];
	size_t n = 4;
	char text[16];
	assert_int_equal(fd_socketpair(SOCK_SEQPACKET, sv, NULL), 0);
	assert_int_equal(fd_pipe(p, NULL), 0);
	assert_int_equal(fd_send_msg(sv[0], "hello", 5, p, 2, NULL), 0);
	assert_int_equal(fd_recv_msg(sv[1], text, sizeof(text), got, &n, NULL), 5);
	assert_int_equal(n, 2);
	assert_true(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(got[1], "x", 1), 1);
	assert_int_equal(read(p[0], text, 1), 1);
	close(sv[0]);
	n = 4;
	assert_int_equal(fd_recv_msg(sv[1], text, sizeof(text), got + 2, &n, NULL), 0);
	assert_int_equal(n, 0);
	int all[] = { sv[1], p[0], p[1], got[0], got[1] };
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		close(all[i]);
}

static void what_was_sent_arrives_though_the_sender_left_unread(void **state)
{
	(void)state;
	int sv[2];
	char text[16];
	assert_int_equal(fd_socketpair(SOCK_SEQPACKET, sv, NULL), 0);
	assert_int_equal(fd_send_msg(sv[1], "unread", 6, NULL, 0, NULL), 0);
	assert_int_equal(fd_send_msg(sv[0], "last", 4, NULL, 0, NULL), 0);
	close(sv[0]);
	assert_int_equal(fd_recv_msg(sv[1], text, sizeof(text), NULL, NULL, NULL), 4);
	assert_int_equal(fd_recv_msg(sv[1], text, sizeof(text), NULL, NULL, NULL), 0);
	close(sv[1]);
}

static void too_long_messages_leak_nothing(void **state)
{
	(void)state;
	static const struct {
		size_t bytes, fds, cap, room;
	} cases[] = { { 10, 2, 9, 2 }, { 10, 2, 10, 1 }, { 10, 2, 10, 0 }, { 10, FD_PASS_MAX, 10, 3 } };
	int sv[2], fds[FD_PASS_MAX], got[FD_PASS_MAX];
	char text[16] = "";
	assert_int_equal(fd_socketpair(SOCK_SEQPACKET, sv, NULL), 0);
	for (size_t i = 0; i < FD_PASS_MAX; i++)
		fds[i] = sv[0];
	size_t before = open_descriptors();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = { 0 };
		size_t n = cases[i].room;
		assert_int_equal(fd_send_msg(sv[0], text, cases[i].bytes, fds, cases[i].fds, NULL), 0);
		assert_int_equal(fd_recv_msg(sv[1], text, cases[i].cap, got, &n, &e), -1);
		assert_int_equal(e.code, ERR_LIMIT);
		assert_int_equal(n, 0);
		assert_int_equal(open_descriptors(), before);
	}
	struct err e = { 0 };
	assert_int_equal(fd_send_msg(sv[0], text, 1, fds, FD_PASS_MAX + 1, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	assert_int_equal(fd_set_nonblock(sv[1], true, NULL), 0);
	assert_int_equal(fd_recv_msg(sv[1], text, 1, NULL, NULL, &e), -1);
	assert_int_equal(e.code, ERR_BUSY);
	close(sv[0]);
	close(sv[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_all_into_a_full_nonblocking_pipe),
		cmocka_unit_test(read_exact_tells_the_end_from_a_broken_end),
		cmocka_unit_test(read_all_has_a_limit),
		cmocka_unit_test(wait_tells_timeout_from_ready),
		cmocka_unit_test(copies_are_close_on_exec_and_not_stdio),
		cmocka_unit_test(descriptors_pass_with_a_message),
		cmocka_unit_test(what_was_sent_arrives_though_the_sender_left_unread),
		cmocka_unit_test(too_long_messages_leak_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
