/* JSON text against every message type. Two bytes choose the type and how unknown members are taken; the rest is the text. */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	const ProtobufCMessageDescriptor *d = proto_types[data[0] % proto_types_count];
	enum json_unknown unknown = data[1] & 1 ? JSON_KEEP : JSON_REFUSE;
	struct err e = { 0 };
	auto_cleanup(pb_freep) ProtobufCMessage *m = json_parse(d, (const char *)data + 2, size - 2, unknown, NULL, &e);
	if (m)
		fuzz_check_json_round_trip(m, unknown, data[1] & 2);
	else
		fuzz_check_error(&e, ERR_INVALID, ERR_LIMIT);
	return 0;
}
