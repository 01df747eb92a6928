/* Seccomp filters, really loaded in a child that then makes the calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "proto/json.h"
#include "proto/pb.h"
#include "runtime/caps.h"
#include "runtime/seccomp/internal.h"

static Davit__OciSeccomp *parse(const char *json)
{
	struct err e = { 0 };
	Davit__OciSeccomp *s = json_parse(&davit__oci_seccomp__descriptor, json, strlen(json), JSON_REFUSE, NULL, &e);
	if (!s)
		fail_msg("%s: %s", json, e.msg);
	return s;
}

/* What came of a call under a filter: its errno (0: it worked), or 1000 + the signal that ended the child. */
static int under(const struct seccomp_filter *f, int (*call)(void))
{
	pid_t child = fork();
	if (child == 0) {
		signal(SIGSYS, SIG_DFL); /* cmocka catches it */
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || seccomp_filter_load(f) < 0)
			_exit(255);
		errno = 0;
		/* Not _exit: before that the address sanitizer makes calls that the filter may deny. */
		for (;;)
			syscall(SYS_exit_group, call() < 0 ? errno : 0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int under_json(const char *json, int (*call)(void))
{
	struct err e = { 0 };
	struct seccomp_filter f;
	auto_pb(Davit__OciSeccomp) *s = parse(json);
	if (seccomp_compile(s, 0, &f, &e) < 0)
		fail_msg("%s: %s", json, e.msg);
	int result = under(&f, call);
	seccomp_filter_free(&f);
	return result;
}

static void expect_refusal(const char *json, const char *field)
{
	struct err e = { 0 };
	struct seccomp_filter f;
	auto_pb(Davit__OciSeccomp) *s = parse(json);
	assert_int_equal(seccomp_compile(s, 0, &f, &e), -1);
	assert_int_equal(e.code, ERR_INVALID);
	assert_string_equal(e.field, field);
}

static int call_getcwd(void)
{
	char path[4096];
	return (int)syscall(SYS_getcwd, path, sizeof(path));
}

#define RULE(call, rest) "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"" call "\",\"no_such_call\"]," rest "}]}"

static void each_action_acts(void **state)
{
	(void)state;
	assert_int_equal(under_json(RULE("getcwd", "\"action\":\"SCMP_ACT_ALLOW\""), call_getcwd), 0);
	assert_int_equal(under_json(RULE("getcwd", "\"action\":\"SCMP_ACT_LOG\""), call_getcwd), 0);
	assert_int_equal(under_json(RULE("getcwd", "\"action\":\"SCMP_ACT_ERRNO\""), call_getcwd), EPERM);
	assert_int_equal(under_json(RULE("getcwd", "\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":105"), call_getcwd), 105);
	assert_int_equal(under_json(RULE("getcwd", "\"action\":\"SCMP_ACT_TRAP\""), call_getcwd), 1000 + SIGSYS);
	assert_int_equal(under_json(RULE("getcwd", "\"action\":\"SCMP_ACT_KILL\""), call_getcwd), 1000 + SIGSYS);
	assert_int_equal(under_json(RULE("getcwd", "\"action\":\"SCMP_ACT_KILL_THREAD\""), call_getcwd), 1000 + SIGSYS);
	assert_int_equal(under_json(RULE("getcwd", "\"action\":\"SCMP_ACT_KILL_PROCESS\""), call_getcwd), 1000 + SIGSYS);
	/* Without a tracer. */
	assert_int_equal(under_json(RULE("getcwd", "\"action\":\"SCMP_ACT_TRACE\""), call_getcwd), ENOSYS);
}

static void notify_gives_a_listener(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct seccomp_filter f;
	auto_pb(Davit__OciSeccomp) *s =
	    parse("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"SECCOMP_FILTER_FLAG_TSYNC\"],\"syscalls\":[{\"names\":["
		  "\"getcwd\"],\"action\":\"SCMP_ACT_NOTIFY\"}]}");
	assert_int_equal(seccomp_compile(s, 0, &f, &e), 0);
	assert_true(f.notifies);
	pid_t child = fork();
	if (child == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		_exit(seccomp_filter_load(&f) > 2 ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	seccomp_filter_free(&f);
	assert_int_equal(status, 0);
}

static uint64_t argument;

static int call_with_argument(void)
{
	return (int)syscall(SYS_getpriority, 0, argument);
}

/* Whether the operator denies the call for an argument. */
static bool denies(const char *op, uint64_t value, uint64_t value_two, uint64_t with)
{
	char json[512];
	snprintf(json, sizeof(json),
		 "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"getpriority\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":77,"
		 "\"args\":[{\"index\":1,\"value\":%llu,\"valueTwo\":%llu,\"op\":\"SCMP_CMP_%s\"}]}]}",
		 (unsigned long long)value, (unsigned long long)value_two, op);
	argument = with;
	return under_json(json, call_with_argument) == 77;
}

static void each_operator_compares(void **state)
{
	(void)state;
	const struct {
		const char *op;
		uint64_t value, value_two;
		bool below, same, above;
	} cases[] = {
		{ "NE", 100, 0, true, false, true },  { "LT", 100, 0, true, false, false }, { "LE", 100, 0, true, true, false },
		{ "EQ", 100, 0, false, true, false }, { "GE", 100, 0, false, true, true },  { "GT", 100, 0, false, false, true },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(denies(cases[i].op, cases[i].value, 0, 99), cases[i].below);
		assert_int_equal(denies(cases[i].op, cases[i].value, 0, 100), cases[i].same);
		assert_int_equal(denies(cases[i].op, cases[i].value, 0, 101), cases[i].above);
	}
	assert_true(denies("MASKED_EQ", 0xf0, 0x10, 0x1f));
	assert_false(denies("MASKED_EQ", 0xf0, 0x10, 0x2f));
}

static void two_conditions_on_one_argument_are_two_rules(void **state)
{
	(void)state;
	const char *json =
	    "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"getpriority\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":77,"
	    "\"args\":[{\"index\":1,\"value\":5,\"op\":\"SCMP_CMP_EQ\"},{\"index\":1,\"value\":9,\"op\":\"SCMP_CMP_EQ\"}]}]}";
	for (argument = 5; argument <= 9; argument += 4)
		assert_int_equal(under_json(json, call_with_argument), 77);
	argument = 7;
	assert_int_not_equal(under_json(json, call_with_argument), 77);
}

static int call_newest(void)
{
	return (int)syscall(5000, 0, 0, 0);
}

static int call_x32(void)
{
	return (int)syscall(0x40000000 + SYS_getpid);
}

static void calls_newer_than_the_profile_are_missing_rather_than_denied(void **state)
{
	(void)state;
	const char *json =
	    "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[\"exit_group\",\"openat2\"],\"action\":\"SCMP_ACT_ALLOW\"}]}";
	assert_int_equal(under_json(json, call_newest), ENOSYS);
	assert_int_equal(under_json(json, call_getcwd), EPERM);
#ifdef __x86_64__
	assert_int_equal(under_json(json, call_x32), ENOSYS);
#endif
}

static void wrong_filters_are_refused_by_name(void **state)
{
	(void)state;
	expect_refusal("{\"defaultAction\":\"SCMP_ACT_MAYBE\"}", "linux.seccomp.defaultAction");
	expect_refusal("{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}", "linux.seccomp.defaultAction");
	expect_refusal("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultErrnoRet\":1}", "linux.seccomp.defaultAction");
	expect_refusal("{}", "linux.seccomp.defaultAction");
	expect_refusal("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_Z80\"]}", "linux.seccomp.architectures");
	expect_refusal("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"FAST\"]}", "linux.seccomp.flags");
	expect_refusal(RULE("getcwd", "\"action\":\"SCMP_ACT_ALLOW\",\"errnoRet\":5"), "linux.seccomp.syscalls[0]");
	expect_refusal(RULE("getcwd", "\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":5000"), "linux.seccomp.syscalls[0]");
	expect_refusal(RULE("write", "\"action\":\"SCMP_ACT_NOTIFY\""), "linux.seccomp.syscalls[0]");
	expect_refusal(RULE("getcwd", "\"action\":\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":6,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]"),
		       "linux.seccomp.syscalls[0]");
	expect_refusal(RULE("getcwd", "\"action\":\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_IS\"}]"),
		       "linux.seccomp.syscalls[0]");
	expect_refusal("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[],\"action\":\"SCMP_ACT_LOG\"}]}",
		       "linux.seccomp.syscalls[0]");
}

/* The default profile, by the calls that it must and must not let through. */

static struct seccomp_filter default_filter;

static void load_default(char *const *caps, size_t n)
{
	struct err e = { 0 };
	auto_pb(Davit__OciSeccomp) *s = seccomp_default(caps, n, &e);
	if (!s || seccomp_compile(s, 0, &default_filter, &e) < 0)
		fail_msg("%s", e.msg);
}

static int setup_default(void **state)
{
	(void)state;
	size_t n = 0;
	while (caps_default[n])
		n++;
	load_default((char *const *)caps_default, n);
	return 0;
}

static int teardown_default(void **state)
{
	(void)state;
	seccomp_filter_free(&default_filter);
	return 0;
}

#define CALL(name, expression)                                                                                                                       \
	static int call_##name(void)                                                                                                                 \
	{                                                                                                                                            \
		return (int)(expression);                                                                                                            \
	}
CALL(mount, syscall(SYS_mount, "none", "/nowhere", "tmpfs", 0, NULL))
CALL(unshare, syscall(SYS_unshare, CLONE_NEWUSER))
CALL(clone_newuser, syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0))
CALL(clone_newuser_high, syscall(SYS_clone, 1ULL << 40 | CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0))
CALL(clone3, syscall(SYS_clone3, NULL, 0))
CALL(keyctl, syscall(SYS_keyctl, 0, 0, 0))
CALL(bpf, syscall(SYS_bpf, 0, NULL, 0))
CALL(perf, syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0))
CALL(io_uring, syscall(SYS_io_uring_setup, 1, NULL))
CALL(userfaultfd, syscall(SYS_userfaultfd, 0))
CALL(chroot, syscall(SYS_chroot, "/"))
CALL(reboot, syscall(SYS_reboot, 0, 0, 0, 0))
CALL(settime, syscall(SYS_clock_settime, 0, NULL))
CALL(tiocsti, syscall(SYS_ioctl, 0, TIOCSTI, "x"))
CALL(tiocsti_high, syscall(SYS_ioctl, 0, 1ULL << 32 | TIOCSTI, "x"))
CALL(tioclinux, syscall(SYS_ioctl, 0, TIOCLINUX, "x"))
CALL(socket_vsock, socket(40, SOCK_STREAM, 0))
CALL(socket_alg, socket(38, SOCK_SEQPACKET, 0))
CALL(socket_packet, socket(AF_PACKET, SOCK_RAW, 0))
CALL(socket_high, syscall(SYS_socket, 1ULL << 32 | 38, SOCK_SEQPACKET, 0))
CALL(socket_unix, socket(AF_UNIX, SOCK_STREAM, 0))
CALL(socket_inet6, socket(AF_INET6, SOCK_STREAM, 0))
CALL(socket_netlink, socket(AF_NETLINK, SOCK_RAW, 0))
CALL(fionread, syscall(SYS_ioctl, 0, FIONREAD, &argument) < 0 && errno != ENOTTY && errno != EINVAL ? -1 : 0)
CALL(personality, personality(0xffffffff) < 0 ? -1 : 0)
CALL(no_randomize, personality(ADDR_NO_RANDOMIZE) < 0 ? -1 : 0)
CALL(fork, fork() < 0 ? -1 : 0)
CALL(mmap, mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0)

static void ordinary_calls_work_under_the_default_profile(void **state)
{
	(void)state;
	int (*const calls[])(void) = { call_getcwd,   call_socket_unix, call_socket_inet6, call_socket_netlink,
				       call_fionread, call_personality, call_fork,	   call_mmap };
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		if (under(&default_filter, calls[i]) != 0)
			fail_msg("call %zu ended with %d", i, under(&default_filter, calls[i]));
}

static void known_dangers_are_denied_by_the_default_profile(void **state)
{
	(void)state;
	const struct {
		int (*call)(void);
		int expected;
	} cases[] = {
		{ call_mount, EPERM },
		{ call_unshare, EPERM },
		{ call_clone_newuser, EPERM },
		{ call_clone_newuser_high, EPERM },
		{ call_clone3, ENOSYS },
		{ call_keyctl, EPERM },
		{ call_bpf, EPERM },
		{ call_perf, EPERM },
		{ call_io_uring, EPERM },
		{ call_userfaultfd, EPERM },
		{ call_chroot, EPERM },
		{ call_reboot, EPERM },
		{ call_settime, EPERM },
		{ call_tiocsti, EPERM },
		{ call_tiocsti_high, EPERM },
		{ call_tioclinux, EPERM },
		{ call_newest, ENOSYS },
		{ call_x32, ENOSYS },
		{ call_socket_vsock, EAFNOSUPPORT },
		{ call_socket_alg, EAFNOSUPPORT },
		{ call_no_randomize, ENOSYS },
		{ call_socket_high, EAFNOSUPPORT },
		{ call_socket_packet, EAFNOSUPPORT },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int result = under(&default_filter, cases[i].call);
		if (result != cases[i].expected)
			fail_msg("case %zu ended with %d, expected %d", i, result, cases[i].expected);
	}
}

#ifdef __x86_64__
/* A call of the 32-bit table, as any 64-bit program can make it. */
static long call32(long nr, long a, long b, long c)
{
	long result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(nr), "b"(a), "c"(b), "d"(c) : "memory", "r8", "r9", "r10", "r11");
	if (result < 0) {
		errno = (int)-result;
		return -1;
	}
	return result;
}
CALL(getpid32, call32(20, 0, 0, 0))
CALL(mount32, call32(21, 0, 0, 0))
CALL(socket32_alg, call32(359, 38, SOCK_SEQPACKET, 0))
CALL(socket32_unix, call32(359, AF_UNIX, SOCK_STREAM, 0))
CALL(tiocsti32, call32(54, 0, TIOCSTI, 0))

static int call_socketcall32(void)
{
	uint32_t *args = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (args == MAP_FAILED)
		return 0;
	args[0] = 38;
	args[1] = SOCK_SEQPACKET;
	return (int)call32(102, 1, (long)(uintptr_t)args, 0);
}

static void the_32_bit_table_is_no_way_around(void **state)
{
	(void)state;
	if (under(&default_filter, call_getpid32) == ENOSYS) {
		print_message("this kernel runs no 32-bit programs\n");
		skip();
	}
	assert_int_equal(under(&default_filter, call_getpid32), 0);
	assert_int_equal(under(&default_filter, call_mount32), EPERM);
	assert_int_equal(under(&default_filter, call_socket32_alg), EAFNOSUPPORT);
	assert_int_equal(under(&default_filter, call_socket32_unix), 0);
	assert_int_equal(under(&default_filter, call_tiocsti32), EPERM);
	assert_int_equal(under(&default_filter, call_socketcall32), EPERM);
}
#endif

static void a_capability_opens_its_calls(void **state)
{
	(void)state;
	char *caps[] = { "CAP_SYS_ADMIN", "CAP_NET_RAW" };
	struct seccomp_filter kept = default_filter;
	load_default(caps, ARRAY_LEN(caps));
	int mounted = under(&default_filter, call_mount), shared = under(&default_filter, call_unshare),
	    packet = under(&default_filter, call_socket_packet);
	int rooted = under(&default_filter, call_chroot), clone3 = under(&default_filter, call_clone3);
	seccomp_filter_free(&default_filter);
	default_filter = kept;
	assert_int_equal(mounted, geteuid() == 0 ? ENOENT : EPERM);
	assert_int_equal(shared, 0);
	assert_int_not_equal(packet, EAFNOSUPPORT);
	assert_int_equal(rooted, EPERM);
	assert_int_equal(clone3, EINVAL);
}

/* How often a list names a call. */
static int times_in(const char *const *list, const char *name)
{
	int n = 0;
	for (; *list; list++)
		n += str_eq(*list, name);
	return n;
}

static int times_in_all(const char *name)
{
	int n = times_in(profile_allowed, name) + times_in(profile_denied, name);
	for (const struct profile_gate *gate = profile_gates; gate->calls; gate++)
		n += times_in(gate->calls, name);
	return n;
}

static void every_call_of_the_default_profile_is_in_one_list_once(void **state)
{
	(void)state;
	const char *const *const lists[] = { profile_allowed, profile_denied };
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		for (const char *const *call = lists[i]; *call; call++)
			if (times_in_all(*call) != 1)
				fail_msg("%s is listed %d times", *call, times_in_all(*call));
	for (const struct profile_gate *gate = profile_gates; gate->calls; gate++)
		for (const char *const *call = gate->calls; *call; call++)
			if (times_in_all(*call) != 1)
				fail_msg("%s is listed %d times", *call, times_in_all(*call));
}

static void a_kept_filter_is_the_same_and_a_broken_one_is_made_anew(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct seccomp_filter first, second, third;
	char root[] = "/tmp/davit-test-seccomp-XXXXXX", command[128];
	assert_non_null(mkdtemp(root));
	auto_pb(Davit__OciSeccomp) *s = parse(RULE("getcwd", "\"action\":\"SCMP_ACT_ERRNO\""));
	assert_int_equal(seccomp_compile_cached(root, s, 0, &first, &e), 0);
	assert_int_equal(seccomp_compile_cached(root, s, 0, &second, &e), 0);
	snprintf(command, sizeof(command), "for f in %s/@seccomp/*; do truncate -s 30 $f; done", root);
	assert_int_equal(system(command), 0);
	assert_int_equal(seccomp_compile_cached(root, s, 0, &third, &e), 0);
	snprintf(command, sizeof(command), "rm -r %s", root);
	assert_int_equal(system(command), 0);
	assert_int_equal(first.bpf.len, second.bpf.len);
	assert_memory_equal(first.bpf.data, second.bpf.data, first.bpf.len);
	assert_int_equal(under(&second, call_getcwd), EPERM);
	assert_int_equal(under(&third, call_getcwd), EPERM);
	seccomp_filter_free(&first);
	seccomp_filter_free(&second);
	seccomp_filter_free(&third);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_action_acts),
		cmocka_unit_test(notify_gives_a_listener),
		cmocka_unit_test(each_operator_compares),
		cmocka_unit_test(two_conditions_on_one_argument_are_two_rules),
		cmocka_unit_test(calls_newer_than_the_profile_are_missing_rather_than_denied),
		cmocka_unit_test(wrong_filters_are_refused_by_name),
		cmocka_unit_test(ordinary_calls_work_under_the_default_profile),
		cmocka_unit_test(known_dangers_are_denied_by_the_default_profile),
#ifdef __x86_64__
		cmocka_unit_test(the_32_bit_table_is_no_way_around),
#endif
		cmocka_unit_test(a_capability_opens_its_calls),
		cmocka_unit_test(every_call_of_the_default_profile_is_in_one_list_once),
		cmocka_unit_test(a_kept_filter_is_the_same_and_a_broken_one_is_made_anew),
	};
	return cmocka_run_group_tests(tests, setup_default, teardown_default);
}
