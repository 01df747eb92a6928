/* OCI resources as cgroup settings: the plans for v1 and v2, and the kernel's answer on the hierarchies of this host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/file.h"
#include "core.pb-c.h"
#include "proto/json.h"
#include "proto/pb.h"
#include "runtime/cgroup/internal.h"

static Davit__OciResources *parse(const char *json)
{
	struct err e = { 0 };
	Davit__OciResources *r = json_parse(&davit__oci_resources__descriptor, json, strlen(json), JSON_REFUSE, NULL, &e);
	if (!r)
		fail_msg("%s: %s", json, e.msg);
	return r;
}

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

/* A cgroup of this host; skips where that is not allowed. */
static struct cgroup *make(const char *json, struct err *e)
{
	char path[64];
	struct cgroup *c = NULL;
	auto_pb(Davit__OciResources) *r = parse(json);
	if (geteuid() != 0)
		skip();
	snprintf(path, sizeof(path), "/davit-test-%d/one", getpid());
	if (cgroup_create(path, "one", r, &c, e) < 0)
		return NULL;
	return c;
}

static void remove_made(struct cgroup **c)
{
	struct err e = { 0 };
	if (!*c)
		return;
	assert_int_equal(cgroup_kill(*c, SIGKILL, &e), 0);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	if (cgroup_remove(*c, &e) < 0)
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < (*c)->n; i++) {
		*strrchr((*c)->h[i].path, '/') = '\0';
		rmdir((*c)->h[i].path);
	}
	cgroup_freep(c);
}
#define auto_made auto_cleanup(remove_made)

static int64_t value_of(const struct cgroup *c, enum controller k, const char *v1, const char *v2)
{
	const struct hierarchy *h = cgroup_hierarchy_of(c, k);
	return cgroup_read_key(h->fd, h->unified ? v2 : v1, NULL);
}

static void a_cgroup_holds_its_limits_and_changes_them_both_ways(void **state)
{
	(void)state;
	struct err e = { 0 };
	auto_made struct cgroup *c =
	    make("{\"memory\":{\"limit\":33554432,\"swap\":67108864},\"pids\":{\"limit\":20},\"cpu\":{\"quota\":50000,\"burst\":40000}}", &e);
	if (!c)
		fail_msg("%s", e.msg);
	assert_int_equal(value_of(c, CONTROLLER_MEMORY, "memory.limit_in_bytes", "memory.max"), 33554432);
	assert_int_equal(value_of(c, CONTROLLER_PIDS, "pids.max", "pids.max"), 20);
	const char *const changes[] = {
		"{\"memory\":{\"limit\":134217728,\"swap\":268435456},\"cpu\":{\"quota\":200000,\"burst\":100000}}",
		"{\"memory\":{\"limit\":16777216,\"swap\":16777216},\"cpu\":{\"quota\":10000,\"burst\":10000}}",
		"{\"memory\":{\"limit\":-1},\"cpu\":{\"quota\":-1,\"burst\":0},\"pids\":{\"limit\":-1}}",
	};
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		auto_pb(Davit__OciResources) *r = parse(changes[i]);
		if (cgroup_set(c, r, &e) < 0)
			fail_msg("%s: %s", changes[i], e.msg);
	}
	assert_int_equal(value_of(c, CONTROLLER_PIDS, "pids.max", "pids.max"), -1);
}

static pid_t start_in(const struct cgroup *c, bool fork_on)
{
	struct err e = { 0 };
	pid_t child = fork();
	if (child == 0) {
		if (cgroup_attach(c, 0, &e) < 0)
			_exit(1);
		for (int i = 0; fork_on && i < 500 && fork() == 0; i++)
			usleep(1000);
		for (;;)
			pause();
	}
	assert_true(child > 0);
	size_t n = 0;
	for (int i = 0; i < 2000 && n < (fork_on ? 3U : 1U); i++) {
		auto_free pid_t *pids = NULL;
		assert_int_equal(cgroup_pids(c, &pids, &n, &e), 0);
		usleep(1000);
	}
	return child;
}

static void freezing_holds_until_thawed(void **state)
{
	(void)state;
	struct err e = { 0 };
	auto_made struct cgroup *c = make("{}", &e);
	if (!c)
		fail_msg("%s", e.msg);
	start_in(c, false);
	assert_false(cgroup_is_frozen(c));
	assert_int_equal(cgroup_freeze(c, true, 2000, &e), 0);
	assert_true(cgroup_is_frozen(c));
	assert_int_equal(cgroup_freeze(c, true, 2000, &e), 0);
	assert_int_equal(cgroup_freeze(c, false, 2000, &e), 0);
	assert_false(cgroup_is_frozen(c));
}

static void kill_ends_those_that_fork_meanwhile_and_those_that_are_frozen(void **state)
{
	(void)state;
	struct err e = { 0 };
	auto_made struct cgroup *c = make("{}", &e);
	if (!c)
		fail_msg("%s", e.msg);
	start_in(c, true);
	assert_int_equal(cgroup_kill(c, SIGKILL, &e), 0);
	start_in(c, false);
	assert_int_equal(cgroup_freeze(c, true, 2000, &e), 0);
	assert_int_equal(cgroup_kill(c, SIGKILL, &e), 0);
	pid_t *pids = NULL;
	size_t n;
	assert_int_equal(cgroup_pids(c, &pids, &n, &e), 0);
	free(pids);
	assert_int_equal(n, 0);
}

static void a_cgroup_in_use_is_not_shared_and_a_state_finds_it_again(void **state)
{
	(void)state;
	struct err e = { 0 };
	auto_made struct cgroup *c = make("{}", &e);
	if (!c)
		fail_msg("%s", e.msg);
	start_in(c, false);
	assert_null(make("{}", &e));
	assert_int_equal(e.code, ERR_EXISTS);
	auto_pb(Davit__RuntimeState) *s = pb_new(&davit__runtime_state__descriptor, &e);
	assert_non_null(s);
	assert_int_equal(cgroup_save(c, s, &e), 0);
	auto_cgroup struct cgroup *again = NULL;
	assert_int_equal(cgroup_open(s, &again, &e), 0);
	assert_int_equal(again->n, c->n);
	Davit__ContainerStats stats = DAVIT__CONTAINER_STATS__INIT;
	assert_int_equal(cgroup_stats(again, &stats, &e), 0);
	assert_int_equal(stats.has_pids, cgroup_hierarchy_of(c, CONTROLLER_PIDS) != NULL);
	assert_int_equal(stats.pids, stats.has_pids ? 1 : 0);
	assert_int_equal(stats.has_memory_bytes, cgroup_hierarchy_of(c, CONTROLLER_MEMORY) != NULL);
	assert_false(stats.has_memory_limit_bytes);
}

static void what_the_kernel_refuses_is_named_and_leaves_nothing(void **state)
{
	(void)state;
	struct err e = { 0 };
	char path[64];
	assert_null(make("{\"cpu\":{\"cpus\":\"4000\"}}", &e));
	assert_string_equal(e.field, "linux.resources.cpu.cpus");
	assert_null(make("{\"hugepageLimits\":[{\"pageSize\":\"3MB\",\"limit\":1}]}", &e));
	assert_int_equal(e.code, ERR_UNSUPPORTED);
	assert_string_equal(e.field, "linux.resources.hugepageLimits[0]");
	struct cgroup c = { 0 };
	assert_int_equal(host_find(&c, &e), 0);
	for (size_t i = 0; i < c.n; i++) {
		snprintf(path, sizeof(path), "%s/davit-test-%d", c.h[i].mount, getpid());
		assert_false(file_exists(AT_FDCWD, path));
	}
	cgroup_clear(&c);
}

static void a_path_out_of_the_hierarchy_is_refused(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct cgroup *c = NULL;
	assert_int_equal(cgroup_create("/a/../..", "one", NULL, &c, &e), -1);
	assert_int_equal(e.code, ERR_INVALID);
	assert_int_equal(cgroup_create("/", "one", NULL, &c, &e), -1);
	assert_string_equal(e.field, "linux.cgroupsPath");
}

/* cgroup v2 alone, as far as this kernel lets it have controllers. */

static void v2_gives_controllers_to_the_cgroup_or_names_the_missing_one(void **state)
{
	(void)state;
	struct err e = { 0 };
	auto_strv struct strv controllers = { 0 };
	bool huge = false, memory = false;
	assert_int_equal(cgroup_host_version(&e), 2);
	assert_int_equal(cgroup_host_controllers(&controllers, &e), 0);
	for (size_t i = 0; i < controllers.n; i++) {
		huge |= str_eq(controllers.v[i], "hugetlb");
		memory |= str_eq(controllers.v[i], "memory");
	}
	if (!memory) {
		assert_null(make("{\"memory\":{\"limit\":4194304}}", &e));
		assert_int_equal(e.code, ERR_UNSUPPORTED);
		assert_string_equal(e.field, "linux.resources.memory.limit");
	}
	if (!huge)
		skip();
	auto_made struct cgroup *c =
	    make("{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":4194304}],\"unified\":{\"cgroup.max.depth\":\"3\"}}", &e);
	if (!c)
		fail_msg("%s", e.msg);
	assert_int_equal(c->n, 1);
	assert_true(cgroup_clone_fd(c) >= 0);
	assert_int_equal(cgroup_read_key(c->h[0].fd, "hugetlb.2MB.max", NULL), 4194304);
	assert_int_equal(cgroup_read_key(c->h[0].fd, "cgroup.max.depth", NULL), 3);
}

static void v2_joins_below_a_cgroup_that_gives_its_controllers_away(void **state)
{
	(void)state;
	struct err e = { 0 };
	auto_made struct cgroup *c = make("{}", &e);
	if (!c)
		fail_msg("%s", e.msg);
	auto_strv struct strv controllers = { 0 };
	assert_int_equal(cgroup_host_controllers(&controllers, &e), 0);
	assert_int_equal(mkdirat(c->h[0].fd, "below", 0755), 0);
	for (size_t i = 0; i < controllers.n; i++) {
		char enable[32];
		snprintf(enable, sizeof(enable), "+%s", controllers.v[i]);
		file_write_pseudo(c->h[0].fd, "cgroup.subtree_control", enable, NULL);
	}
	start_in(c, false);
	auto_close int below = file_open_dir(c->h[0].fd, "below", &e);
	assert_int_equal(cgroup_has_process(c->h[0].fd) + cgroup_has_process(below), 1);
}

static void v2_folders_are_given_to_the_root_of_a_user_namespace(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct stat folder, procs, limit;
	const char json[] = "{\"process\":{\"user\":{\"uid\":5,\"gid\":5}},\"mounts\":[{\"destination\":\"/sys/fs/cgroup\",\"type\":\"cgroup\"}],"
			    "\"linux\":{\"namespaces\":[{\"type\":\"user\"},{\"type\":\"cgroup\"}],\"uidMappings\":[{\"containerID\":0,\"hostID\":"
			    "70000,\"size\":10}]}}";
	auto_pb(Davit__OciSpec) *spec = json_parse(&davit__oci_spec__descriptor, json, strlen(json), JSON_REFUSE, NULL, &e);
	assert_non_null(spec);
	auto_made struct cgroup *c = make("{}", &e);
	if (!c)
		fail_msg("%s", e.msg);
	assert_int_equal(cgroup_delegate(c, spec, &e), 0);
	assert_int_equal(fstat(c->h[0].fd, &folder), 0);
	assert_int_equal(fstatat(c->h[0].fd, "cgroup.procs", &procs, 0), 0);
	assert_int_equal(fstatat(c->h[0].fd, "cgroup.max.depth", &limit, 0), 0);
	assert_int_equal(folder.st_uid, 70005);
	assert_int_equal(procs.st_uid, 70005);
	assert_int_equal(limit.st_uid, 0);
}

/* A mount namespace that shows cgroup2 only. */
static int see_only_v2(void)
{
	struct err e = { 0 };
	struct cgroup c = { 0 };
	bool unified = false;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || host_find(&c, &e) < 0)
		return -1;
	for (size_t i = 0; i < c.n; i++) {
		unified |= c.h[i].unified;
		if (!c.h[i].unified)
			umount2(c.h[i].mount, MNT_DETACH);
	}
	cgroup_clear(&c);
	return unified ? 0 : -1;
}

static int run_on_v2(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(v2_gives_controllers_to_the_cgroup_or_names_the_missing_one),
		cmocka_unit_test(v2_joins_below_a_cgroup_that_gives_its_controllers_away),
		cmocka_unit_test(v2_folders_are_given_to_the_root_of_a_user_namespace),
		cmocka_unit_test(freezing_holds_until_thawed),
		cmocka_unit_test(kill_ends_those_that_fork_meanwhile_and_those_that_are_frozen),
		cmocka_unit_test(a_cgroup_in_use_is_not_shared_and_a_state_finds_it_again),
	};
	if (geteuid() != 0 || see_only_v2() < 0)
		return 0;
	return cmocka_run_group_tests_name("cgroup v2", tests, NULL, NULL);
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
		cmocka_unit_test(a_cgroup_holds_its_limits_and_changes_them_both_ways),
		cmocka_unit_test(freezing_holds_until_thawed),
		cmocka_unit_test(kill_ends_those_that_fork_meanwhile_and_those_that_are_frozen),
		cmocka_unit_test(a_cgroup_in_use_is_not_shared_and_a_state_finds_it_again),
		cmocka_unit_test(what_the_kernel_refuses_is_named_and_leaves_nothing),
		cmocka_unit_test(a_path_out_of_the_hierarchy_is_refused),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	return failed ? failed : run_on_v2();
}
