/* Capability sets: names, checks, and what a child really holds after both steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/file.h"
#include "proto/json.h"
#include "proto/pb.h"
#include "runtime/caps.h"

static Davit__OciCapabilities *parse(const char *json)
{
	struct err e = { 0 };
	Davit__OciCapabilities *c = json_parse(&davit__oci_capabilities__descriptor, json, strlen(json), JSON_REFUSE, NULL, &e);
	if (!c)
		fail_msg("%s: %s", json, e.msg);
	return c;
}

static void names_and_numbers_agree_with_the_kernel(void **state)
{
	(void)state;
	for (int i = 0; i <= CAP_LAST_CAP; i++)
		assert_int_equal(caps_number(caps_name(i)), i);
	assert_int_equal(caps_number("CAP_SYS_ADMIN"), CAP_SYS_ADMIN);
	assert_int_equal(caps_number("CAP_EVERYTHING"), -1);
	assert_null(caps_name(-1));
	assert_null(caps_name(99));
	char last[16];
	struct err e = { 0 };
	assert_int_equal(file_read_line(AT_FDCWD, "/proc/sys/kernel/cap_last_cap", last, sizeof(last), &e), 0);
	assert_int_equal(caps_last(), atoi(last));
}

static void sets_are_parsed_and_an_absent_object_is_empty(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct caps c;
	auto_pb(Davit__OciCapabilities) *from =
	    parse("{\"bounding\":[\"CAP_KILL\",\"CAP_CHOWN\"],\"effective\":[\"CAP_KILL\"],\"permitted\":[\"CAP_KILL\"]}");
	assert_int_equal(caps_parse(from, &c, &e), 0);
	assert_int_equal(c.bounding, 1 << CAP_KILL | 1 << CAP_CHOWN);
	assert_int_equal(c.effective, 1 << CAP_KILL);
	assert_int_equal(c.ambient, 0);
	assert_int_equal(caps_parse(NULL, &c, &e), 0);
	assert_int_equal(c.bounding | c.effective | c.permitted | c.inheritable | c.ambient, 0);
}

static void what_is_effective_but_not_permitted_is_refused_by_name(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct caps c;
	auto_pb(Davit__OciCapabilities) *from = parse("{\"effective\":[\"CAP_KILL\"]}");
	assert_int_equal(caps_parse(from, &c, &e), -1);
	assert_int_equal(e.code, ERR_INVALID);
	assert_string_equal(e.field, "process.capabilities.effective");
}

static void an_unknown_name_is_left_out(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct caps c;
	auto_pb(Davit__OciCapabilities) *from = parse("{\"bounding\":[\"CAP_KILL\",\"CAP_WRONG\"]}");
	assert_int_equal(caps_parse(from, &c, &e), 0);
	assert_int_equal(c.bounding, 1 << CAP_KILL);
}

static void ambient_is_cut_to_what_the_kernel_takes(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct caps c;
	auto_pb(Davit__OciCapabilities) *from =
	    parse("{\"ambient\":[\"CAP_KILL\",\"CAP_CHOWN\"],\"permitted\":[\"CAP_KILL\",\"CAP_CHOWN\"],\"inheritable\":[\"CAP_CHOWN\"]}");
	assert_int_equal(caps_parse(from, &c, &e), 0);
	assert_int_equal(c.ambient, 1 << CAP_CHOWN);
}

static void the_default_is_smaller_than_others_and_enough_to_start_as_root(void **state)
{
	(void)state;
	static const char *const others[] = { "CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",		 "CAP_FOWNER",
					      "CAP_MKNOD",   "CAP_NET_RAW",	 "CAP_SETGID",		 "CAP_SETUID",
					      "CAP_SETFCAP", "CAP_SETPCAP",	 "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
					      "CAP_KILL",    "CAP_AUDIT_WRITE" };
	uint64_t theirs = 0, ours = 0;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		theirs |= 1ULL << caps_number(others[i]);
	for (size_t i = 0; caps_default[i]; i++)
		ours |= 1ULL << caps_number(caps_default[i]);
	assert_int_equal(ours & ~theirs, 0);
	assert_true(__builtin_popcountll(ours) < __builtin_popcountll(theirs));
	assert_true(ours & 1 << CAP_SETUID && ours & 1 << CAP_SETGID && ours & 1 << CAP_CHOWN);
}

/* A line of /proc/self/status as a number. */
static uint64_t held(const char *name)
{
	char line[256];
	uint64_t value = 0;
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, name, strlen(name)) == 0)
			value = strtoull(line + strlen(name) + 1, NULL, 16);
	if (f)
		fclose(f);
	return value;
}

static void a_process_holds_exactly_what_was_given(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("needs root\n");
		skip();
	}
	const struct caps c = {
		.bounding = 1 << CAP_CHOWN | 1 << CAP_KILL | 1 << CAP_NET_BIND_SERVICE,
		.effective = 1 << CAP_KILL,
		.permitted = 1 << CAP_KILL | 1 << CAP_NET_BIND_SERVICE,
		.inheritable = 1 << CAP_NET_BIND_SERVICE,
		.ambient = 1 << CAP_NET_BIND_SERVICE,
	};
	pid_t child = fork();
	if (child == 0) {
		if (caps_drop_bounding(&c) < 0 || prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setresuid(1000, 1000, 1000) < 0 || caps_apply(&c) < 0)
			_exit(100);
		int wrong = (held("CapBnd:") != c.bounding) | (held("CapEff:") != c.effective) << 1 | (held("CapPrm:") != c.permitted) << 2 |
			    (held("CapInh:") != c.inheritable) << 3 | (held("CapAmb:") != c.ambient) << 4;
		_exit(wrong);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_numbers_agree_with_the_kernel),
		cmocka_unit_test(sets_are_parsed_and_an_absent_object_is_empty),
		cmocka_unit_test(what_is_effective_but_not_permitted_is_refused_by_name),
		cmocka_unit_test(an_unknown_name_is_left_out),
		cmocka_unit_test(ambient_is_cut_to_what_the_kernel_takes),
		cmocka_unit_test(the_default_is_smaller_than_others_and_enough_to_start_as_root),
		cmocka_unit_test(a_process_holds_exactly_what_was_given),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
