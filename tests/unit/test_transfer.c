/* Exchanges over a unix socket with a server that says what the test wants, byte by byte. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "agent/cli/transfer.h"
#include "base/fd.h"
#include "tests/unit/unit.h"

/* It answers when it has read `after` bytes, byte by byte as long as somebody listens; then it hangs up. */
struct server {
	char folder[64], path[96];
	int listening;
	const char *answer;
	size_t after, given;
	struct buf got, taken;
	pthread_t thread;
};

static void *serve(void *arg)
{
	struct server *s = arg;
	auto_close int fd = accept4(s->listening, NULL, NULL, SOCK_CLOEXEC);
	char piece[4096];
	ssize_t n;

	while (s->got.len < s->after && (n = read(fd, piece, sizeof(piece))) > 0 && buf_append(&s->got, piece, (size_t)n, NULL) == 0)
		;
	for (const char *p = s->answer; *p && send(fd, p, 1, MSG_NOSIGNAL) == 1; p++)
		;
	return NULL;
}

static void begin(struct server *s, const char *answer, size_t after)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	*s = (struct server){ .folder = "/tmp/davit-transfer.XXXXXX", .answer = answer, .after = after };
	assert_non_null(mkdtemp(s->folder));
	snprintf(s->path, sizeof(s->path), "%s/socket", s->folder);
	strcpy(at.sun_path, s->path);
	s->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listening, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(s->listening, 1), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void hang_up(struct server *s)
{
	pthread_join(s->thread, NULL);
	close(s->listening);
	unlink(s->path);
	rmdir(s->folder);
}

static void end(struct server *s)
{
	hang_up(s);
	buf_free(&s->got);
	buf_free(&s->taken);
}

static int keep(void *arg, const char *p, size_t n, struct err *e)
{
	struct server *s = arg;
	return buf_append(&s->taken, p, n, e);
}

static void expect_body(const char *answer, long status, const char *body)
{
	struct err e = { 0 };
	struct server s;
	struct transfer t = { .method = "GET", .path = "/v1/node", .take = keep, .arg = &s, .e = &e };

	begin(&s, answer, 1);
	if (transfer_local(s.path, &t) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(t.status, status);
	const struct buf *got = status < 300 ? &s.taken : &t.body;
	assert_string_equal(got->data ? got->data : "", body);
	buf_free(&t.body);
	end(&s);
}

static void an_answer_is_counted_in_chunks_or_ends_with_the_connection(void **state)
{
	(void)state;
	expect_body("HTTP/1.1 200 OK\r\nX: y\r\ncontent-length: 5\r\n\r\nwhole and no more", 200, "whole");
	expect_body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\nB;x=1\r\n two\r\nthree\r\n0\r\n\r\n", 200, "one two\r\nthree");
	expect_body("HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, "until the end");
	expect_body("HTTP/1.1 204 No Content\r\n\r\n", 204, "");
	expect_body("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "");
}

static void what_only_tells_of_an_answer_is_none(void **state)
{
	(void)state;
	expect_body("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nit", 200, "it");
}

static void the_reason_of_a_refusal_is_not_taken_for_the_answer(void **state)
{
	(void)state;
	expect_body("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nwhy", 404, "why");
}

static void expect_error(const char *answer, enum err_code code)
{
	struct err e = { 0 };
	struct server s;
	struct transfer t = { .method = "GET", .path = "/v1/node", .take = keep, .arg = &s, .e = &e };

	begin(&s, answer, 1);
	assert_int_equal(transfer_local(s.path, &t), -1);
	if (e.code != code)
		fail_msg("\"%s\": %d, not %d: %s", answer, e.code, code, e.msg);
	buf_free(&t.body);
	end(&s);
}

static void an_answer_that_is_cut_is_an_error(void **state)
{
	(void)state;
	expect_error("", ERR_IO);
	expect_error("HTTP/1.1 200 OK\r\nContent-Le", ERR_IO);
	expect_error("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", ERR_IO);
	expect_error("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n", ERR_IO);
	expect_error("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nwhat\r\n", ERR_PROTOCOL);
	expect_error("SSH-2.0-OpenSSH\r\n\r\n", ERR_PROTOCOL);
}

static int refuse(void *arg, const char *p, size_t n, struct err *e)
{
	(void)arg, (void)p, (void)n;
	return err_set(e, ERR_CANCELLED, 0, "enough");
}

static void who_takes_the_answer_may_end_it(void **state)
{
	struct err e = { 0 };
	struct server s;
	struct transfer t = { .method = "GET", .path = "/v1/events", .take = refuse, .e = &e };

	(void)state;
	begin(&s, "HTTP/1.1 200 OK\r\n\r\nx", 1);
	assert_int_equal(transfer_local(s.path, &t), -1);
	assert_int_equal(e.code, ERR_CANCELLED);
	end(&s);
}

static ssize_t give_three(void *arg, char *buf, size_t cap)
{
	struct server *s = arg;
	size_t n = MIN(cap, (size_t)2);

	if (s->given == 3)
		return 0;
	s->given++;
	memcpy(buf, "ab", n);
	return (ssize_t)n;
}

static void expect_sent(int64_t size, size_t length, const char *sent)
{
	struct err e = { 0 };
	struct server s;
	struct transfer t = { .method = "PUT", .path = "/v1/images/x", .give = give_three, .size = size, .arg = &s, .e = &e };

	begin(&s, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", length);
	if (transfer_local(s.path, &t) < 0)
		fail_msg("%s", e.msg);
	hang_up(&s);
	const char *body = strstr(s.got.data, "\r\n\r\n");
	assert_non_null(body);
	assert_string_equal(body + 4, sent);
	buf_free(&s.got);
}

static void a_streamed_body_is_counted_or_in_chunks(void **state)
{
	static const char head[] = "PUT /v1/images/x HTTP/1.1\r\nHost: davit\r\nAccept: " TRANSFER_MEDIA "\r\n";
	static const char chunks[] = "2\r\nab\r\n2\r\nab\r\n2\r\nab\r\n0\r\n\r\n";

	(void)state;
	expect_sent(6, sizeof(head) - 1 + strlen("Content-Length: 6\r\n\r\nababab"), "ababab");
	expect_sent(-1, sizeof(head) - 1 + strlen("Transfer-Encoding: chunked\r\n\r\n") + sizeof(chunks) - 1, chunks);
}

static ssize_t give_for_ever(void *arg, char *buf, size_t cap)
{
	(void)arg;
	memset(buf, 'x', cap);
	return (ssize_t)cap;
}

static void an_answer_that_comes_before_the_body_is_sent_is_an_answer(void **state)
{
	struct err e = { 0 };
	struct server s;
	struct transfer t = { .method = "PUT", .path = "/v1/images/x", .give = give_for_ever, .size = -1, .arg = &s, .e = &e };

	(void)state;
	begin(&s, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nwhy", 1);
	if (transfer_local(s.path, &t) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(t.status, 413);
	assert_string_equal(t.body.data, "why");
	buf_free(&t.body);
	end(&s);
}

static void nobody_there_is_told_with_a_remedy(void **state)
{
	char far[300];
	struct err e = { 0 };
	struct transfer t = { .method = "GET", .path = "/v1/node", .e = &e };

	(void)state;
	assert_int_equal(transfer_local("/tmp/davit-transfer-nobody", &t), -1);
	assert_int_equal(e.code, ERR_IO);
	assert_true(e.remedy[0] != '\0');
	memset(far, 'x', sizeof(far));
	far[0] = '/';
	far[sizeof(far) - 1] = '\0';
	assert_int_equal(transfer_local(far, &t), -1);
	assert_int_equal(e.code, ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_counted_in_chunks_or_ends_with_the_connection),
		cmocka_unit_test(what_only_tells_of_an_answer_is_none),
		cmocka_unit_test(the_reason_of_a_refusal_is_not_taken_for_the_answer),
		cmocka_unit_test(an_answer_that_is_cut_is_an_error),
		cmocka_unit_test(who_takes_the_answer_may_end_it),
		cmocka_unit_test(a_streamed_body_is_counted_or_in_chunks),
		cmocka_unit_test(an_answer_that_comes_before_the_body_is_sent_is_an_answer),
		cmocka_unit_test(nobody_there_is_told_with_a_remedy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
