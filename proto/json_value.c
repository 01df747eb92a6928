/* Values that are no messages, from JSON into a message's memory. Numbers are read from the text itself, where they have all their digits. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "proto/json_codec.h"

int json_fail(struct json_decoder *d, size_t token, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->failed_at = d->tokens[token].start;
	return err_set(d->e, ERR_INVALID, 0, "%s", text);
}

static const char *kind_of(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "true or false";
	default:
		return "null";
	}
}

static int wrong_kind(struct json_decoder *d, size_t token, const char *wanted, const json_t *v)
{
	return json_fail(d, token, "expected %s, not %s", wanted, kind_of(v));
}

/* A whole number's digits; -1 with the error if the value is none. The text is not NUL-terminated, so it is copied. */
static int digits_of(struct json_decoder *d, const json_t *v, size_t token, char out[32])
{
	if (!json_is_number(v))
		return wrong_kind(d, token, "a whole number", v);
	const struct json_token *t = &d->tokens[token];
	size_t n = t->end - t->start;
	const char *p = d->text + t->start;
	for (size_t i = *p == '-'; i < n; i++)
		if (p[i] < '0' || p[i] > '9')
			return json_fail(d, token, "expected a whole number, not %.*s", (int)MIN(n, 32), p);
	snprintf(out, 32, "%.*s", (int)n, p); /* one that is cut is out of every range still */
	return 0;
}

static int read_signed(struct json_decoder *d, const json_t *v, size_t token, int64_t min, int64_t max, int64_t *out)
{
	char digits[32];
	if (digits_of(d, v, token, digits) < 0)
		return -1;
	errno = 0;
	long long n = strtoll(digits, NULL, 10);
	if (errno == ERANGE || n < min || n > max)
		return json_fail(d, token, "%s is not in %lld..%lld", digits, (long long)min, (long long)max);
	*out = n;
	return 0;
}

static int read_unsigned(struct json_decoder *d, const json_t *v, size_t token, uint64_t max, uint64_t *out)
{
	char digits[32];
	if (digits_of(d, v, token, digits) < 0)
		return -1;
	errno = 0;
	unsigned long long n = strtoull(digits, NULL, 10); /* would take "-1" for its complement */
	if (errno == ERANGE || n > max || (digits[0] == '-' && n != 0))
		return json_fail(d, token, "%s is not in 0..%llu", digits, (unsigned long long)max);
	*out = n;
	return 0;
}

static int read_string(struct json_decoder *d, const json_t *v, size_t token, void *place)
{
	if (!json_is_string(v))
		return wrong_kind(d, token, "a string", v);
	char *copy = mem_strdup(json_string_value(v), d->e);
	memcpy(place, &copy, sizeof(copy));
	return copy ? 0 : -1;
}

static int read_bytes(struct json_decoder *d, const json_t *v, size_t token, void *place)
{
	if (!json_is_string(v))
		return wrong_kind(d, token, "a string of base64", v);
	ProtobufCBinaryData data;
	data.data = json_base64_decode(json_string_value(v), json_string_length(v), &data.len);
	if (!data.data)
		return json_fail(d, token, "not base64");
	memcpy(place, &data, sizeof(data));
	return 0;
}

static int read_enum(struct json_decoder *d, const ProtobufCFieldDescriptor *f, const json_t *v, size_t token, void *place)
{
	if (!json_is_string(v))
		return wrong_kind(d, token, "a string", v);
	const ProtobufCEnumValue *known = json_enum_of(f->descriptor, json_string_value(v));
	if (!known)
		return json_fail(d, token, "\"%.64s\" is not one of the known values", json_string_value(v));
	*(int *)place = known->value;
	return 0;
}

static int read_bool(struct json_decoder *d, const json_t *v, size_t token, void *place)
{
	if (!json_is_boolean(v))
		return wrong_kind(d, token, "true or false", v);
	*(protobuf_c_boolean *)place = json_is_true(v);
	return 0;
}

int json_read_scalar(struct json_decoder *d, const ProtobufCFieldDescriptor *f, const json_t *v, size_t token, void *place)
{
	int64_t i;
	uint64_t u;
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		return read_string(d, v, token, place);
	case PROTOBUF_C_TYPE_BYTES:
		return read_bytes(d, v, token, place);
	case PROTOBUF_C_TYPE_ENUM:
		return read_enum(d, f, v, token, place);
	case PROTOBUF_C_TYPE_BOOL:
		return read_bool(d, v, token, place);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		if (read_signed(d, v, token, INT32_MIN, INT32_MAX, &i) < 0)
			return -1;
		*(int32_t *)place = (int32_t)i;
		return 0;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return read_signed(d, v, token, INT64_MIN, INT64_MAX, place);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		if (read_unsigned(d, v, token, UINT32_MAX, &u) < 0)
			return -1;
		*(uint32_t *)place = (uint32_t)u;
		return 0;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return read_unsigned(d, v, token, UINT64_MAX, place);
	default: /* floating point is in no schema: it would not survive as text */
		return err_set(d->e, ERR_INTERNAL, 0, "a field of type %d", (int)f->type);
	}
}

size_t json_element_size(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return 8;
	default:
		return 4;
	}
}
