/* Packed bytes against every message type: what is taken can be packed, and printed unless an enum holds a number without a name. */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct err e = { 0 };
	auto_cleanup(pb_freep) ProtobufCMessage *m = pb_unpack(proto_types[data[0] % proto_types_count], data + 1, size - 1, "input", &e);
	if (!m) {
		fuzz_check_error(&e, ERR_CORRUPT, ERR_LIMIT);
		return 0;
	}
	auto_buf struct buf packed = { 0 }, text = { 0 };
	auto_cleanup(pb_freep) ProtobufCMessage *copy = pb_dup(m, &e);
	fuzz_assert(copy && pb_pack(copy, &packed, &e) == 0);
	if (json_print(m, data[0] & 1, &text, &e) < 0) {
		fuzz_check_error(&e, ERR_INTERNAL, ERR_INTERNAL);
		return 0;
	}
	/* Text that is no UTF-8 was replaced and may make keys equal; what is read must still be sound. */
	auto_cleanup(pb_freep) ProtobufCMessage *back = json_parse(m->descriptor, text.data, text.len, JSON_KEEP, NULL, &e);
	if (back)
		fuzz_check_json_round_trip(back, JSON_KEEP, false);
	return 0;
}
