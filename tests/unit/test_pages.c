/* The recorder of CRIU's page stream answers as a page server would, in both forms of its header, whatever the pieces are. */
#include "tests/unit/unit.h"
#include <sys/socket.h>
#include "agent/job/pages.h"
#include "base/fd.h"

static size_t put(uint8_t *out, size_t size, uint32_t command, uint64_t pages, uint64_t id)
{
	memset(out, 0, size);
	memcpy(out, &command, 4);
	if (size == 24) {
		uint32_t n = (uint32_t)pages;

		memcpy(out + 4, &n, 4);
	} else {
		memcpy(out + 8, &pages, 8);
	}
	memcpy(out + size - 8, &id, 8);
	return size;
}

/* open2, two pages, a hole, a lazy entry without pages, parent?, close. */
static size_t stream(uint8_t *out, size_t header)
{
	size_t n = put(out, header, 4, 0, 0x101);

	n += put(out + n, header, 6 | 4u << 16, 2, 0x101);
	memset(out + n, 7, 8192);
	n += 8192;
	n += put(out + n, header, 2, 5, 0x101);
	n += put(out + n, header, 6 | 2u << 16, 9, 0x101);
	n += put(out + n, header, 5, 0, 0x101);
	return n + put(out + n, header, 0x1024, 0, 0);
}

static void answers_in_pieces_of(size_t header, size_t piece)
{
	uint8_t data[8192 + 32 * 8], answers[16];
	size_t n = stream(data, header);
	int sv[2];
	struct err e = { 0 };

	assert_int_equal(fd_socketpair(SOCK_STREAM, sv, &e), 0);
	struct pages p = { .sock = sv[0] };
	for (size_t at = 0; at < n; at += piece)
		assert_int_equal(pages_feed(&p, data + at, MIN(piece, n - at), &e), 0);
	assert_true(p.closed);
	assert_int_equal(p.total, 2);
	/* one byte for open2, an int for parent, a status at the end */
	assert_int_equal(recv(sv[1], answers, sizeof(answers), MSG_DONTWAIT), 9);
	for (int i = 0; i < 9; i++)
		assert_int_equal(answers[i], 0);
	close(sv[0]);
	close(sv[1]);
}

static void both_forms_are_answered_in_any_pieces(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 9000; piece = piece * 3 + 1) {
		answers_in_pieces_of(24, piece);
		answers_in_pieces_of(32, piece);
	}
}

static void end_without_pages_is_answered(void **state)
{
	uint8_t data[32];
	struct pages p = { .sock = -1 };
	struct err e = { 0 };

	(void)state;
	put(data, 32, 0x1024, 0, 0);
	assert_int_equal(pages_feed(&p, data, 32, &e), 0);
	assert_true(p.closed);
}

static void unknown_command_is_refused(void **state)
{
	uint8_t data[32];
	struct pages p = { .sock = -1 };
	struct err e = { 0 };

	(void)state;
	put(data, 32, 77, 0, 1);
	assert_int_equal(pages_feed(&p, data, 32, &e), -1);
	assert_int_equal(e.code, ERR_PROTOCOL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_forms_are_answered_in_any_pieces),
		cmocka_unit_test(end_without_pages_is_answered),
		cmocka_unit_test(unknown_command_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
