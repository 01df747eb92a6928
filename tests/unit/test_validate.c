/* The checks of a spec before anything is made: runtime/validate.h. One row a rule: what is changed in a good spec, and which field the error names.
 */
#include <jansson.h>
#include "base/fd.h"
#include "base/file.h"
#include "proto/json.h"
#include "proto/pb.h"
#include "runtime/validate.h"
#include "tests/unit/unit.h"

static const char good[] =
    "{\"ociVersion\":\"1.2.0\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\",\"env\":[\"A=b\"]},\"root\":{\"path\":\"/\"},"
    "\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"}],"
    "\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"pid\"},{\"type\":\"uts\"},{\"type\":\"ipc\"},{\"type\":\"network\"}]}}";

/* Puts `value` (JSON text) at a path like "process.args" into the good spec; NULL removes what is there. */
static Davit__OciSpec *spec_with(const char *path, const char *value)
{
	json_t *root = json_loads(good, 0, NULL), *at = root;
	char copy[64], *rest = copy, *name = NULL;

	snprintf(copy, sizeof(copy), "%s", path);
	for (name = strsep(&rest, "."); rest; name = strsep(&rest, "."))
		at = json_object_get(at, name);
	if (value)
		json_object_set_new(at, name, json_loads(value, JSON_DECODE_ANY, NULL));
	else
		json_object_del(at, name);
	char *text = json_dumps(root, 0);
	struct err e = { 0 };
	Davit__OciSpec *s = json_parse(&davit__oci_spec__descriptor, text, strlen(text), JSON_KEEP, NULL, &e);
	if (!s)
		fail_msg("%s = %s: %s", path, value, e.msg);
	free(text);
	json_decref(root);
	return s;
}

static const struct {
	const char *path, *value, *field;
} rules[] = {
	{ "ociVersion", NULL, "ociVersion" },
	{ "ociVersion", "\"2.0.0\"", "ociVersion" },
	{ "process", NULL, "process" },
	{ "process.args", "[]", "process.args" },
	{ "process.cwd", "\"relative\"", "process.cwd" },
	{ "process.env", "[\"x\"]", "process.env[0]" },
	{ "process.env", "[\"A=1\",\"=x\"]", "process.env[1]" },
	{ "process.oomScoreAdj", "1001", "process.oomScoreAdj" },
	{ "process.rlimits", "[{\"type\":\"RLIMIT_X\",\"soft\":1,\"hard\":1}]", "process.rlimits[0].type" },
	{ "process.rlimits", "[{\"type\":\"RLIMIT_CPU\",\"soft\":2,\"hard\":1}]", "process.rlimits[0].soft" },
	{ "process.rlimits", "[{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":1},{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":1}]",
	  "process.rlimits[1].type" },
	{ "process.scheduler", "{\"policy\":\"SCHED_X\"}", "process.scheduler.policy" },
	{ "process.scheduler", "{\"policy\":\"SCHED_BATCH\",\"nice\":20}", "process.scheduler.nice" },
	{ "process.ioPriority", "{\"class\":\"X\"}", "process.ioPriority.class" },
	{ "root.path", NULL, "root.path" },
	{ "root.path", "\"/no/such/folder\"", "root.path" },
	{ "root.path", "\"/etc/passwd\"", "root.path" },
	{ "linux", NULL, "linux" },
	{ "linux.namespaces", "[{\"type\":\"mount\"},{\"type\":\"x\"}]", "linux.namespaces[1].type" },
	{ "linux.namespaces", "[{\"type\":\"mount\"},{\"type\":\"mount\"}]", "linux.namespaces[1].type" },
	{ "linux.namespaces", "[{\"type\":\"mount\"},{\"type\":\"user\"}]", "linux.uidMappings" },
	{ "linux.namespaces", "[{\"type\":\"pid\"}]", "mounts" },
	{ "linux.uidMappings", "[{\"containerID\":0,\"hostID\":0,\"size\":1}]", "linux.uidMappings" },
	{ "linux.timeOffsets", "{\"boottime\":{\"secs\":1}}", "linux.timeOffsets" },
	{ "linux.devices", "[{\"type\":\"c\",\"path\":\"x\",\"major\":1,\"minor\":1}]", "linux.devices[0].path" },
	{ "linux.devices", "[{\"type\":\"c\",\"path\":\"/x\",\"major\":-1,\"minor\":1}]", "linux.devices[0].major" },
	{ "linux.sysctl", "{\"vm.swappiness\":\"1\"}", "linux.sysctl.vm.swappiness" },
	{ "linux.sysctl", "{\"net/../vm/swappiness\":\"1\"}", "linux.sysctl.net/../vm/swappiness" },
	{ "linux.maskedPaths", "[\"/a\",\"b\"]", "linux.maskedPaths[1]" },
	{ "linux.readonlyPaths", "[\"b\"]", "linux.readonlyPaths[0]" },
	{ "linux.rootfsPropagation", "\"x\"", "linux.rootfsPropagation" },
	{ "linux.intelRdt", "{}", "linux.intelRdt" },
	{ "mounts", "[{\"destination\":\"x\",\"type\":\"tmpfs\"}]", "mounts[0].destination" },
	{ "mounts", "[{\"destination\":\"/a/..\",\"type\":\"tmpfs\"}]", "mounts[0].destination" },
	{ "mounts", "[{\"destination\":\"//\",\"type\":\"tmpfs\"}]", "mounts[0].destination" },
	{ "mounts", "[{\"destination\":\"/proc/1\",\"type\":\"tmpfs\"}]", "mounts[0].destination" },
	{ "mounts", "[{\"destination\":\"/x\"}]", "mounts[0].type" },
	{ "mounts", "[{\"destination\":\"/x\",\"options\":[\"bind\"]}]", "mounts[0].source" },
	{ "mounts", "[{\"destination\":\"/x\",\"type\":\"bind\",\"source\":\"/\",\"options\":[\"tmpcopyup\"]}]", "mounts[0].options" },
	{ "hooks", "{\"prestart\":[{\"path\":\"x\"}]}", "hooks.prestart[0].path" },
	{ "hooks", "{\"poststop\":[{\"path\":\"/x\",\"timeout\":0}]}", "hooks.poststop[0].timeout" },
};

static void each_rule_names_its_field_and_a_remedy(void **s)
{
	auto_close int dir = file_open_dir(AT_FDCWD, "/", NULL);

	(void)s;
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		auto_pb(Davit__OciSpec) *spec = spec_with(rules[i].path, rules[i].value);
		struct err e = { 0 };

		if (validate_spec(spec, dir, &e) == 0)
			fail_msg("%s = %s was taken", rules[i].path, rules[i].value);
		assert_int_equal(e.code, ERR_INVALID);
		if (strcmp(rules[i].field, "mounts") != 0)
			assert_string_equal(e.field, rules[i].field);
		if (!*e.remedy)
			fail_msg("%s = %s: no remedy", rules[i].path, rules[i].value);
	}
}

static const struct {
	const char *path, *value;
} allowed[] = {
	{ "ociVersion", "\"1.0.2-dev\"" },
	{ "process.args", "[\"a\",\"\"]" },
	{ "hostname", "\"h\"" },
	{ "linux.sysctl", "{\"net.ipv4.ip_forward\":\"1\",\"kernel.shmmax\":\"1\",\"fs.mqueue.msg_max\":\"5\",\"kernel.domainname\":\"d\"}" },
	{ "linux.namespaces", "[{\"type\":\"mount\"},{\"type\":\"network\",\"path\":\"/proc/1/ns/net\"}]" },
	{ "mounts", "[{\"destination\":\"/proc/uptime\",\"type\":\"bind\",\"source\":\"/x\"},{\"destination\":\"/..a/b..\",\"type\":\"tmpfs\"}]" },
	{ "process.capabilities", "{}" },
	{ "futureMember", "{\"x\":[1,2]}" },
};

static void what_is_right_is_taken(void **s)
{
	auto_close int dir = file_open_dir(AT_FDCWD, "/", NULL);

	(void)s;
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
		auto_pb(Davit__OciSpec) *spec = spec_with(allowed[i].path, allowed[i].value);
		struct err e = { 0 };

		if (validate_spec(spec, dir, &e) < 0)
			fail_msg("%s = %s: %s: %s", allowed[i].path, allowed[i].value, e.field, e.msg);
	}
}

static void all_problems_are_told_at_once(void **s)
{
	auto_close int dir = file_open_dir(AT_FDCWD, "/", NULL);
	auto_pb(Davit__OciSpec) *spec = spec_with("process", "{\"args\":[],\"cwd\":\"x\",\"oomScoreAdj\":5000}");
	struct err e = { 0 };

	(void)s;
	assert_int_equal(validate_spec(spec, dir, &e), -1);
	assert_string_equal(e.field, "process.args");
	assert_non_null(strstr(e.msg, "3 problems"));
	assert_non_null(strstr(e.msg, "process.cwd"));
	assert_non_null(strstr(e.msg, "process.oomScoreAdj"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule_names_its_field_and_a_remedy),
		cmocka_unit_test(what_is_right_is_taken),
		cmocka_unit_test(all_problems_are_told_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
