/* The attach socket's datagrams. */
#include "tests/unit/unit.h"
#include <sys/socket.h>
#include "proto/attach.h"

static void every_type_passes(void **state)
{
	(void)state;
	static const struct attach_msg sent[] = {
		{ .type = ATTACH_STDOUT, .data = (const uint8_t *)"out", .n = 3 },
		{ .type = ATTACH_STDERR, .data = (const uint8_t *)"", .n = 0 },
		{ .type = ATTACH_STDIN, .data = (const uint8_t *)"\0x", .n = 2 },
		{ .type = ATTACH_STDIN_EOF },
		{ .type = ATTACH_EXIT, .exit_code = 137 },
		{ .type = ATTACH_EXIT, .exit_code = -2 },
		{ .type = ATTACH_RESIZE, .rows = 50, .columns = 65535 },
	};
	int sv[2];
	struct err e = { 0 };
	assert_int_equal(fd_socketpair(SOCK_SEQPACKET, sv, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(sent); i++) {
		uint8_t data[ATTACH_DATA_MAX + 1];
		struct attach_msg got;
		assert_int_equal(attach_send(sv[0], &sent[i], &e), 0);
		ssize_t n = fd_recv_msg(sv[1], data, sizeof(data), NULL, NULL, &e);
		assert_true(n > 0);
		assert_int_equal(attach_parse(data, (size_t)n, &got, &e), 0);
		assert_int_equal(got.type, sent[i].type);
		assert_int_equal(got.exit_code, sent[i].exit_code);
		assert_int_equal(got.rows, sent[i].rows);
		assert_int_equal(got.columns, sent[i].columns);
		if (sent[i].data) {
			assert_int_equal(got.n, sent[i].n);
			assert_memory_equal(got.data, sent[i].data, sent[i].n);
		}
	}
	close(sv[0]);
	close(sv[1]);
}

static void what_is_no_message_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t n;
	} cases[] = { { "", 0 }, { "?", 1 }, { "x", 1 }, { "x\0\0\0", 4 }, { "x\0\0\0\0\0", 6 }, { "r\0\1\0", 4 }, { "za", 2 } };
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct attach_msg got;
		struct err e = { 0 };
		assert_int_equal(attach_parse((const uint8_t *)cases[i].bytes, cases[i].n, &got, &e), -1);
		assert_int_equal(e.code, ERR_PROTOCOL);
	}
}

static void a_reader_that_does_not_read_is_busy(void **state)
{
	(void)state;
	int sv[2];
	struct err e = { 0 };
	static const uint8_t data[ATTACH_DATA_MAX + 1];
	struct attach_msg m = { .type = ATTACH_STDOUT, .data = data, .n = ATTACH_DATA_MAX };
	assert_int_equal(fd_socketpair(SOCK_SEQPACKET | SOCK_NONBLOCK, sv, &e), 0);
	while (attach_send(sv[0], &m, &e) == 0)
		;
	assert_int_equal(e.code, ERR_BUSY);
	m.n++;
	assert_int_equal(attach_send(sv[0], &m, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	close(sv[0]);
	close(sv[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_passes),
		cmocka_unit_test(what_is_no_message_is_refused),
		cmocka_unit_test(a_reader_that_does_not_read_is_busy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
