/* The device rules: their BPF program, run by a small interpreter of the instructions that we emit, and their form for cgroup v1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include "runtime/cgroup/internal.h"

#define RULES_MAX 8

/* What the program answers for one access. */
static int run(const struct bpf_insn *p, size_t n, const struct bpf_cgroup_dev_ctx *ctx)
{
	uint64_t r[11] = { [1] = (uintptr_t)ctx };
	for (size_t pc = 0, steps = 0; pc < n; pc++) {
		const struct bpf_insn *i = &p[pc];
		uint64_t source = BPF_SRC(i->code) == BPF_X ? r[i->src_reg] : (uint64_t)(int64_t)i->imm;
		assert_true(++steps < 10000);
		switch (i->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			r[i->dst_reg] = *(const uint32_t *)((const char *)(uintptr_t)r[i->src_reg] + i->off);
			break;
		case BPF_ALU | BPF_MOV | BPF_X:
			r[i->dst_reg] = (uint32_t)r[i->src_reg];
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			r[i->dst_reg] = source;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			r[i->dst_reg] = (uint32_t)(r[i->dst_reg] & source);
			break;
		case BPF_ALU | BPF_RSH | BPF_K:
			r[i->dst_reg] = (uint32_t)r[i->dst_reg] >> source;
			break;
		case BPF_JMP32 | BPF_JNE | BPF_K:
			pc += (uint32_t)r[i->dst_reg] != (uint32_t)source ? (size_t)i->off : 0;
			break;
		case BPF_JMP32 | BPF_JSET | BPF_K:
			pc += (uint32_t)r[i->dst_reg] & (uint32_t)source ? (size_t)i->off : 0;
			break;
		case BPF_JMP | BPF_JA:
			pc += (size_t)i->off;
			break;
		case BPF_JMP | BPF_EXIT:
			return (int)r[0];
		default:
			fail_msg("instruction %zu has the unknown code 0x%02x", pc, i->code);
		}
	}
	fail_msg("the program ran past its end");
	return -1;
}

struct rules {
	Davit__OciDeviceRule rule[RULES_MAX];
	const Davit__OciDeviceRule *v[RULES_MAX];
	size_t n;
};

static void add(struct rules *r, bool allow, const char *type, int64_t major, int64_t minor, const char *access)
{
	Davit__OciDeviceRule *one = &r->rule[r->n];
	davit__oci_device_rule__init(one);
	one->has_allow = true;
	one->allow = allow;
	one->type = (char *)type;
	one->has_major = major >= 0;
	one->major = major;
	one->has_minor = minor >= 0;
	one->minor = minor;
	one->access = (char *)access;
	r->v[r->n++] = one;
}

static bool allowed(const struct rules *r, char type, uint32_t major, uint32_t minor, unsigned access)
{
	struct err e = { 0 };
	auto_device_rules struct device_rules d = { 0 };
	size_t n;
	assert_int_equal(device_rules_build(r->v, r->n, &d, &e), 0);
	auto_free struct bpf_insn *program = devices_v2_program(&d, &n, &e);
	assert_non_null(program);
	struct bpf_cgroup_dev_ctx ctx = {
		.access_type = access << 16 | (type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR),
		.major = major,
		.minor = minor,
	};
	return run(program, n, &ctx) == 1;
}

static void without_rules_only_the_default_devices_open(void **state)
{
	(void)state;
	struct rules r = { 0 };
	assert_true(allowed(&r, 'c', 1, 3, DEVICE_READ | DEVICE_WRITE));
	assert_true(allowed(&r, 'c', 136, 77, DEVICE_READ | DEVICE_WRITE));
	assert_false(allowed(&r, 'b', 1, 3, DEVICE_READ));
	assert_false(allowed(&r, 'c', 1, 1, DEVICE_READ));
	assert_false(allowed(&r, 'b', 8, 0, DEVICE_READ));
	assert_true(allowed(&r, 'b', 8, 0, DEVICE_MKNOD));
	assert_false(allowed(&r, 'b', 8, 0, DEVICE_MKNOD | DEVICE_READ));
}

static void deny_all_leaves_the_default_devices(void **state)
{
	(void)state;
	struct rules r = { 0 };
	add(&r, false, NULL, -1, -1, "rwm");
	assert_true(allowed(&r, 'c', 1, 5, DEVICE_ALL));
	assert_false(allowed(&r, 'c', 10, 229, DEVICE_READ));
}

static void the_last_rule_decides(void **state)
{
	(void)state;
	struct rules r = { 0 };
	add(&r, true, "c", 10, -1, "rw");
	add(&r, false, "c", 10, 229, "w");
	assert_true(allowed(&r, 'c', 10, 200, DEVICE_READ | DEVICE_WRITE));
	assert_true(allowed(&r, 'c', 10, 229, DEVICE_READ));
	assert_false(allowed(&r, 'c', 10, 229, DEVICE_WRITE));
	assert_false(allowed(&r, 'c', 10, 229, DEVICE_READ | DEVICE_WRITE));
	add(&r, true, "c", 10, 229, "w");
	assert_true(allowed(&r, 'c', 10, 229, DEVICE_READ | DEVICE_WRITE));
}

static void kinds_of_access_add_up_over_rules(void **state)
{
	(void)state;
	struct rules r = { 0 };
	add(&r, true, "b", 8, -1, "r");
	add(&r, true, "b", -1, 1, "w");
	assert_true(allowed(&r, 'b', 8, 1, DEVICE_READ | DEVICE_WRITE));
	assert_false(allowed(&r, 'b', 8, 2, DEVICE_READ | DEVICE_WRITE));
	assert_false(allowed(&r, 'b', 9, 1, DEVICE_READ | DEVICE_WRITE));
}

static void allow_all_allows_all_but_what_follows(void **state)
{
	(void)state;
	struct rules r = { 0 };
	add(&r, true, "a", -1, -1, "rwm");
	assert_true(allowed(&r, 'b', 8, 0, DEVICE_ALL));
	add(&r, false, "a", 8, -1, NULL);
	assert_false(allowed(&r, 'b', 8, 0, DEVICE_READ));
	assert_false(allowed(&r, 'c', 8, 0, DEVICE_READ));
	assert_true(allowed(&r, 'c', 9, 0, DEVICE_READ));
}

static void a_default_device_can_be_denied(void **state)
{
	(void)state;
	struct rules r = { 0 };
	add(&r, false, "c", 5, 2, "rw");
	assert_false(allowed(&r, 'c', 5, 2, DEVICE_READ));
	assert_true(allowed(&r, 'c', 5, 0, DEVICE_READ));
}

static void flattening_joins_rules_of_one_device(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct rules r = { 0 };
	auto_device_rules struct device_rules d = { 0 }, flat = { 0 };
	add(&r, true, "c", 10, 200, "r");
	add(&r, true, "c", 10, 200, "w");
	add(&r, false, "c", 1, 3, "w");
	assert_int_equal(device_rules_build(r.v, r.n, &d, &e), 0);
	assert_int_equal(device_rules_flatten(&d, &flat, &e), 0);
	const struct device_rule *tun = NULL, *null = NULL;
	for (size_t i = 0; i < flat.n; i++) {
		assert_true(flat.v[i].allow);
		if (flat.v[i].type == 'c' && flat.v[i].major == 10)
			tun = &flat.v[i];
		if (flat.v[i].type == 'c' && flat.v[i].major == 1 && flat.v[i].minor == 3)
			null = &flat.v[i];
	}
	assert_non_null(tun);
	assert_int_equal(tun->access, DEVICE_READ | DEVICE_WRITE);
	assert_non_null(null);
	assert_int_equal(null->access, DEVICE_READ | DEVICE_MKNOD);
}

static void flattening_refuses_an_exception_from_an_exception(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct rules r = { 0 };
	auto_device_rules struct device_rules d = { 0 }, flat = { 0 };
	add(&r, true, "c", 10, -1, "rw");
	add(&r, false, "c", 10, 229, "w");
	assert_int_equal(device_rules_build(r.v, r.n, &d, &e), 0);
	assert_int_equal(device_rules_flatten(&d, &flat, &e), -1);
	assert_int_equal(e.code, ERR_UNSUPPORTED);
	assert_string_equal(e.field, "linux.resources.devices");
	assert_non_null(strstr(e.msg, "devices[1]"));
}

static void wrong_rules_are_refused_by_name(void **state)
{
	(void)state;
	const struct {
		const char *type, *access;
		int64_t major;
	} wrong[] = { { "x", "rwm", 1 }, { "c", "rx", 1 }, { "c", "rw", 1LL << 40 } };
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct err e = { 0 };
		struct rules r = { 0 };
		auto_device_rules struct device_rules d = { 0 };
		add(&r, true, wrong[i].type, wrong[i].major, 1, wrong[i].access);
		assert_int_equal(device_rules_build(r.v, r.n, &d, &e), -1);
		assert_int_equal(e.code, ERR_INVALID);
		assert_string_equal(e.field, "linux.resources.devices");
	}
}

/* A cgroup2 folder of our own, or a skip. */
static int test_folder(struct hierarchy *h)
{
	struct err e = { 0 };
	struct cgroup c = { 0 };
	assert_int_equal(host_find(&c, &e), 0);
	*h = (struct hierarchy){ .fd = -1, .unified = true };
	for (size_t i = 0; i < c.n; i++)
		if (c.h[i].unified && asprintf(&h->path, "%s/davit-test-devices-%d", c.h[i].mount, getpid()) < 0)
			fail();
	cgroup_clear(&c);
	if (!h->path || mkdir(h->path, 0755) < 0 || hierarchy_open(h, &e) < 0)
		return -1;
	return 0;
}

/* The errno with which a child in the cgroup opens a device, or 0. */
static int open_in(const struct hierarchy *h, const char *device)
{
	pid_t child = fork();
	if (child == 0) {
		int procs = openat(h->fd, "cgroup.procs", O_WRONLY);
		if (procs < 0 || write(procs, "0", 1) != 1)
			_exit(255);
		_exit(open(device, O_RDONLY | O_NONBLOCK | O_NOCTTY) < 0 ? errno : 0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	return WEXITSTATUS(status);
}

static void the_kernel_takes_the_program_and_obeys(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct hierarchy h;
	struct rules r = { 0 };
	auto_device_rules struct device_rules d = { 0 }, more = { 0 }, all = { 0 };
	if (test_folder(&h) < 0) {
		free(h.path);
		print_message("no cgroup2 in which a program may be attached\n");
		skip();
	}
	assert_int_equal(device_rules_build(r.v, r.n, &d, &e), 0);
	int applied = devices_v2_apply(&h, &d, true, &e);
	int null = open_in(&h, "/dev/null"), kmsg = open_in(&h, "/dev/kmsg");
	add(&r, true, "c", 1, 11, "r");
	assert_int_equal(device_rules_build(r.v, r.n, &more, &e), 0);
	int replaced = devices_v2_apply(&h, &more, false, &e), kmsg_then = open_in(&h, "/dev/kmsg");
	all.allow = true;
	int lifted = devices_v2_apply(&h, &all, false, &e), mem = open_in(&h, "/dev/zero");
	rmdir(h.path);
	close(h.fd);
	free(h.path);
	assert_int_equal(applied, 0);
	assert_int_equal(null, 0);
	assert_int_equal(kmsg, EPERM);
	assert_int_equal(replaced, 0);
	assert_int_equal(kmsg_then, 0);
	assert_int_equal(lifted, 0);
	assert_int_equal(mem, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_rules_only_the_default_devices_open),
		cmocka_unit_test(deny_all_leaves_the_default_devices),
		cmocka_unit_test(the_last_rule_decides),
		cmocka_unit_test(kinds_of_access_add_up_over_rules),
		cmocka_unit_test(allow_all_allows_all_but_what_follows),
		cmocka_unit_test(a_default_device_can_be_denied),
		cmocka_unit_test(flattening_joins_rules_of_one_device),
		cmocka_unit_test(flattening_refuses_an_exception_from_an_exception),
		cmocka_unit_test(wrong_rules_are_refused_by_name),
		cmocka_unit_test(the_kernel_takes_the_program_and_obeys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
