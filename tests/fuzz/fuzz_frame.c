/* The migration stream's frames and delimited messages: cut anywhere, the same bytes give the same frames. */
#include "api.pb-c.h"
#include "proto/frame.h"
#include "tests/fuzz/fuzz.h"

/* What the sink saw, as bytes. */
struct seen {
	struct buf b;
	size_t expected; /* of payload */
};

static int on_header(void *arg, Davit__StreamFrame *f, struct err *e)
{
	struct seen *s = arg;
	fuzz_assert(s->expected == 0);
	fuzz_assert(f->payload_len <= FRAME_PAYLOAD_MAX);
	s->expected = f->payload_len;
	int rc = pb_pack(&f->base, &s->b, e);
	pb_freep(&f);
	return rc;
}

static int on_payload(void *arg, const uint8_t *p, size_t n, size_t left, struct err *e)
{
	struct seen *s = arg;
	fuzz_assert(n > 0 && n + left == s->expected);
	s->expected = left;
	return buf_append(&s->b, p, n, e);
}

/* Feeds in pieces; returns whether all was taken. */
static bool feed(const uint8_t *data, size_t size, size_t piece, struct seen *s)
{
	struct frame_reader r = { 0 };
	const struct frame_sink sink = { on_header, on_payload, s };
	struct err e = { 0 };
	int rc = 0;
	for (size_t i = 0; i < size && rc == 0; i += piece)
		rc = frame_feed(&r, &sink, data + i, MIN(piece, size - i), &e);
	fuzz_assert(rc == 0 || e.code == ERR_LIMIT || e.code == ERR_PROTOCOL || e.code == ERR_CORRUPT);
	fuzz_assert(rc < 0 || frame_at_boundary(&r) == (r.partial.len == 0 && s->expected == 0));
	frame_reader_free(&r);
	return rc == 0;
}

static void take_delimited(const uint8_t *data, size_t size)
{
	auto_buf struct buf b = { 0 };
	struct err e = { 0 };
	fuzz_assert(buf_append(&b, data, size, &e) == 0);
	for (;;) {
		auto_pb(Davit__ExecFrame) *m = NULL;
		size_t before = b.len;
		int rc = frame_take_delimited(&b, &davit__exec_frame__descriptor, 1 << 16, &m, &e);
		fuzz_assert((rc == 1) == (m != NULL) && (rc == 1) == (b.len < before));
		if (rc != 1)
			break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct seen whole = { 0 }, pieces = { 0 };
	bool a = feed(data + 1, size - 1, size, &whole), b = feed(data + 1, size - 1, 1 + data[0] % 64, &pieces);
	fuzz_assert(a == b && whole.b.len == pieces.b.len);
	fuzz_assert(whole.b.len == 0 || memcmp(whole.b.data, pieces.b.data, whole.b.len) == 0);
	buf_free(&whole.b);
	buf_free(&pieces.b);
	take_delimited(data + 1, size - 1);
	return 0;
}
