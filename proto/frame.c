/* Framing: lengths are checked before anything of that length is allocated. */
#include "proto/frame.h"
#include <string.h>

#define VARINT_MAX 10 /* bytes of a 64-bit number */

static size_t put_varint(uint8_t out[VARINT_MAX], uint64_t v)
{
	size_t n = 0;
	for (; v >= 0x80; v >>= 7)
		out[n++] = (uint8_t)(v | 0x80);
	out[n++] = (uint8_t)v;
	return n;
}

/* Bytes of the varint at p, 0: not whole yet, -1: none. */
static int get_varint(const uint8_t *p, size_t n, uint64_t *out)
{
	*out = 0;
	for (size_t i = 0; i < n && i < VARINT_MAX; i++) {
		if (i == VARINT_MAX - 1 && p[i] > 1)
			return -1;
		*out |= (uint64_t)(p[i] & 0x7f) << (7 * i);
		if (!(p[i] & 0x80))
			return (int)i + 1;
	}
	return n >= VARINT_MAX ? -1 : 0;
}

int frame_put_delimited(struct buf *out, const ProtobufCMessage *m, struct err *e)
{
	uint8_t length[VARINT_MAX];
	size_t n = put_varint(length, protobuf_c_message_get_packed_size(m)), before = out->len;
	if (buf_append(out, length, n, e) < 0)
		return -1;
	if (pb_pack(m, out, e) == 0)
		return 0;
	out->len = before;
	return -1;
}

/* As get_varint, with the length checked against max. */
static int get_length(const uint8_t *p, size_t n, size_t max, uint64_t *length, struct err *e)
{
	int used = get_varint(p, n, length);
	if (used < 0)
		return err_set(e, ERR_CORRUPT, 0, "a message's length is no varint");
	if (used > 0 && *length > max)
		return err_set(e, ERR_LIMIT, 0, "a message of %llu bytes, at most %zu are allowed", (unsigned long long)*length, max);
	return used;
}

int frame_take_delimited(struct buf *b, const ProtobufCMessageDescriptor *d, size_t max, void *m, struct err *e)
{
	uint64_t length;
	int used = get_length((const uint8_t *)b->data, b->len, max, &length, e);
	if (used <= 0)
		return used;
	if (b->len - (size_t)used < length)
		return 0;
	void *message = pb_unpack(d, b->data + used, length, d->name, e);
	if (!message)
		return -1;
	buf_consume(b, (size_t)used + length);
	memcpy(m, &message, sizeof(message));
	return 1;
}

int frame_write_delimited(int fd, const ProtobufCMessage *m, struct err *e)
{
	auto_buf struct buf b = { 0 };
	return frame_put_delimited(&b, m, e) < 0 ? -1 : fd_write_all(fd, b.data, b.len, e);
}

/* Reads a length byte by byte, so that nothing of what follows is taken. */
static int read_length(int fd, size_t max, uint64_t *length, struct err *e)
{
	uint8_t bytes[VARINT_MAX];
	for (size_t n = 0; n < VARINT_MAX;) {
		int rc = fd_read_exact(fd, bytes + n, 1, e);
		if (rc < 0 || (rc == 0 && n == 0))
			return rc;
		if (rc == 0)
			return err_set(e, ERR_PROTOCOL, 0, "ended within a message's length");
		int used = get_length(bytes, ++n, max, length, e);
		if (used != 0)
			return used < 0 ? -1 : 1;
	}
	return err_set(e, ERR_CORRUPT, 0, "a message's length is no varint");
}

int frame_read_delimited(int fd, const ProtobufCMessageDescriptor *d, size_t max, void *m, struct err *e)
{
	uint64_t length;
	int rc = read_length(fd, max, &length, e);
	if (rc <= 0)
		return rc;
	auto_free void *data = mem_new(1, length, e);
	if (!data)
		return -1;
	rc = fd_read_exact(fd, data, length, e);
	if (rc < 0)
		return -1;
	if (rc == 0 && length > 0)
		return err_set(e, ERR_PROTOCOL, 0, "ended before a message of %llu bytes", (unsigned long long)length);
	void *message = pb_unpack(d, data, length, d->name, e);
	if (!message)
		return -1;
	memcpy(m, &message, sizeof(message));
	return 1;
}

int frame_put_header(struct buf *out, const Davit__StreamFrame *f, struct err *e)
{
	size_t at = out->len;
	if (buf_append(out, "\0\0\0", 4, e) < 0)
		return -1;
	if (pb_pack(&f->base, out, e) < 0) {
		out->len = at;
		return -1;
	}
	size_t n = out->len - at - 4;
	if (n > FRAME_HEADER_MAX || f->payload_len > FRAME_PAYLOAD_MAX) {
		out->len = at;
		return err_set(e, ERR_LIMIT, 0, "a frame with a header of %zu and a payload of %u bytes", n, f->payload_len);
	}
	for (int i = 0; i < 4; i++)
		out->data[at + (size_t)i] = (char)(n >> (24 - 8 * i));
	return 0;
}

static size_t header_length(const char *bytes)
{
	const uint8_t *p = (const uint8_t *)bytes;
	return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

/* Moves up to `want - partial.len` bytes from *p into partial. */
static int gather(struct frame_reader *r, size_t want, const uint8_t **p, size_t *n, struct err *e)
{
	size_t take = MIN(want - r->partial.len, *n);
	if (buf_append(&r->partial, *p, take, e) < 0)
		return -1;
	*p += take;
	*n -= take;
	return 0;
}

static int deliver_header(struct frame_reader *r, const struct frame_sink *s, struct err *e)
{
	auto_pb(Davit__StreamFrame) *f = pb_unpack(&davit__stream_frame__descriptor, r->partial.data + 4, r->partial.len - 4, "stream frame", e);
	if (!f)
		return -1;
	if (f->payload_len > FRAME_PAYLOAD_MAX)
		return err_set(e, ERR_LIMIT, 0, "stream frame: a payload of %u bytes, at most %d", f->payload_len, FRAME_PAYLOAD_MAX);
	if (f->payload_len > 0 && f->body_case != DAVIT__STREAM_FRAME__BODY_DATA)
		return err_set(e, ERR_PROTOCOL, 0, "stream frame: a payload without data");
	r->partial.len = 0;
	r->payload_left = f->payload_len;
	return s->header(s->arg, steal_ptr(&f), e);
}

static int feed_header(struct frame_reader *r, const struct frame_sink *s, const uint8_t **p, size_t *n, struct err *e)
{
	if (r->partial.len < 4) {
		if (gather(r, 4, p, n, e) < 0)
			return -1;
		if (r->partial.len < 4)
			return 0;
	}
	size_t length = header_length(r->partial.data);
	if (length == 0)
		return err_set(e, ERR_PROTOCOL, 0, "stream frame: empty");
	if (length > FRAME_HEADER_MAX)
		return err_set(e, ERR_LIMIT, 0, "stream frame: a header of %zu bytes, at most %d", length, FRAME_HEADER_MAX);
	if (gather(r, 4 + length, p, n, e) < 0)
		return -1;
	return r->partial.len == 4 + length ? deliver_header(r, s, e) : 0;
}

int frame_feed(struct frame_reader *r, const struct frame_sink *s, const uint8_t *p, size_t n, struct err *e)
{
	while (n > 0) {
		if (r->payload_left == 0) {
			if (feed_header(r, s, &p, &n, e) < 0)
				return -1;
			continue;
		}
		size_t take = MIN(r->payload_left, n);
		r->payload_left -= take;
		if (s->payload(s->arg, p, take, r->payload_left, e) < 0)
			return -1;
		p += take;
		n -= take;
	}
	return 0;
}

bool frame_at_boundary(const struct frame_reader *r)
{
	return r->partial.len == 0 && r->payload_left == 0;
}

void frame_reader_free(struct frame_reader *r)
{
	buf_free(&r->partial);
}
