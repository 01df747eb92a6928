/* Datagrams of the monitor's attach socket: what is taken lies within the datagram. */
#include "proto/attach.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct attach_msg m = { 0 };
	struct err e = { 0 };

	if (attach_parse(data, size, &m, &e) < 0) {
		fuzz_assert(e.code && e.msg[0]);
		return 0;
	}
	fuzz_assert(m.n <= ATTACH_DATA_MAX);
	fuzz_assert(m.n == 0 || (m.data >= data && m.data + m.n <= data + size));
	return 0;
}
