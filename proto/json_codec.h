/* What the parts of the JSON codec share; not for others. */
#pragma once
#include <jansson.h>
#include "proto/json_scan.h"

/* A repeated field of messages …Entry { key, value } is one JSON object. */
bool json_is_map(const ProtobufCFieldDescriptor *f);
/* The field of a member name, NULL if there is none. *hint: where to look first (the last index found), for members mostly come in order. */
const ProtobufCFieldDescriptor *json_field_of(const ProtobufCMessageDescriptor *d, const char *name, unsigned *hint);
/* The member name that resembles `name` most, or NULL. out has 64 bytes. */
char *json_nearest(const ProtobufCMessageDescriptor *d, const char *name, char out[64]);
/* An enum value's text into out (64 bytes), and back (NULL: none). */
char *json_enum_name(const ProtobufCEnumDescriptor *d, const ProtobufCEnumValue *v, char out[64]);
const ProtobufCEnumValue *json_enum_of(const ProtobufCEnumDescriptor *d, const char *name);

/* base64 (RFC 4648, with padding). decode: owned bytes, NULL if it is none (or no memory). */
int json_base64_append(struct buf *out, const uint8_t *p, size_t n, struct err *e);
uint8_t *json_base64_decode(const char *s, size_t len, size_t *n);

struct json_decoder {
	const char *text;
	const struct json_token *tokens;
	enum json_unknown unknown;
	struct err *e;
	size_t failed_at; /* offset in the text */
};
/* Sets the error at value number `token`. Returns -1. */
int json_fail(struct json_decoder *d, size_t token, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Reads one value that is no message into its place. 0 or -1. */
int json_read_scalar(struct json_decoder *d, const ProtobufCFieldDescriptor *f, const json_t *value, size_t token, void *place);
/* Size of one element of a field in memory. */
size_t json_element_size(const ProtobufCFieldDescriptor *f);
