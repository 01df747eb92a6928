/* Framing: any pieces give the same frames, and nothing too large is believed. */
#include "tests/unit/unit.h"
#include "api.pb-c.h"
#include "core.pb-c.h"
#include "proto/frame.h"
#include "tests/unit/generate.h"

static void delimited_messages_come_back_from_any_pieces(void **state)
{
	(void)state;
	auto_buf struct buf all = { 0 }, b = { 0 };
	struct err e = { 0 };
	uint64_t seed = 1;
	ProtobufCMessage *sent[20];
	for (size_t i = 0; i < ARRAY_LEN(sent); i++) {
		sent[i] = generate_message(&davit__container_spec__descriptor, &seed, 0);
		assert_int_equal(frame_put_delimited(&all, sent[i], &e), 0);
	}
	size_t got = 0;
	for (size_t i = 0; i < all.len; i++) {
		assert_int_equal(buf_append(&b, all.data + i, 1, &e), 0);
		auto_pb(Davit__ContainerSpec) *m = NULL;
		int rc = frame_take_delimited(&b, &davit__container_spec__descriptor, 1 << 20, &m, &e);
		assert_in_range(rc, 0, 1);
		if (rc == 0)
			continue;
		auto_buf struct buf x = { 0 }, y = { 0 };
		pb_pack(&m->base, &x, NULL);
		pb_pack(sent[got++], &y, NULL);
		assert_int_equal(x.len, y.len);
		assert_memory_equal(x.data, y.data, x.len);
	}
	assert_int_equal(got, ARRAY_LEN(sent));
	assert_int_equal(b.len, 0);
	for (size_t i = 0; i < ARRAY_LEN(sent); i++)
		pb_freep(&sent[i]);
}

static void delimited_lengths_are_checked_before_the_bytes_are_there(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t n;
		enum err_code code;
	} cases[] = {
		{ "\x81\x01", 2, ERR_LIMIT },					     /* 129 */
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, ERR_LIMIT },	     /* 2^64 - 1 */
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, ERR_CORRUPT },     /* more than 64 bits */
		{ "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11, ERR_CORRUPT }, /* longer than any */
		{ "\x02\xff\xff", 3, ERR_CORRUPT },				     /* no message */
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_buf struct buf b = { 0 };
		struct err e = { 0 };
		void *m = NULL;
		buf_append(&b, cases[i].bytes, cases[i].n, NULL);
		assert_int_equal(frame_take_delimited(&b, &davit__container_spec__descriptor, 128, &m, &e), -1);
		assert_int_equal(e.code, cases[i].code);
		assert_null(m);
	}
}

static void delimited_messages_pass_a_descriptor(void **state)
{
	(void)state;
	int p[2];
	struct err e = { 0 };
	assert_int_equal(fd_pipe(p, NULL), 0);
	Davit__ExecFrame frame = DAVIT__EXEC_FRAME__INIT;
	Davit__CoreName name = DAVIT__CORE_NAME__INIT;
	name.name = (char *)"web";
	assert_int_equal(frame_write_delimited(p[1], &frame.base, &e), 0); /* an empty message is one too */
	assert_int_equal(frame_write_delimited(p[1], &name.base, &e), 0);
	assert_int_equal(write(p[1], "\x05\x0a", 2), 2);
	close(p[1]);
	auto_pb(Davit__ExecFrame) *empty = NULL;
	assert_int_equal(frame_read_delimited(p[0], &davit__exec_frame__descriptor, 100, &empty, &e), 1);
	assert_non_null(empty);
	auto_pb(Davit__CoreName) *got = NULL;
	assert_int_equal(frame_read_delimited(p[0], &davit__core_name__descriptor, 100, &got, &e), 1);
	assert_string_equal(got->name, "web");
	auto_pb(Davit__CoreName) *cut = NULL;
	assert_int_equal(frame_read_delimited(p[0], &davit__core_name__descriptor, 100, &cut, &e), -1);
	assert_int_equal(e.code, ERR_PROTOCOL);
	assert_int_equal(frame_read_delimited(p[0], &davit__core_name__descriptor, 100, &cut, &e), 0);
	close(p[0]);
}

/* What a sink got. */
struct got {
	struct buf headers; /* the types of bodies, one byte each */
	struct buf payload;
	bool refuse;
};

static int got_header(void *arg, Davit__StreamFrame *f, struct err *e)
{
	struct got *g = arg;
	char type = (char)f->body_case;
	pb_freep(&f);
	return g->refuse ? err_set(e, ERR_CANCELLED, 0, "enough") : buf_append(&g->headers, &type, 1, e);
}

static int got_payload(void *arg, const uint8_t *p, size_t n, size_t left, struct err *e)
{
	struct got *g = arg;
	int rc = buf_append(&g->payload, p, n, e);
	return rc < 0 || left > 0 ? rc : buf_puts(&g->payload, "|", e);
}

static void put_data(struct buf *out, const char *bytes)
{
	Davit__StreamData data = DAVIT__STREAM_DATA__INIT;
	Davit__StreamFrame f = DAVIT__STREAM_FRAME__INIT;
	data.channel = DAVIT__STREAM_CHANNEL__CHANNEL_PAGES;
	f.body_case = DAVIT__STREAM_FRAME__BODY_DATA;
	f.data = &data;
	f.has_payload_len = true;
	f.payload_len = (uint32_t)strlen(bytes);
	assert_int_equal(frame_put_header(out, &f, NULL), 0);
	buf_puts(out, bytes, NULL);
}

static void put_done(struct buf *out)
{
	Davit__StreamDone done = DAVIT__STREAM_DONE__INIT;
	Davit__StreamFrame f = DAVIT__STREAM_FRAME__INIT;
	f.body_case = DAVIT__STREAM_FRAME__BODY_DONE;
	f.done = &done;
	assert_int_equal(frame_put_header(out, &f, NULL), 0);
}

static void stream_frames_come_back_from_any_pieces(void **state)
{
	(void)state;
	auto_buf struct buf all = { 0 };
	put_data(&all, "first");
	put_done(&all);
	put_data(&all, "");
	put_data(&all, "second");
	for (size_t piece = 1; piece <= all.len; piece++) {
		struct got g = { 0 };
		struct frame_reader r = { 0 };
		const struct frame_sink sink = { got_header, got_payload, &g };
		struct err e = { 0 };
		assert_true(frame_at_boundary(&r));
		for (size_t i = 0; i < all.len; i += piece)
			assert_int_equal(frame_feed(&r, &sink, (uint8_t *)all.data + i, MIN(piece, all.len - i), &e), 0);
		assert_true(frame_at_boundary(&r));
		const char types[] = { DAVIT__STREAM_FRAME__BODY_DATA, DAVIT__STREAM_FRAME__BODY_DONE, DAVIT__STREAM_FRAME__BODY_DATA,
				       DAVIT__STREAM_FRAME__BODY_DATA };
		assert_int_equal(g.headers.len, sizeof(types));
		assert_memory_equal(g.headers.data, types, sizeof(types));
		assert_string_equal(g.payload.data, "first|second|");
		frame_reader_free(&r);
		buf_free(&g.headers);
		buf_free(&g.payload);
	}
}

static void a_stream_that_stops_within_a_frame_is_not_at_a_boundary(void **state)
{
	(void)state;
	auto_buf struct buf all = { 0 };
	put_data(&all, "first");
	for (size_t n = 1; n < all.len; n++) {
		struct got g = { 0 };
		struct frame_reader r = { 0 };
		const struct frame_sink sink = { got_header, got_payload, &g };
		assert_int_equal(frame_feed(&r, &sink, (uint8_t *)all.data, n, NULL), 0);
		assert_false(frame_at_boundary(&r));
		frame_reader_free(&r);
		buf_free(&g.headers);
		buf_free(&g.payload);
	}
}

static void refused(const void *p, size_t n, enum err_code code)
{
	struct got g = { 0 };
	struct frame_reader r = { 0 };
	const struct frame_sink sink = { got_header, got_payload, &g };
	struct err e = { 0 };
	assert_int_equal(frame_feed(&r, &sink, p, n, &e), -1);
	if (e.code != code)
		fail_msg("%s", e.msg);
	assert_int_equal(g.headers.len, 0);
	assert_true(r.partial.cap < 4096);
	frame_reader_free(&r);
}

static void refused_with_payload(uint32_t length)
{
	auto_buf struct buf b = { 0 };
	put_data(&b, "x");
	memcpy(b.data + 5, &length, sizeof(length)); /* fixed32 after its tag: little-endian */
	refused(b.data, b.len, ERR_LIMIT);
}

static void broken_frames_are_refused_early(void **state)
{
	(void)state;
	refused("\xff\xff\xff\xff", 4, ERR_LIMIT);
	refused("\x00\x10\x00\x01", 4, ERR_LIMIT);
	refused("\0\0\0\0", 4, ERR_PROTOCOL);
	refused("\0\0\0\x02\xff\xff", 6, ERR_CORRUPT);
	/* A payload where none may be, and one that is too large: written by hand, since frame_put_header refuses them. */
	refused("\0\0\0\x07\x0d\x05\0\0\0\x4a\0", 11, ERR_PROTOCOL);
	refused("\0\0\0\x05\x0d\x05\0\0\0", 9, ERR_PROTOCOL);
	refused_with_payload(FRAME_PAYLOAD_MAX + 1);
	refused_with_payload(UINT32_MAX);
}

static void a_sink_may_refuse(void **state)
{
	(void)state;
	auto_buf struct buf all = { 0 };
	put_data(&all, "first");
	struct got g = { .refuse = true };
	struct frame_reader r = { 0 };
	const struct frame_sink sink = { got_header, got_payload, &g };
	struct err e = { 0 };
	assert_int_equal(frame_feed(&r, &sink, (uint8_t *)all.data, all.len, &e), -1);
	assert_int_equal(e.code, ERR_CANCELLED);
	frame_reader_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delimited_messages_come_back_from_any_pieces),
		cmocka_unit_test(delimited_lengths_are_checked_before_the_bytes_are_there),
		cmocka_unit_test(delimited_messages_pass_a_descriptor),
		cmocka_unit_test(stream_frames_come_back_from_any_pieces),
		cmocka_unit_test(a_stream_that_stops_within_a_frame_is_not_at_a_boundary),
		cmocka_unit_test(broken_frames_are_refused_early),
		cmocka_unit_test(a_sink_may_refuse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
