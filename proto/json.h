/* One JSON codec for all messages, driven by their protobuf-c descriptors (jansson reads and writes the text).
 *
 * Names: snake_case fields are camelCase members, with the OCI spec's exceptions from one table (host_id → hostID …). 64-bit integers are
 * JSON numbers; bytes are base64; enums are their names in lower case without prefix; messages named …Entry (key, value) in a repeated field are one
 * JSON object. An absent optional field is an absent member; a field with its zero value is written if it is set. Unpaired surrogates, duplicate
 * members, numbers out of range and trailing text are errors.
 *
 * Unknown members: JSON_KEEP puts each into the message's unknown fields under tag JSON_UNKNOWN_TAG as `"name":value` text, so that they
 * survive every further trip, also through bytes; JSON_REFUSE makes them an error that names the member and the nearest known one.
 * Errors are ERR_INVALID or ERR_LIMIT with line and column in the message and the path in `field` ("linux.namespaces[2].type"). */
#pragma once
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include "base/str.h"

#define JSON_UNKNOWN_TAG 536870911
enum json_unknown { JSON_KEEP, JSON_REFUSE };
struct json_limits {
	size_t bytes; /* of the text */
	size_t depth; /* of nesting */
	size_t items; /* members and elements in all */
};
extern const struct json_limits json_limits_default; /* 4 MiB, 64, 200,000 */

/* Owned message (pb_freep), or NULL. lim NULL: the default. */
void *json_parse(const ProtobufCMessageDescriptor *d, const char *text, size_t n, enum json_unknown unknown, const struct json_limits *lim,
		 struct err *e);
/* Appends m as JSON: on one line, or indented by two spaces with a newline at its end. */
int json_print(const ProtobufCMessage *m, bool pretty, struct buf *out, struct err *e);
/* The JSON member name of a field. out has 64 bytes. */
char *json_name(const ProtobufCFieldDescriptor *f, char out[64]);
