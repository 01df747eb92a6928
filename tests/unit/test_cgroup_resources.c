/* OCI resources as cgroup settings: the plans for v1 and v2, and where hierarchies are found. */
#include "tests/unit/cgroup.h"

/* The plan as text, "file=value" separated by "; ". */
static char *plan_text(const char *json, bool unified, struct err *e)
{
	static char text[4096];
	const struct plan_now now = { .memory_limit = 1 << 20, .quota = "25000" };
	auto_pb(Davit__OciResources) *r = parse(json);
	auto_plan struct plan p = { .e = e };
	*text = '\0';
	if (plan_check(r, e) < 0)
		return NULL;
	if (unified)
		plan_v2(r, ~0U, &now, &p);
	else
		plan_v1(r, ~0U, &p);
	for (size_t i = 0; i < p.n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s=%s", i ? "; " : "", p.v[i].file, p.v[i].value);
	return p.failed ? NULL : text;
}

static void expect(const char *json, const char *v1, const char *v2)
{
	struct err e = { 0 };
	const char *text = plan_text(json, false, &e);
	if (!text)
		fail_msg("v1: %s: %s", json, e.msg);
	assert_string_equal(text, v1);
	text = plan_text(json, true, &e);
	if (!text)
		fail_msg("v2: %s: %s", json, e.msg);
	assert_string_equal(text, v2);
}

static void expect_refusal(const char *json, bool unified, enum err_code code, const char *field)
{
	struct err e = { 0 };
	assert_null(plan_text(json, unified, &e));
	assert_string_equal(err_info(e.code)->name, err_info(code)->name);
	assert_string_equal(e.field, field);
}

static void shares_become_weight_so_that_the_defaults_meet(void **state)
{
	(void)state;
	const uint64_t pairs[][2] = { { 0, 1 },	     { 2, 1 },		{ 512, 59 },	   { 1024, 100 },
				      { 2048, 174 }, { 262143, 10000 }, { 262144, 10000 }, { 1 << 30, 10000 } };
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		assert_int_equal(weight_of_shares(pairs[i][0]), pairs[i][1]);
	for (uint64_t shares = 2; shares < 262144; shares += 97)
		assert_true(weight_of_shares(shares) <= weight_of_shares(shares + 97));
	assert_int_equal(io_weight_of_blkio(10), 1);
	assert_int_equal(io_weight_of_blkio(1000), 10000);
}

static void memory_limits(void **state)
{
	(void)state;
	expect("{\"memory\":{\"limit\":1000,\"swap\":1500,\"reservation\":500}}",
	       "memory.limit_in_bytes=1000; memory.memsw.limit_in_bytes=1500; memory.soft_limit_in_bytes=500",
	       "memory.max=1000; memory.swap.max=500; memory.low=500");
	expect("{\"memory\":{\"limit\":-1}}", "memory.limit_in_bytes=-1; memory.memsw.limit_in_bytes=-1", "memory.max=max; memory.swap.max=max");
	expect("{\"memory\":{\"limit\":1000,\"swap\":1000}}", "memory.limit_in_bytes=1000; memory.memsw.limit_in_bytes=1000",
	       "memory.max=1000; memory.swap.max=0");
	expect("{\"memory\":{\"swap\":2097152}}", "memory.memsw.limit_in_bytes=2097152", "memory.swap.max=1048576");
	expect("{\"memory\":{\"limit\":0,\"swap\":0,\"disableOOMKiller\":false}}", "memory.oom_control=0", "");
	expect_refusal("{\"memory\":{\"limit\":1000,\"swap\":900}}", true, ERR_INVALID, "linux.resources.memory.swap");
	expect_refusal("{\"memory\":{\"limit\":-2}}", false, ERR_RANGE, "linux.resources.memory.limit");
	expect_refusal("{\"memory\":{\"disableOOMKiller\":true}}", true, ERR_UNSUPPORTED, "linux.resources.memory.disableOOMKiller");
	expect_refusal("{\"memory\":{\"limit\":-1,\"swap\":500}}", true, ERR_UNSUPPORTED, "linux.resources.memory.swap");
}

static void cpu_limits(void **state)
{
	(void)state;
	expect("{\"cpu\":{\"shares\":512,\"quota\":50000,\"period\":100000,\"burst\":1000,\"cpus\":\"0-1\",\"mems\":\"0\"}}",
	       "cpu.shares=512; cpu.cfs_period_us=100000; cpu.cfs_quota_us=50000; cpu.cfs_burst_us=1000; cpuset.cpus=0-1; cpuset.mems=0",
	       "cpu.weight=59; cpu.max=50000 100000; cpu.max.burst=1000; cpuset.cpus=0-1; cpuset.mems=0");
	expect("{\"cpu\":{\"quota\":-1}}", "cpu.cfs_quota_us=-1", "cpu.max=max");
	expect("{\"cpu\":{\"period\":200000}}", "cpu.cfs_period_us=200000", "cpu.max=25000 200000");
	expect("{\"cpu\":{\"idle\":1,\"shares\":2}}", "cpu.shares=2; cpu.idle=1", "cpu.weight=1; cpu.idle=1");
	expect("{\"cpu\":{\"idle\":0,\"shares\":2}}", "cpu.idle=0; cpu.shares=2", "cpu.idle=0; cpu.weight=1");
	expect("{\"cpu\":{\"shares\":0,\"quota\":0,\"period\":0,\"realtimeRuntime\":0,\"cpus\":\"\"}}", "", "");
	expect_refusal("{\"cpu\":{\"shares\":1}}", false, ERR_RANGE, "linux.resources.cpu.shares");
	expect_refusal("{\"cpu\":{\"quota\":1000,\"burst\":2000}}", true, ERR_RANGE, "linux.resources.cpu.burst");
	expect_refusal("{\"cpu\":{\"realtimeRuntime\":1000}}", true, ERR_UNSUPPORTED, "linux.resources.cpu.realtimeRuntime");
}

static void pids_limits(void **state)
{
	(void)state;
	expect("{\"pids\":{\"limit\":10}}", "pids.max=10", "pids.max=10");
	expect("{\"pids\":{\"limit\":-1}}", "pids.max=max", "pids.max=max");
	expect("{\"pids\":{\"limit\":0}}", "", "");
}

static void block_io_limits(void **state)
{
	(void)state;
	expect("{\"blockIO\":{\"weight\":500,\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":600}],"
	       "\"throttleWriteIOPSDevice\":[{\"major\":8,\"minor\":16,\"rate\":0}]}}",
	       "blkio.weight=500; blkio.bfq.weight=500; blkio.throttle.read_bps_device=8:0 600; blkio.throttle.write_iops_device=8:16 0",
	       "io.bfq.weight=500; io.weight=default 4950; io.max=8:0 rbps=600; io.max=8:16 wiops=max");
	expect("{\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":0,\"weight\":10}]}}",
	       "blkio.weight_device=8:0 10; blkio.bfq.weight_device=8:0 10", "io.bfq.weight=8:0 10; io.weight=8:0 1");
	expect_refusal("{\"blockIO\":{\"weight\":5}}", false, ERR_RANGE, "linux.resources.blockIO.weight");
	expect_refusal("{\"blockIO\":{\"leafWeight\":50}}", true, ERR_UNSUPPORTED, "linux.resources.blockIO.leafWeight");
}

static void other_limits(void **state)
{
	(void)state;
	expect("{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":4096}]}",
	       "hugetlb.2MB.limit_in_bytes=4096; hugetlb.2MB.rsvd.limit_in_bytes=4096", "hugetlb.2MB.max=4096; hugetlb.2MB.rsvd.max=4096");
	expect("{\"rdma\":{\"mlx5_1\":{\"hcaHandles\":3,\"hcaObjects\":10}}}", "rdma.max=mlx5_1 hca_handle=3; rdma.max=mlx5_1 hca_object=10",
	       "rdma.max=mlx5_1 hca_handle=3; rdma.max=mlx5_1 hca_object=10");
	expect_refusal("{\"hugepageLimits\":[{\"pageSize\":\"../2MB\",\"limit\":1}]}", false, ERR_INVALID, "linux.resources.hugepageLimits");
	expect_refusal("{\"network\":{\"classID\":7}}", true, ERR_UNSUPPORTED, "linux.resources.network.classID");
}

static void unified_is_written_line_by_line_and_cannot_move_processes(void **state)
{
	(void)state;
	struct err e = { 0 };
	assert_string_equal(plan_text("{\"unified\":{\"io.max\":\"8:0 rbps=1\\n8:16 rbps=2\",\"memory.high\":\"5\"}}", true, &e),
			    "io.max=8:0 rbps=1; io.max=8:16 rbps=2; memory.high=5");
	const char *const keys[] = { "cgroup.procs", "cgroup.kill", "../memory.max", "memory" };
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		char json[96];
		snprintf(json, sizeof(json), "{\"unified\":{\"%s\":\"1\"}}", keys[i]);
		expect_refusal(json, true, ERR_INVALID, "linux.resources.unified");
	}
}

static const char v1_mountinfo[] = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
				   "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
				   "35 31 0:32 /docker/abc /sys/fs/cgroup/my\\040memory rw - cgroup cgroup rw,memory\n"
				   "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
				   "41 31 0:38 / /sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw\n"
				   "50 31 0:29 / /var/lib/x/cpu rw - cgroup cgroup rw,cpu,cpuacct\n";

static void hierarchies_are_found_by_their_controllers(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct cgroup c = { 0 };
	assert_int_equal(host_parse(v1_mountinfo, "5:freezer:/\n4:cpu,cpuacct:/a\n3:memory:/docker/abc/b\n1:name=systemd:/\n0::/s.slice\n", &c, &e),
			 0);
	const struct hierarchy *cpu = cgroup_hierarchy_of(&c, CONTROLLER_CPUACCT), *memory = cgroup_hierarchy_of(&c, CONTROLLER_MEMORY);
	assert_int_equal(c.n, 4);
	assert_string_equal(cpu->mount, "/sys/fs/cgroup/cpu,cpuacct");
	assert_string_equal(cpu->own, "/a");
	assert_string_equal(memory->mount, "/sys/fs/cgroup/my memory");
	assert_string_equal(memory->own, "/b");
	assert_true(cgroup_hierarchy_of(&c, CONTROLLER_FREEZER)->unified);
	assert_null(cgroup_hierarchy_of(&c, CONTROLLER_PIDS));
	cgroup_clear(&c);
}

static void no_hierarchy_is_an_error(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct cgroup c = { 0 };
	assert_int_equal(host_parse("31 23 0:28 / / rw - ext4 /dev/sda rw\n", "0::/\n", &c, &e), -1);
	assert_int_equal(e.code, ERR_UNSUPPORTED);
}
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_become_weight_so_that_the_defaults_meet),
		cmocka_unit_test(memory_limits),
		cmocka_unit_test(cpu_limits),
		cmocka_unit_test(pids_limits),
		cmocka_unit_test(block_io_limits),
		cmocka_unit_test(other_limits),
		cmocka_unit_test(unified_is_written_line_by_line_and_cannot_move_processes),
		cmocka_unit_test(hierarchies_are_found_by_their_controllers),
		cmocka_unit_test(no_hierarchy_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
