/* What systemd is told of a scope: values in GVariant's text form as runc takes them (the cases of its TestInitSystemdProps among them), and limits.
 */
#include "tests/unit/cgroup.h"
#include "runtime/cgroup/properties.h"

static int of_annotation(const char *key, const char *value, struct properties *out, struct err *e)
{
	Davit__OciStringEntry a = DAVIT__OCI_STRING_ENTRY__INIT, *list[] = { &a };
	Davit__OciSpec spec = DAVIT__OCI_SPEC__INIT;

	a.key = (char *)key;
	a.value = (char *)value;
	spec.annotations = list;
	spec.n_annotations = 1;
	return properties_of_annotations(&spec, out, e);
}

static void a_value_has_the_type_that_its_text_says(void **state)
{
	static const struct {
		const char *text, *type;
		uint64_t number;
		double real;
		const char *word;
	} cases[] = {
		{ "uint64 123456789", "t", 123456789, 0, NULL },
		{ "@t 5", "t", 5, 0, NULL },
		{ "456", "i", 456, 0, NULL },
		{ "-456", "i", (uint64_t)-456, 0, NULL },
		{ "byte 0xff", "y", 255, 0, NULL },
		{ "int16 -32768", "n", (uint64_t)-32768, 0, NULL },
		{ "int64 -9223372036854775808", "x", (uint64_t)INT64_MIN, 0, NULL },
		{ "uint64 18446744073709551615", "t", UINT64_MAX, 0, NULL },
		{ "234.789", "d", 0, 234.789, NULL },
		{ "double 3", "d", 0, 3, NULL },
		{ "1e3", "d", 0, 1000, NULL },
		{ " true ", "b", 1, 0, NULL },
		{ "boolean false", "b", 0, 0, NULL },
		{ "'inactive-or-failed'", "s", 0, 0, "inactive-or-failed" },
		{ "\"it's\"", "s", 0, 0, "it's" },
		{ "'a\\'b\\\\c\\n'", "s", 0, 0, "a'b\\c\n" },
		{ "objectpath '/a'", "o", 0, 0, "/a" },
		{ "[ 'one', \"two\" ]", "as", 0, 0, "one" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = { 0 };
		struct property p = { 0 };
		if (property_parse(cases[i].text, &p, &e) < 0)
			fail_msg("%s: %s", cases[i].text, e.msg);
		if (strcmp(p.type, cases[i].type) != 0 || p.number != cases[i].number || p.real != cases[i].real)
			fail_msg("%s: type %s, %llu, %f", cases[i].text, p.type, (unsigned long long)p.number, p.real);
		if (cases[i].word)
			assert_string_equal(p.words.v[0], cases[i].word);
		strv_free(&p.words);
	}
}

static void a_text_that_is_no_value_is_refused(void **state)
{
	static const char *const texts[] = {
		"",	      " ",	  "invalid-value", "5 5",	 "'open",  "uint32 -1", "byte 256",  "int32 2147483648",
		"uint64 5.5", "string 5", "uint64 'a'",	   "true false", "truely", "['a'",	"['a' 'b']", "[5]",
		"@z 5",	      "@tt 5",	  "@as 'a'",	   "0x",	 "1e999",  "--5",	"5e",	     "boolean 1",
		"''x"
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct err e = { 0 };
		struct property p = { 0 };
		if (property_parse(texts[i], &p, &e) == 0)
			fail_msg("\"%s\" is taken as %s", texts[i], p.type);
		strv_free(&p.words);
	}
}

static void seconds_become_microseconds_and_other_names_stay(void **state)
{
	static const struct {
		const char *name, *text, *as, *type;
		uint64_t number;
	} cases[] = {
		{ "TimeoutStopUSec", "uint64 5", "TimeoutStopUSec", "t", 5 },
		{ "TimeoutStopSec", "456", "TimeoutStopUSec", "t", 456000000 },
		{ "TimeoutStopSec", "byte 234", "TimeoutStopUSec", "t", 234000000 },
		{ "TimeoutStopSec", "234.789", "TimeoutStopUSec", "t", 234789000 },
		{ "FOOSec", "123", "FOOSec", "i", 123 },
		{ "Sec", "123", "Sec", "i", 123 },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = { 0 };
		auto_properties struct properties list = { 0 };
		char key[64];
		snprintf(key, sizeof(key), PROPERTY_ANNOTATION "%s", cases[i].name);
		if (of_annotation(key, cases[i].text, &list, &e) < 0)
			fail_msg("%s: %s", key, e.msg);
		assert_int_equal(list.n, 1);
		assert_string_equal(list.v[0].name, cases[i].as);
		assert_string_equal(list.v[0].type, cases[i].type);
		assert_int_equal(list.v[0].number, cases[i].number);
	}
}

static void a_wrong_annotation_is_named(void **state)
{
	static const char *const cases[][2] = {
		{ "TimeoutStopSec", "false" },
		{ "TimeoutStopSec", "'covfefe'" },
		{ "TimeoutStopSec", "-5" },
		{ "TimeoutStopSec", "['a']" },
		{ "TimeoutStopSec", "uint64 18446744073709551615" },
		{ "Xo", "1" },
		{ "Number1", "1" },
		{ "A name", "1" },
		{ "ValidName", "invalid-value" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = { 0 };
		auto_properties struct properties list = { 0 };
		char key[64];
		snprintf(key, sizeof(key), PROPERTY_ANNOTATION "%s", cases[i][0]);
		if (of_annotation(key, cases[i][1], &list, &e) == 0)
			fail_msg("%s: %s is taken", key, cases[i][1]);
		unit_assert_message(&e, key);
		assert_non_null(strstr(e.field, key));
	}
}

static void another_annotation_is_no_property(void **state)
{
	struct err e = { 0 };
	auto_properties struct properties list = { 0 };

	(void)state;
	assert_int_equal(of_annotation("some.other.annotation", "0", &list, &e), 0);
	assert_int_equal(list.n, 0);
}

static const struct property *find(const struct properties *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i].name, name) == 0)
			return &list->v[i];
	fail_msg("no %s", name);
	return NULL;
}

static void limits_that_systemd_knows_are_told_to_it(void **state)
{
	struct err e = { 0 };
	auto_properties struct properties list = { 0 };
	auto_pb(Davit__OciResources) *r = parse("{\"memory\":{\"limit\":1048576,\"swap\":3145728,\"reservation\":4096},\"pids\":{\"limit\":-1},"
						"\"cpu\":{\"shares\":1024,\"quota\":25000,\"period\":50000,\"cpus\":\"0,3-4,9\",\"mems\":\"0\"},"
						"\"unified\":{\"memory.high\":\"524288\",\"memory.min\":\"max\",\"io.max\":\"8:0 rbps=1\"}}");
	(void)state;
	assert_int_equal(properties_of_resources(r, &list, &e), 0);
	assert_int_equal(find(&list, "MemoryMax")->number, 1048576);
	assert_int_equal(find(&list, "MemorySwapMax")->number, 2097152);
	assert_int_equal(find(&list, "MemoryLow")->number, 4096);
	assert_true(find(&list, "TasksMax")->number == UINT64_MAX);
	assert_int_equal(find(&list, "CPUWeight")->number, 100);
	assert_int_equal(find(&list, "CPUQuotaPerSecUSec")->number, 500000);
	assert_int_equal(find(&list, "CPUQuotaPeriodUSec")->number, 50000);
	assert_int_equal(find(&list, "MemoryHigh")->number, 524288);
	assert_true(find(&list, "MemoryMin")->number == UINT64_MAX);
	const struct property *cpus = find(&list, "AllowedCPUs");
	assert_string_equal(cpus->type, "ay");
	assert_int_equal(cpus->bytes.len, 2);
	assert_memory_equal(cpus->bytes.data, "\x19\x02", 2);
	assert_int_equal(find(&list, "AllowedMemoryNodes")->bytes.len, 1);
	assert_int_equal(list.n, 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_has_the_type_that_its_text_says),
		cmocka_unit_test(a_text_that_is_no_value_is_refused),
		cmocka_unit_test(seconds_become_microseconds_and_other_names_stay),
		cmocka_unit_test(a_wrong_annotation_is_named),
		cmocka_unit_test(another_annotation_is_no_property),
		cmocka_unit_test(limits_that_systemd_knows_are_told_to_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
