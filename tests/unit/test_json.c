/* The JSON codec: what it takes, what it refuses and where it says so, and that every message of every schema survives it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "api.pb-c.h"
#include "config.pb-c.h"
#include "oci.pb-c.h"
#include "proto/json.h"
#include "proto/pb.h"
#include "proto/types.h"
#include "tests/unit/generate.h"

static Davit__OciSpec *parse_oci(const char *text, struct err *e)
{
	return json_parse(&davit__oci_spec__descriptor, text, strlen(text), JSON_KEEP, NULL, e);
}

static char *print(const void *m, bool pretty)
{
	struct buf out = { 0 };
	struct err e;
	if (json_print(m, pretty, &out, &e) < 0)
		fail_msg("%s", e.msg);
	return out.data;
}

/* The text is refused with this field and a message that contains `part`. */
static void refused(const ProtobufCMessageDescriptor *d, const char *text, enum json_unknown unknown, const char *field, const char *part)
{
	struct err e = { 0 };
	assert_null(json_parse(d, text, strlen(text), unknown, NULL, &e));
	assert_int_equal(e.code, ERR_INVALID);
	assert_string_equal(e.field, field);
	if (!strstr(e.msg, part))
		fail_msg("\"%s\" is not in \"%s\"", part, e.msg);
}

static void names_follow_the_oci_specification(void **state)
{
	(void)state;
	const char *text =
	    "{\"process\":{\"noNewPrivileges\":true,\"oomScoreAdj\":-5,\"execCPUAffinity\":{\"final\":\"0\"}},"
	    "\"linux\":{\"uidMappings\":[{\"containerID\":0,\"hostID\":1000,\"size\":1}],"
	    "\"resources\":{\"memory\":{\"kernelTCP\":1,\"disableOOMKiller\":false},\"blockIO\":{\"throttleWriteBpsDevice\":[{\"major\":8}],"
	    "\"throttleReadIOPSDevice\":[{\"major\":8}]},\"network\":{\"classID\":1}},\"intelRdt\":{\"closID\":\"a\",\"l3CacheSchema\":\"b\"}}}";
	struct err e = { 0 };
	auto_pb(Davit__OciSpec) *m = parse_oci(text, &e);
	assert_non_null(m);
	assert_int_equal(m->base.n_unknown_fields, 0);
	assert_int_equal(m->linux->uid_mappings[0]->host_id, 1000);
	assert_int_equal(m->linux->resources->block_io->n_throttle_read_iops_device, 1);
	auto_free char *back = print(m, false);
	assert_string_equal(back, text);
}

static void unsigned_64_bit_numbers_keep_all_digits(void **state)
{
	(void)state;
	const char *text = "{\"process\":{\"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"hard\":18446744073709551615,\"soft\":9223372036854775808}]}}";
	struct err e = { 0 };
	auto_pb(Davit__OciSpec) *m = parse_oci(text, &e);
	assert_non_null(m);
	assert_true(m->process->rlimits[0]->hard == UINT64_MAX);
	assert_true(m->process->rlimits[0]->soft == (uint64_t)INT64_MAX + 1);
	auto_free char *back = print(m, false);
	assert_string_equal(back, text);
}

static void maps_are_objects(void **state)
{
	(void)state;
	const char *text = "{\"annotations\":{\"a.b/c\":\"1\",\"\":\"empty\",\"none\":null}}";
	auto_pb(Davit__OciSpec) *m = parse_oci(text, NULL);
	assert_non_null(m);
	assert_int_equal(m->n_annotations, 3);
	assert_string_equal(m->annotations[0]->key, "a.b/c");
	assert_null(m->annotations[2]->value);
	auto_free char *back = print(m, false);
	assert_string_equal(back, text);
}

static void null_is_absent(void **state)
{
	(void)state;
	auto_pb(Davit__OciSpec) *m = parse_oci("{\"hostname\":null,\"mounts\":null,\"process\":null,\"annotations\":null}", NULL);
	assert_non_null(m);
	auto_free char *back = print(m, false);
	assert_string_equal(back, "{}");
}

static void zero_that_is_set_is_written(void **state)
{
	(void)state;
	const char *text = "{\"process\":{\"terminal\":false,\"user\":{\"uid\":0},\"cwd\":\"\"}}";
	auto_pb(Davit__OciSpec) *m = parse_oci(text, NULL);
	auto_free char *back = print(m, false);
	assert_string_equal(back, text);
}

static void unknown_members_are_kept_through_json_and_bytes(void **state)
{
	(void)state;
	const char *text = "{ \"vm\" : { \"big\" : 18446744073709551615, \"pi\": 3.140, \"t\": \"a \\\" b\", \"l\": [ 1, {} ] },\n "
			   "\"hostname\":\"h\",\"x\":\n null}";
	const char *kept = "{\"hostname\":\"h\",\"vm\":{\"big\":18446744073709551615,\"pi\":3.140,\"t\":\"a \\\" b\",\"l\":[1,{}]},\"x\":null}";
	struct err e = { 0 };
	auto_pb(Davit__OciSpec) *m = parse_oci(text, &e);
	assert_non_null(m);
	auto_pb(Davit__OciSpec) *copy = pb_dup(&m->base, &e);
	assert_non_null(copy);
	auto_free char *back = print(copy, false);
	assert_string_equal(back, kept);
}

static void unknown_members_are_refused_with_the_nearest_known(void **state)
{
	(void)state;
	struct err e = { 0 };
	const char *text = "{\"name\":\"web\",\n  \"hostnam\":\"x\"}";
	assert_null(json_parse(&davit__container_spec__descriptor, text, strlen(text), JSON_REFUSE, NULL, &e));
	assert_string_equal(e.msg, "line 2, column 13: hostnam: unknown member \"hostnam\"");
	assert_string_equal(e.field, "hostnam");
	assert_string_equal(e.remedy, "did you mean \"hostname\"?");
	refused(&davit__container_spec__descriptor, "{\"name\":\"web\",\"limits\":{\"zzzzzz\":1}}", JSON_REFUSE, "limits.zzzzzz", "unknown member");
}

static void foreign_bytes_under_the_unknown_tag_do_not_reach_the_text(void **state)
{
	(void)state;
	static const char *const texts[] = { "\"a\":1}, \"b\":{", "\"hostname\":\"evil\"", "\"a\":1,\"b\":2", "", "nonsense", "\"a\":\n1" };
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		uint8_t data[64];
		data[0] = (uint8_t)strlen(texts[i]);
		memcpy(data + 1, texts[i], strlen(texts[i]));
		ProtobufCMessageUnknownField u = { JSON_UNKNOWN_TAG, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, strlen(texts[i]) + 1, data };
		Davit__OciSpec m = DAVIT__OCI_SPEC__INIT;
		m.base.n_unknown_fields = 1;
		m.base.unknown_fields = &u;
		auto_free char *text = print(&m, false);
		assert_string_equal(text, "{}");
	}
}

static void errors_of_meaning_have_line_column_and_path(void **state)
{
	(void)state;
	struct err e = { 0 };
	assert_null(parse_oci("{\"linux\":\n\t{\"namespaces\": [ {\"type\":\"pid\"}, {},\n  {\"type\": 7} ]}}", &e));
	assert_string_equal(e.field, "linux.namespaces[2].type");
	assert_string_equal(e.msg, "line 3, column 12: linux.namespaces[2].type: expected a string, not a number");
	assert_null(parse_oci("{\"skipped\":[1,[2,{\"a\":3}]],\"hostname\":\"\xc3\xa4\xc3\xa4\",\"process\":5}", &e));
	assert_string_equal(e.msg, "line 1, column 54: process: expected an object");
	assert_null(parse_oci("{\"annotations\":{\"k\":1}}", &e));
	assert_string_equal(e.field, "annotations[\"k\"]");
}

static void wrong_kinds_and_ranges_are_refused(void **state)
{
	(void)state;
	const ProtobufCMessageDescriptor *d = &davit__oci_spec__descriptor;
	refused(d, "{\"process\":{\"terminal\":1}}", JSON_KEEP, "process.terminal", "expected true or false, not a number");
	refused(d, "{\"process\":{\"user\":{\"uid\":-1}}}", JSON_KEEP, "process.user.uid", "-1 is not in 0..4294967295");
	refused(d, "{\"process\":{\"user\":{\"uid\":4294967296}}}", JSON_KEEP, "process.user.uid", "is not in 0..4294967295");
	refused(d, "{\"process\":{\"user\":{\"uid\":1.5}}}", JSON_KEEP, "process.user.uid", "expected a whole number, not 1.5");
	refused(d, "{\"process\":{\"user\":{\"uid\":1e3}}}", JSON_KEEP, "process.user.uid", "expected a whole number, not 1e3");
	refused(d, "{\"process\":{\"user\":{\"uid\":\"0\"}}}", JSON_KEEP, "process.user.uid", "expected a whole number, not a string");
	refused(d, "{\"process\":{\"oomScoreAdj\":2147483648}}", JSON_KEEP, "process.oomScoreAdj", "is not in");
	refused(d, "{\"process\":{\"rlimits\":[{\"hard\":18446744073709551616}]}}", JSON_KEEP, "process.rlimits[0].hard", "is not in");
	refused(d, "{\"linux\":{\"resources\":{\"memory\":{\"limit\":9223372036854775808}}}}", JSON_KEEP, "linux.resources.memory.limit",
		"is not in");
	refused(d, "{\"mounts\":{}}", JSON_KEEP, "mounts", "expected an array");
	refused(d, "{\"mounts\":[null]}", JSON_KEEP, "mounts[0]", "expected an object");
	refused(d, "{\"annotations\":[]}", JSON_KEEP, "annotations", "expected an object");
	refused(d, "{\"process\":{\"args\":[\"a\",1]}}", JSON_KEEP, "process.args[1]", "expected a string");
	refused(d, "[]", JSON_KEEP, "", "expected an object");
	refused(&davit__host_facts__descriptor, "{\"cpuinfo\":\"a\"}", JSON_REFUSE, "cpuinfo", "not base64");
	refused(&davit__host_facts__descriptor, "{\"cpuinfo\":\"YR==\"}", JSON_REFUSE, "cpuinfo", "not base64");
	refused(&davit__snapshot_channel__descriptor, "{\"channel\":\"x\",\"bytes\":1}", JSON_REFUSE, "channel", "known values");
}

static void missing_required_fields_are_named(void **state)
{
	(void)state;
	refused(&davit__container_create__descriptor, "{\"spec\":{\"limits\":{}}}", JSON_REFUSE, "spec.name", "\"name\" is missing");
	refused(&davit__container_create__descriptor, "{\"spec\":null}", JSON_REFUSE, "spec", "\"spec\" is missing");
}

static void only_one_alternative_may_be_given(void **state)
{
	(void)state;
	refused(&davit__core_request__descriptor, "{\"id\":1,\"facts\":{},\"list\":{}}", JSON_REFUSE, "list", "another of its alternatives");
}

static void broken_text_is_refused_with_its_place(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"",
		"{",
		"{\"a\":1,\"a\":2}",
		"{} x",
		"{\"a\":\"\\ud800\"}",
		"{\"a\":\"\\u0000\"}",
		"{\"a\":\"\xff\"}",
		"{\"a\":01}",
		"{\"a\":\"\n\"}",
		"{'a':1}",
		"{\"a\":NaN}",
		"{\"a\" 1}",
		"{\"a\":1,}",
		"nul",
		"{\"hostname\":\"a\",\"hostname\":\"b\"}",
		"{\"annotations\":{\"a\":\"1\",\"a\":\"2\"}}",
		"\"",
		"{\"a\":\"\\",
		"}{",
		"]",
		"{\"a\":1e999}",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		refused(&davit__oci_spec__descriptor, texts[i], JSON_KEEP, "", "line 1, column ");
}

static void nul_bytes_are_refused(void **state)
{
	(void)state;
	struct err e = { 0 };
	assert_null(json_parse(&davit__oci_spec__descriptor, "{\"a\":6\0}", 8, JSON_KEEP, NULL, &e));
	assert_int_equal(e.code, ERR_INVALID);
	assert_string_equal(e.msg, "line 1, column 7: a NUL byte");
}

static void limits_hold(void **state)
{
	(void)state;
	const struct json_limits lim = { .bytes = 60, .depth = 3, .items = 5 };
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{ "{\"a\":[[]]}", true },
		{ "{\"a\":[[[]]]}", false },
		{ "{\"a\":[1,2,3,4]}", true },
		{ "{\"a\":[1,2,3,4,5]}", false },
		{ "{\"a\":1,\"b\":{\"c\":1,\"d\":2,\"e\":3}}", true },
		{ "{\"a\":1,\"b\":{\"c\":1,\"d\":2,\"e\":3,\"f\":4}}", false },
		{ "{\"a\":\"[[[[[[,,,,,,,,{{{{\\\"{{{\"}", true },
		{ "{\"a\":\"0123456789012345678901234567890123456789012345678901234567890\"}", false },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = { 0 };
		auto_pb(Davit__OciSpec) *m = json_parse(&davit__oci_spec__descriptor, cases[i].text, strlen(cases[i].text), JSON_KEEP, &lim, &e);
		assert_int_equal(m != NULL, cases[i].good);
		if (!m)
			assert_int_equal(e.code, ERR_LIMIT);
	}
}

static void pretty_text_is_indented(void **state)
{
	(void)state;
	auto_pb(Davit__OciSpec) *m = parse_oci("{\"process\":{\"args\":[\"a:{,\\\"\",\"b\"],\"user\":{}},\"extra\":{\"x\":[],\"y\":[1]}}", NULL);
	auto_free char *text = print(m, true);
	assert_string_equal(text, "{\n  \"process\": {\n    \"user\": {},\n    \"args\": [\n      \"a:{,\\\"\",\n      \"b\"\n    ]\n  },\n"
				  "  \"extra\": {\n    \"x\": [],\n    \"y\": [\n      1\n    ]\n  }\n}\n");
}

static void text_that_is_no_utf8_is_replaced_in_print(void **state)
{
	(void)state;
	Davit__Error m = DAVIT__ERROR__INIT;
	m.code = (char *)"io";
	m.message = (char *)"a\xff\x01 b\xc3";
	auto_free char *text = print(&m, false);
	assert_string_equal(text, "{\"code\":\"io\",\"message\":\"a\xef\xbf\xbd\\u0001 b\xef\xbf\xbd\"}");
}

static void print_refuses_a_message_without_its_required_field(void **state)
{
	(void)state;
	Davit__Error m = DAVIT__ERROR__INIT;
	struct err e = { 0 };
	auto_buf struct buf out = { 0 };
	assert_int_equal(json_print(&m.base, false, &out, &e), -1);
	assert_int_equal(e.code, ERR_INTERNAL);
}

/* message → JSON → message and message → bytes → message, for generated messages of every type. Compared by their bytes. */
static void every_message_survives_json_and_bytes(void **state)
{
	(void)state;
	uint64_t seed = 20261124;
	for (size_t i = 0; i < proto_types_count; i++) {
		for (int round = 0; round < 40; round++) {
			struct err e = { 0 };
			auto_cleanup(pb_freep) ProtobufCMessage *m = generate_message(proto_types[i], &seed, 0);
			auto_buf struct buf bytes = { 0 }, text = { 0 }, again = { 0 }, copied = { 0 };
			if (pb_pack(m, &bytes, &e) < 0 || json_print(m, round % 2, &text, &e) < 0)
				fail_msg("%s: %s", proto_types[i]->name, e.msg);
			auto_cleanup(pb_freep) ProtobufCMessage *back = json_parse(proto_types[i], text.data, text.len, JSON_REFUSE, NULL, &e);
			auto_cleanup(pb_freep) ProtobufCMessage *copy = pb_unpack(proto_types[i], bytes.data, bytes.len, "generated", &e);
			if (!back || !copy || pb_pack(back, &again, &e) < 0 || pb_pack(copy, &copied, &e) < 0)
				fail_msg("%s: %s\n%s", proto_types[i]->name, e.msg, text.data);
			assert_int_equal(again.len, bytes.len);
			assert_int_equal(copied.len, bytes.len);
			if (bytes.len == 0)
				continue;
			assert_memory_equal(again.data, bytes.data, bytes.len);
			assert_memory_equal(copied.data, bytes.data, bytes.len);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_follow_the_oci_specification),
		cmocka_unit_test(unsigned_64_bit_numbers_keep_all_digits),
		cmocka_unit_test(maps_are_objects),
		cmocka_unit_test(null_is_absent),
		cmocka_unit_test(zero_that_is_set_is_written),
		cmocka_unit_test(unknown_members_are_kept_through_json_and_bytes),
		cmocka_unit_test(unknown_members_are_refused_with_the_nearest_known),
		cmocka_unit_test(foreign_bytes_under_the_unknown_tag_do_not_reach_the_text),
		cmocka_unit_test(errors_of_meaning_have_line_column_and_path),
		cmocka_unit_test(wrong_kinds_and_ranges_are_refused),
		cmocka_unit_test(missing_required_fields_are_named),
		cmocka_unit_test(only_one_alternative_may_be_given),
		cmocka_unit_test(broken_text_is_refused_with_its_place),
		cmocka_unit_test(nul_bytes_are_refused),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(pretty_text_is_indented),
		cmocka_unit_test(text_that_is_no_utf8_is_replaced_in_print),
		cmocka_unit_test(print_refuses_a_message_without_its_required_field),
		cmocka_unit_test(every_message_survives_json_and_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
