/* Cgroups of this host's kernel: limits, freezing, killing, removal; once on its hierarchies as they are, and once where only v2 is seen. */
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core.pb-c.h"
#include "tests/unit/cgroup.h"

/* A cgroup of this host; skips where that is not allowed. */
static struct cgroup *make(const char *json, struct err *e)
{
	char path[64];
	struct cgroup *c = NULL;
	auto_pb(Davit__OciResources) *r = parse(json);
	if (geteuid() != 0) {
		print_message("needs root\n");
		skip();
	}
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
	for (int i = 0; i < 60000 && n < (fork_on ? 3U : 1U); i++) {
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
	if (!huge) {
		print_message("this kernel has no hugetlb controller\n");
		skip();
	}
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
