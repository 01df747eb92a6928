/* Walks the wire format (protobuf.dev/programming-guides/encoding) along the descriptors, allocating nothing. */
#include "proto/pb_scan.h"
#include <stdbool.h>
#include <stdint.h>

#define FIELD_MAX 536870911 /* 2^29 - 1 */

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

struct scan {
	const char *what;
	uint64_t memory, memory_max;
	struct err *e;
};

static bool take_varint(const uint8_t **p, const uint8_t *end, uint64_t *out)
{
	*out = 0;
	for (int shift = 0; shift < 64 && *p < end; shift += 7) {
		uint8_t byte = *(*p)++;
		*out |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

/* Passes over a field's value; *bytes is its length where it has one. False if it does not fit into what is left. */
static bool take_value(const uint8_t **p, const uint8_t *end, uint64_t tag, uint64_t *bytes)
{
	uint64_t v, n = 0;
	*bytes = 0;
	switch (tag & 7) {
	case WIRE_VARINT:
		return take_varint(p, end, &v);
	case WIRE_64:
		n = 8;
		break;
	case WIRE_32:
		n = 4;
		break;
	case WIRE_BYTES:
		if (!take_varint(p, end, &n))
			return false;
		*bytes = n;
		break;
	default:
		return false;
	}
	if (n > (uint64_t)(end - *p))
		return false;
	*p += n;
	return true;
}

static int scan_message(struct scan *s, const ProtobufCMessageDescriptor *d, const uint8_t *p, const uint8_t *end, int depth)
{
	if (depth > PB_DEPTH_MAX)
		return err_set(s->e, ERR_LIMIT, 0, "%s: messages nest deeper than %d", s->what, PB_DEPTH_MAX);
	s->memory += d->sizeof_message;
	while (p < end) {
		uint64_t tag, n;
		if (!take_varint(&p, end, &tag) || tag >> 3 == 0 || tag >> 3 > FIELD_MAX || !take_value(&p, end, tag, &n))
			return err_set(s->e, ERR_CORRUPT, 0, "%s: not a message of type %s", s->what, d->name);
		/* 32: a pointer or number in an array, a string's end, or what is noted of an unknown field. A packed array's numbers
		 * may each be one byte here and eight in memory. */
		const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(d, (unsigned)(tag >> 3));
		bool string = !f || f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_BYTES;
		s->memory += 32 + (string ? n : 8 * n);
		if (f && f->type == PROTOBUF_C_TYPE_MESSAGE && (tag & 7) == WIRE_BYTES) {
			s->memory -= 8 * n;
			if (scan_message(s, f->descriptor, p - n, p, depth + 1) < 0)
				return -1;
		}
		if (s->memory > s->memory_max)
			return err_set(s->e, ERR_LIMIT, 0, "%s: a message of type %s with too many parts for its size", s->what, d->name);
	}
	return 0;
}

int pb_scan(const ProtobufCMessageDescriptor *d, const void *p, size_t n, const char *what, struct err *e)
{
	struct scan s = { .what = what, .memory_max = PB_MEMORY_BASE + PB_MEMORY_FACTOR * (uint64_t)n, .e = e };
	const uint8_t *bytes = p;
	return scan_message(&s, d, bytes, bytes + n, 1);
}
