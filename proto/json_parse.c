/* JSON text into a message.
 *
 * The text is scanned for limits and places (json_scan.h), then jansson makes its tree, then tree and tokens are walked together, filling
 * the message that the descriptor describes. Numbers are left to jansson only as reals (JSON_DECODE_INT_AS_REAL), since their digits
 * are read from the text. Errors carry the innermost value's place; field names are put before each other on the way out. */
#include <stdio.h>
#include <string.h>
#include "proto/json_codec.h"
#include "proto/pb.h"

#define FIELDS_MAX 256 /* of one message: what `seen` has bits for */

const struct json_limits json_limits_default = { .bytes = 4 << 20, .depth = 64, .items = 200000 };

static int read_object(struct json_decoder *d, const json_t *object, size_t token, ProtobufCMessage *m);
static int read_field(struct json_decoder *d, const ProtobufCFieldDescriptor *f, const json_t *v, size_t token, ProtobufCMessage *m);

/* A new message from an object. Owned, or NULL. */
static ProtobufCMessage *read_message(struct json_decoder *d, const ProtobufCMessageDescriptor *type, const json_t *v, size_t token)
{
	if (!json_is_object(v)) {
		json_fail(d, token, "expected an object");
		return NULL;
	}
	ProtobufCMessage *m = pb_new(type, d->e);
	if (m && read_object(d, v, token, m) < 0)
		pb_freep(&m);
	return m;
}

static int read_value(struct json_decoder *d, const ProtobufCFieldDescriptor *f, const json_t *v, size_t token, void *place)
{
	if (f->type != PROTOBUF_C_TYPE_MESSAGE)
		return json_read_scalar(d, f, v, token, place);
	ProtobufCMessage *m = read_message(d, f->descriptor, v, token);
	if (!m)
		return -1;
	memcpy(place, &m, sizeof(m));
	return 0;
}

static size_t *count_of(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	return (size_t *)((char *)m + f->quantifier_offset);
}

/* Room for all elements of a repeated field. The count grows as elements come in, so that a message freed half read is consistent. */
static char *make_array(struct json_decoder *d, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t n)
{
	char *array = n ? mem_new(n, json_element_size(f), d->e) : NULL;
	memcpy((char *)m + f->offset, &array, sizeof(array));
	return array;
}

static int read_array(struct json_decoder *d, const ProtobufCFieldDescriptor *f, const json_t *v, size_t token, ProtobufCMessage *m)
{
	if (!json_is_array(v))
		return json_fail(d, token, "expected an array");
	size_t n = json_array_size(v), size = json_element_size(f), *count = count_of(m, f);
	char *array = make_array(d, m, f, n);
	if (!array)
		return n ? -1 : 0;
	size_t child = token + 1;
	for (size_t i = 0; i < n; i++) {
		if (read_value(d, f, json_array_get(v, i), child, array + i * size) < 0) {
			char index[32];
			snprintf(index, sizeof(index), "[%zu]", i);
			err_prefix_field(d->e, index);
			return -1;
		}
		(*count)++;
		child = d->tokens[child].next;
	}
	return 0;
}

/* One member of a map becomes one Entry message. */
static ProtobufCMessage *read_entry(struct json_decoder *d, const ProtobufCMessageDescriptor *type, const char *key, const json_t *v, size_t token)
{
	auto_cleanup(pb_freep) ProtobufCMessage *entry = pb_new(type, d->e);
	if (!entry || pb_set_str((char **)((char *)entry + type->fields[0].offset), key, d->e) < 0)
		return NULL;
	if (read_field(d, &type->fields[1], v, token, entry) < 0)
		return NULL;
	return steal_ptr(&entry);
}

static int read_map(struct json_decoder *d, const ProtobufCFieldDescriptor *f, const json_t *v, size_t token, ProtobufCMessage *m)
{
	if (!json_is_object(v))
		return json_fail(d, token, "expected an object");
	size_t n = json_object_size(v), *count = count_of(m, f), child = token + 1;
	char *array = make_array(d, m, f, n);
	if (!array)
		return n ? -1 : 0;
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)v, key, value)
	{
		ProtobufCMessage *entry = read_entry(d, f->descriptor, key, value, child);
		if (!entry) {
			char index[96];
			snprintf(index, sizeof(index), "[\"%.64s\"]", key);
			err_prefix_field(d->e, index);
			return -1;
		}
		memcpy(array + (*count)++ * sizeof(entry), &entry, sizeof(entry));
		child = d->tokens[child].next;
	}
	return 0;
}

/* Says in the message that an optional field is there. */
static int mark_present(struct json_decoder *d, const ProtobufCFieldDescriptor *f, size_t token, ProtobufCMessage *m)
{
	char *quantifier = (char *)m + f->quantifier_offset;
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		if (*(uint32_t *)quantifier != 0)
			return json_fail(d, token, "another of its alternatives is given as well");
		*(uint32_t *)quantifier = f->id;
	} else if (f->label == PROTOBUF_C_LABEL_OPTIONAL && f->type != PROTOBUF_C_TYPE_MESSAGE && f->type != PROTOBUF_C_TYPE_STRING) {
		*(protobuf_c_boolean *)quantifier = 1;
	}
	return 0;
}

static int read_field(struct json_decoder *d, const ProtobufCFieldDescriptor *f, const json_t *v, size_t token, ProtobufCMessage *m)
{
	if (json_is_null(v)) /* as an absent member */
		return 0;
	if (json_is_map(f))
		return read_map(d, f, v, token, m);
	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return read_array(d, f, v, token, m);
	if (mark_present(d, f, token, m) < 0)
		return -1;
	return read_value(d, f, v, token, (char *)m + f->offset);
}

/* Copies JSON text without the white space between its parts. */
static int append_compact(struct buf *out, const char *text, size_t n, struct err *e)
{
	bool string = false;
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '"')
			string = !string;
		if (!string && memchr(" \t\r\n", text[i], 4))
			continue;
		size_t piece = string && text[i] == '\\' ? 2 : 1; /* an escaped quote ends no string */
		if (buf_append(out, text + i, piece, e) < 0)
			return -1;
		i += piece - 1;
	}
	return 0;
}

/* Puts `"name":value` under JSON_UNKNOWN_TAG, as protobuf-c keeps unknown fields: length and bytes. */
static int keep_unknown(struct json_decoder *d, const char *name, size_t token, ProtobufCMessage *m)
{
	const struct json_token *t = &d->tokens[token];
	auto_buf struct buf text = { 0 }, data = { 0 };
	if (buf_json_string(&text, name, d->e) < 0 || buf_puts(&text, ":", d->e) < 0 ||
	    append_compact(&text, d->text + t->start, t->end - t->start, d->e) < 0)
		return -1;
	for (size_t n = text.len;; n >>= 7) {
		char byte = (char)(n < 0x80 ? n : n | 0x80);
		if (buf_append(&data, &byte, 1, d->e) < 0)
			return -1;
		if (n < 0x80)
			break;
	}
	if (buf_append(&data, text.data, text.len, d->e) < 0)
		return -1;
	unsigned n = m->n_unknown_fields;
	ProtobufCMessageUnknownField *grown = m->unknown_fields;
	if ((n & (n - 1)) == 0) { /* room doubles at powers of two */
		grown = reallocarray(grown, n ? 2 * (size_t)n : 1, sizeof(*grown));
		if (!grown)
			return err_set(d->e, ERR_RESOURCE, 0, "no memory for unknown members");
	}
	m->unknown_fields = grown;
	grown[n] =
	    (ProtobufCMessageUnknownField){ JSON_UNKNOWN_TAG, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, data.len, (uint8_t *)steal_ptr(&data.data) };
	m->n_unknown_fields = n + 1;
	return 0;
}

static int read_unknown(struct json_decoder *d, const char *name, size_t token, ProtobufCMessage *m)
{
	if (d->unknown == JSON_KEEP)
		return keep_unknown(d, name, token, m);
	char near[64];
	json_fail(d, token, "unknown member \"%.64s\"", name);
	if (json_nearest(m->descriptor, name, near))
		err_remedy(d->e, "did you mean \"%s\"?", near);
	char field[72];
	snprintf(field, sizeof(field), "%.64s", name);
	err_prefix_field(d->e, field);
	return -1;
}

static int check_required(struct json_decoder *d, const ProtobufCMessageDescriptor *type, const uint64_t *seen, size_t token)
{
	for (unsigned i = 0; i < type->n_fields; i++) {
		if (type->fields[i].label != PROTOBUF_C_LABEL_REQUIRED || seen[i / 64] >> i % 64 & 1)
			continue;
		char name[64];
		json_fail(d, token, "\"%s\" is missing", json_name(&type->fields[i], name));
		err_prefix_field(d->e, name);
		return -1;
	}
	return 0;
}

static int read_object(struct json_decoder *d, const json_t *object, size_t token, ProtobufCMessage *m)
{
	const ProtobufCMessageDescriptor *type = m->descriptor;
	uint64_t seen[FIELDS_MAX / 64] = { 0 };
	unsigned hint = 0;
	size_t child = token + 1;
	const char *name;
	json_t *value;
	if (type->n_fields > FIELDS_MAX)
		return err_set(d->e, ERR_INTERNAL, 0, "%s has %u fields", type->name, type->n_fields);
	json_object_foreach((json_t *)object, name, value)
	{
		const ProtobufCFieldDescriptor *f = json_field_of(type, name, &hint);
		if (!f && read_unknown(d, name, child, m) < 0)
			return -1;
		if (f && read_field(d, f, value, child, m) < 0) {
			err_prefix_field(d->e, name);
			return -1;
		}
		size_t i = f ? (size_t)(f - type->fields) : 0;
		if (f && !json_is_null(value))
			seen[i / 64] |= 1ULL << i % 64;
		child = d->tokens[child].next;
	}
	return check_required(d, type, seen, token);
}

/* Puts line, column and field before the message of an error of meaning. */
static void complete_error(const struct json_decoder *d)
{
	size_t line, column;
	if (!d->e || d->e->code != ERR_INVALID)
		return;
	json_position(d->text, d->failed_at, &line, &column);
	if (d->e->field[0])
		err_prefix(d->e, "line %zu, column %zu: %s", line, column, d->e->field);
	else
		err_prefix(d->e, "line %zu, column %zu", line, column);
}

void *json_parse(const ProtobufCMessageDescriptor *type, const char *text, size_t n, enum json_unknown unknown, const struct json_limits *lim,
		 struct err *e)
{
	auto_cleanup(json_tokens_free) struct json_tokens tokens = { 0 };
	if (json_scan(text, n, lim ? lim : &json_limits_default, &tokens, e) < 0)
		return NULL;
	json_error_t error;
	auto_cleanup(json_decrefp) json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL | JSON_DECODE_ANY, &error);
	if (!root) {
		err_set(e, ERR_INVALID, 0, "line %d, column %d: %s", MAX(error.line, 1), MAX(error.column, 1), error.text);
		return NULL;
	}
	struct err own;
	struct json_decoder d = { .text = text, .tokens = tokens.v, .unknown = unknown, .e = e ? e : &own };
	ProtobufCMessage *m = read_message(&d, type, root, 0);
	if (!m)
		complete_error(&d);
	return m;
}
