/* A message as JSON text. It is written on one line first; the indented form is made from that line, with kept unknown members in it. */
#include <inttypes.h>
#include <string.h>
#include "proto/json_codec.h"

static int print_message(const ProtobufCMessage *m, struct buf *out, struct err *e);

static int print_enum(const ProtobufCFieldDescriptor *f, int value, struct buf *out, struct err *e)
{
	char name[64];
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(f->descriptor, value);
	if (!v)
		return err_set(e, ERR_INTERNAL, 0, "field %s has the unknown value %d", f->name, value);
	return buf_json_string(out, json_enum_name(f->descriptor, v, name), e);
}

static int print_string(const ProtobufCFieldDescriptor *f, const char *s, struct buf *out, struct err *e)
{
	return s ? buf_json_string(out, s, e) : err_set(e, ERR_INTERNAL, 0, "required field %s is not set", f->name);
}

static int print_bytes(const ProtobufCBinaryData *b, struct buf *out, struct err *e)
{
	return buf_puts(out, "\"", e) < 0 || json_base64_append(out, b->data, b->len, e) < 0 ? -1 : buf_puts(out, "\"", e);
}

static int print_value(const ProtobufCFieldDescriptor *f, const void *place, struct buf *out, struct err *e)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		return print_string(f, *(char *const *)place, out, e);
	case PROTOBUF_C_TYPE_BYTES:
		return print_bytes(place, out, e);
	case PROTOBUF_C_TYPE_ENUM:
		return print_enum(f, *(const int *)place, out, e);
	case PROTOBUF_C_TYPE_BOOL:
		return buf_puts(out, *(const protobuf_c_boolean *)place ? "true" : "false", e);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		return buf_printf(out, e, "%" PRId32, *(const int32_t *)place);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return buf_printf(out, e, "%" PRId64, *(const int64_t *)place);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return buf_printf(out, e, "%" PRIu32, *(const uint32_t *)place);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return buf_printf(out, e, "%" PRIu64, *(const uint64_t *)place);
	case PROTOBUF_C_TYPE_MESSAGE:
		return print_message(*(ProtobufCMessage *const *)place, out, e);
	default:
		break;
	}
	return err_set(e, ERR_INTERNAL, 0, "field %s is of type %d", f->name, (int)f->type);
}

static bool is_present(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	const char *quantifier = (const char *)m + f->quantifier_offset, *place = (const char *)m + f->offset;
	if (f->label == PROTOBUF_C_LABEL_REQUIRED)
		return true;
	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)quantifier > 0;
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF && *(const uint32_t *)quantifier != f->id)
		return false;
	if (f->type == PROTOBUF_C_TYPE_MESSAGE || f->type == PROTOBUF_C_TYPE_STRING)
		return *(void *const *)place != NULL;
	return f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF || *(const protobuf_c_boolean *)quantifier;
}

static int print_entry(const ProtobufCMessage *entry, struct buf *out, struct err *e)
{
	const ProtobufCFieldDescriptor *key = &entry->descriptor->fields[0], *value = key + 1;
	if (print_value(key, (const char *)entry + key->offset, out, e) < 0 || buf_puts(out, ":", e) < 0)
		return -1;
	if (!is_present(entry, value))
		return buf_puts(out, "null", e);
	return print_value(value, (const char *)entry + value->offset, out, e);
}

static int print_repeated(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, struct buf *out, struct err *e)
{
	bool map = json_is_map(f);
	size_t n = *(const size_t *)((const char *)m + f->quantifier_offset), size = json_element_size(f);
	const char *array = *(const char *const *)((const char *)m + f->offset);
	if (buf_puts(out, map ? "{" : "[", e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const char *place = array + i * size;
		if (i > 0 && buf_puts(out, ",", e) < 0)
			return -1;
		if ((map ? print_entry(*(ProtobufCMessage *const *)place, out, e) : print_value(f, place, out, e)) < 0)
			return -1;
	}
	return buf_puts(out, map ? "}" : "]", e);
}

static int print_field(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, struct buf *out, struct err *e)
{
	char name[64];
	if (buf_printf(out, e, "\"%s\":", json_name(f, name)) < 0)
		return -1;
	return f->label == PROTOBUF_C_LABEL_REPEATED ? print_repeated(m, f, out, e) : print_value(f, (const char *)m + f->offset, out, e);
}

/* The text of a kept unknown member. Not every one comes from our parser: a peer may have put anything under the tag. NULL: no member. */
static const char *unknown_text(const ProtobufCMessage *m, const ProtobufCMessageUnknownField *u, size_t *n)
{
	if (u->tag != JSON_UNKNOWN_TAG || u->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
		return NULL;
	size_t prefix = 0;
	while (prefix < u->len && u->data[prefix] & 0x80)
		prefix++;
	if (prefix >= u->len || u->len - prefix - 1 > json_limits_default.bytes)
		return NULL;
	const char *text = (const char *)u->data + prefix + 1;
	*n = u->len - prefix - 1;
	auto_buf struct buf whole = { 0 };
	if (buf_puts(&whole, "{", NULL) < 0 || buf_append(&whole, text, *n, NULL) < 0 || buf_puts(&whole, "}", NULL) < 0)
		return NULL;
	struct json_tokens tokens = { 0 };
	bool bounded = json_scan(whole.data, whole.len, &json_limits_default, &tokens, NULL) == 0;
	json_tokens_free(&tokens);
	json_t *member = bounded ? json_loadb(whole.data, whole.len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL) : NULL;
	unsigned hint = 0;
	bool good = json_object_size(member) == 1 && !json_field_of(m->descriptor, json_object_iter_key(json_object_iter(member)), &hint);
	json_decref(member);
	return good && !memchr(text, '\n', *n) ? text : NULL;
}

static int print_message(const ProtobufCMessage *m, struct buf *out, struct err *e)
{
	if (!m)
		return err_set(e, ERR_INTERNAL, 0, "a required message is not set");
	size_t start = out->len + 1, n;
	if (buf_puts(out, "{", e) < 0)
		return -1;
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		if (!is_present(m, f))
			continue;
		if ((out->len > start && buf_puts(out, ",", e) < 0) || print_field(m, f, out, e) < 0)
			return -1;
	}
	for (unsigned i = 0; i < m->n_unknown_fields; i++) {
		const char *text = unknown_text(m, &m->unknown_fields[i], &n);
		if (text && ((out->len > start && buf_puts(out, ",", e) < 0) || buf_append(out, text, n, e) < 0))
			return -1;
	}
	return buf_puts(out, "}", e);
}

static int new_line(struct buf *out, size_t depth, struct err *e)
{
	if (buf_puts(out, "\n", e) < 0)
		return -1;
	for (size_t i = 0; i < depth; i++)
		if (buf_puts(out, "  ", e) < 0)
			return -1;
	return 0;
}

/* End of the string at p. */
static const char *string_end(const char *p)
{
	for (p++; *p && *p != '"'; p++)
		if (*p == '\\' && p[1])
			p++;
	return *p ? p + 1 : p;
}

/* One part of a one-line text, at *p, with what belongs before and after it. */
static int indent_part(const char **p, size_t *depth, struct buf *out, struct err *e)
{
	const char *at = *p, *end = at + 1;
	bool opens = *at == '{' || *at == '[', closes = *at == '}' || *at == ']';
	if (*at == '"')
		end = string_end(at);
	else if (opens && (*end == '}' || *end == ']'))
		end++;
	if (closes && new_line(out, --*depth, e) < 0)
		return -1;
	if (buf_append(out, at, (size_t)(end - at), e) < 0)
		return -1;
	*p = end;
	if (opens && end == at + 1)
		return new_line(out, ++*depth, e);
	return *at == ',' ? new_line(out, *depth, e) : *at == ':' ? buf_puts(out, " ", e) : 0;
}

int json_print(const ProtobufCMessage *m, bool pretty, struct buf *out, struct err *e)
{
	if (!pretty)
		return print_message(m, out, e);
	auto_buf struct buf line = { 0 };
	if (print_message(m, &line, e) < 0)
		return -1;
	size_t depth = 0;
	for (const char *p = line.data; *p;)
		if (indent_part(&p, &depth, out, e) < 0)
			return -1;
	return buf_puts(out, "\n", e);
}
