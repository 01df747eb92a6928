/* Where each value of a JSON text stands.
 *
 * One pass over the text before jansson sees it: it counts depth and items, so that limits hold before anything is allocated for
 * them, and notes each value's place in the order of the text. jansson keeps the order of members, so a walk over its tree meets the values
 * in the same order: value number i of the tree is tokens[i]. That gives errors of meaning their line and column, gives numbers all their digits
 * (jansson's are signed 64 bits), and gives unknown members their original text. The scan itself refuses nothing but the limits and NUL bytes:
 * whether the text is JSON is jansson's to say, and tokens of a text that it refuses are not used. */
#pragma once
#include <stdint.h>
#include "proto/json.h"

#define JSON_DEPTH_CAP 256

/* A value: text[start..end), and the number of the value that follows its whole content. */
struct json_token {
	uint32_t start, end, next;
};
struct json_tokens {
	struct json_token *v; /* owned */
	size_t n, cap;
};
void json_tokens_free(struct json_tokens *t);

/* 0 or -1 (ERR_LIMIT or ERR_INVALID with line and column). */
int json_scan(const char *text, size_t n, const struct json_limits *lim, struct json_tokens *out, struct err *e);
/* Line and column (from 1, in characters) of a place. */
void json_position(const char *text, size_t offset, size_t *line, size_t *column);
