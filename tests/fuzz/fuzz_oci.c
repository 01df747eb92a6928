/* The text of an OCI config.json. */
#include "oci.pb-c.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = { 0 };
	auto_pb(Davit__OciSpec) *m = json_parse(&davit__oci_spec__descriptor, (const char *)data, size, JSON_KEEP, NULL, &e);
	if (m)
		fuzz_check_json_round_trip(&m->base, JSON_KEEP, true);
	else
		fuzz_check_error(&e, ERR_INVALID, ERR_LIMIT);
	return 0;
}
