/* What every fuzzer includes. A fuzzer asserts by fuzz_assert, which ends it whatever NDEBUG says. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "proto/json.h"
#include "proto/pb.h"
#include "proto/types.h"

#define fuzz_assert(condition)                                                                                                                       \
	do {                                                                                                                                         \
		if (!(condition)) {                                                                                                                  \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                              \
			abort();                                                                                                                     \
		}                                                                                                                                    \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A message that was read must be printable, read back and pack to the same bytes. */
static inline void fuzz_check_json_round_trip(const ProtobufCMessage *m, enum json_unknown unknown, bool pretty)
{
	struct err e = { 0 };
	auto_buf struct buf text = { 0 }, packed = { 0 }, again = { 0 };
	static const struct json_limits wide = { .bytes = 64 << 20, .depth = 200, .items = 10000000 };
	fuzz_assert(pb_pack(m, &packed, &e) == 0);
	fuzz_assert(json_print(m, pretty, &text, &e) == 0);
	auto_cleanup(pb_freep) ProtobufCMessage *back = json_parse(m->descriptor, text.data, text.len, unknown, &wide, &e);
	if (!back)
		fprintf(stderr, "%s\n%s\n", e.msg, text.data);
	fuzz_assert(back);
	fuzz_assert(pb_pack(back, &again, &e) == 0);
	fuzz_assert(again.len == packed.len && (again.len == 0 || memcmp(again.data, packed.data, again.len) == 0));
}

/* The error of what was refused is one that the header promises, and says something. */
static inline void fuzz_check_error(const struct err *e, enum err_code a, enum err_code b)
{
	fuzz_assert(e->code == a || e->code == b);
	fuzz_assert(e->msg[0] && !strchr(e->msg, '\n'));
}
