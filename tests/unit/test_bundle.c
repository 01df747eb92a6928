/* ContainerSpec → config.json, and users by the container's own files. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "proto/json.h"
#include "proto/pb.h"
#include "runtime/caps.h"
#include "runtime/serve/bundle.h"
#include "tests/unit/unit.h"

static const Davit__IdRange ids = { .base = { .descriptor = &davit__id_range__descriptor }, .host_start = 2000000, .size = 65536 };

static void put(const char *folder, const char *name, const char *text)
{
	struct err e = { 0 };
	char path[300];
	snprintf(path, sizeof(path), "%s/etc", folder);
	assert_int_equal(file_mkdir_p(path, 0755, &e), 0);
	snprintf(path, sizeof(path), "%s/etc/%s", folder, name);
	assert_int_equal(file_write_atomic(AT_FDCWD, path, text, strlen(text), 0644, false, &e), 0);
}

/* The config of a spec, parsed again from its own JSON, as davit-runtime will read it. */
static Davit__OciSpec *config_of(void **state, const char *spec_json)
{
	struct err e = { 0 };
	static char parent[] = "/davit-test", binds[] = "/nowhere/binds";
	const struct core core = { .cgroup_parent = parent };
	const struct place place = { .binds = binds };
	put(*state, "passwd", "root:x:0:0:root:/root:/bin/sh\nredis:x:999:998:redis:/data:/bin/sh\n");
	put(*state, "group", "root:x:0:\nredis:x:998:\nadm:x:4:root,redis\n");
	auto_pb(Davit__ContainerSpec) *spec = json_parse(&davit__container_spec__descriptor, spec_json, strlen(spec_json), JSON_REFUSE, NULL, &e);
	assert_non_null(spec);
	auto_close int rootfs = file_open_dir(AT_FDCWD, *state, &e);
	auto_pb(Davit__OciSpec) *o = bundle_spec(&core, spec, &ids, &place, rootfs, &e);
	if (!o)
		fail_msg("%s: %s", e.field, e.msg);
	auto_buf struct buf text = { 0 };
	assert_int_equal(json_print(&o->base, true, &text, &e), 0);
	Davit__OciSpec *back = json_parse(&davit__oci_spec__descriptor, text.data, text.len, JSON_REFUSE, NULL, &e);
	if (!back)
		fail_msg("%s: %s", e.field, e.msg);
	return back;
}

static bool has_namespace(const Davit__OciSpec *o, const char *type)
{
	for (size_t i = 0; i < o->linux->n_namespaces; i++)
		if (str_eq(o->linux->namespaces[i]->type, type))
			return true;
	return false;
}

static bool has(char *const *list, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(list[i], s))
			return true;
	return false;
}

static const Davit__OciMount *mount_at(const Davit__OciSpec *o, const char *target)
{
	for (size_t i = 0; i < o->n_mounts; i++)
		if (str_eq(o->mounts[i]->destination, target))
			return o->mounts[i];
	return NULL;
}

static void a_plain_spec_gets_all_namespaces_of_its_own(void **state)
{
	static const char *const all[] = { "pid", "ipc", "uts", "mount", "cgroup", "network", "time", "user" };
	auto_pb(Davit__OciSpec) *o = config_of(state, "{\"name\":\"web\",\"image\":\"i\",\"process\":{\"args\":[\"/bin/true\"]}}");
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		assert_true(has_namespace(o, all[i]));
	assert_int_equal(o->linux->n_namespaces, 8);
	assert_int_equal(o->linux->uid_mappings[0]->host_id, 2000000);
	assert_int_equal(o->linux->gid_mappings[0]->size, 65536);
}

static void a_plain_spec_is_closed(void **state)
{
	auto_pb(Davit__OciSpec) *o = config_of(state, "{\"name\":\"web\",\"image\":\"i\",\"process\":{\"args\":[\"/bin/true\"]}}");
	assert_true(o->process->no_new_privileges);
	assert_non_null(o->linux->seccomp);
	assert_true(o->linux->n_masked_paths > 5);
	assert_true(has(o->linux->readonly_paths, o->linux->n_readonly_paths, "/proc/sys"));
	assert_false(has(o->process->capabilities->bounding, o->process->capabilities->n_bounding, "CAP_SYS_ADMIN"));
	assert_int_equal(o->process->capabilities->n_ambient, 0);
	assert_int_equal(o->process->capabilities->n_inheritable, 0);
	assert_false(o->linux->resources->devices[0]->allow);
	assert_true(o->linux->resources->pids->limit > 0);
	assert_int_equal(o->process->oom_score_adj, 0);
	assert_true(has(mount_at(o, "/sys")->options, mount_at(o, "/sys")->n_options, "ro"));
	assert_true(has(mount_at(o, "/sys/fs/cgroup")->options, mount_at(o, "/sys/fs/cgroup")->n_options, "ro"));
	assert_string_equal(o->linux->cgroups_path, "/davit-test/web");
	assert_string_equal(o->hostname, "web");
}

static void capabilities_follow_add_and_drop(void **state)
{
	auto_pb(Davit__OciSpec) *o = config_of(
	    state, "{\"name\":\"w\",\"image\":\"i\",\"process\":{\"args\":[\"a\"]},\"capAdd\":[\"CAP_NET_ADMIN\"],\"capDrop\":[\"CAP_CHOWN\"]}");
	const Davit__OciCapabilities *c = o->process->capabilities;
	assert_true(has(c->bounding, c->n_bounding, "CAP_NET_ADMIN"));
	assert_true(has(c->effective, c->n_effective, "CAP_NET_ADMIN"));
	assert_false(has(c->bounding, c->n_bounding, "CAP_CHOWN"));
	auto_pb(Davit__OciSpec) *none = config_of(state, "{\"name\":\"w\",\"image\":\"i\",\"process\":{\"args\":[\"a\"]},\"capDrop\":[\"ALL\"]}");
	assert_int_equal(none->process->capabilities->n_bounding, 0);
}

static void limits_become_resources(void **state)
{
	auto_pb(Davit__OciSpec) *o = config_of(
	    state,
	    "{\"name\":\"w\",\"image\":\"i\",\"process\":{\"args\":[\"a\"]},\"limits\":{\"memoryBytes\":67108864,\"cpuMillis\":1500,\"pids\":50,"
	    "\"cpusetCpus\":\"0-1\",\"ioWeight\":100},\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":10,\"hard\":20}]}");
	assert_int_equal(o->linux->resources->memory->limit, 67108864);
	assert_int_equal(o->linux->resources->cpu->quota, 150000);
	assert_int_equal(o->linux->resources->cpu->period, 100000);
	assert_string_equal(o->linux->resources->cpu->cpus, "0-1");
	assert_int_equal(o->linux->resources->pids->limit, 50);
	assert_int_equal(o->linux->resources->block_io->weight, 100);
	assert_int_equal(o->process->rlimits[0]->hard, 20);
}

static void a_user_comes_from_the_containers_own_passwd(void **state)
{
	auto_pb(Davit__OciSpec) *o =
	    config_of(state, "{\"name\":\"w\",\"image\":\"i\",\"process\":{\"args\":[\"a\"],\"user\":\"redis\",\"additionalGids\":[77]}}");
	assert_int_equal(o->process->user->uid, 999);
	assert_int_equal(o->process->user->gid, 998);
	assert_int_equal(o->process->user->n_additional_gids, 2);
	assert_int_equal(o->process->user->additional_gids[0], 4);
	assert_int_equal(o->process->user->additional_gids[1], 77);
	assert_true(has(o->process->env, o->process->n_env, "HOME=/data"));
}

static void environment_given_wins_over_the_default(void **state)
{
	auto_pb(Davit__OciSpec) *o =
	    config_of(state, "{\"name\":\"w\",\"image\":\"i\",\"process\":{\"args\":[\"a\"],\"env\":[\"PATH=/x\",\"HOME=/y\"]}}");
	assert_int_equal(o->process->n_env, 2);
	assert_string_equal(o->process->env[0], "PATH=/x");
}

static void a_bind_mount_names_our_copy_and_never_the_hosts_path(void **state)
{
	auto_pb(Davit__OciSpec) *o = config_of(
	    state,
	    "{\"name\":\"w\",\"image\":\"i\",\"process\":{\"args\":[\"a\"]},\"mounts\":[{\"type\":\"bind\",\"source\":\"/srv/x\",\"target\":\"/x\","
	    "\"readOnly\":true}]}");
	assert_string_equal(mount_at(o, "/x")->source, "/nowhere/binds/0");
	assert_true(has(mount_at(o, "/x")->options, mount_at(o, "/x")->n_options, "ro"));
	assert_true(has(mount_at(o, "/x")->options, mount_at(o, "/x")->n_options, "nosuid"));
}

static void host_namespaces_are_left_out(void **state)
{
	auto_pb(Davit__OciSpec) *o = config_of(state, "{\"name\":\"w\",\"image\":\"i\",\"process\":{\"args\":[\"a\"]},\"networkMode\":\"host\","
						      "\"hostClocks\":true,\"hostUserNamespace\":true}");
	assert_false(has_namespace(o, "network"));
	assert_false(has_namespace(o, "time"));
	assert_false(has_namespace(o, "user"));
	assert_int_equal(o->linux->n_uid_mappings, 0);
}

static int resolve(void **state, const char *text, struct user *u, struct err *e)
{
	auto_close int rootfs = file_open_dir(AT_FDCWD, *state, e);
	return user_resolve(rootfs, text, u, e);
}

static void numbers_need_no_passwd(void **state)
{
	struct err e = { 0 };
	auto_cleanup(user_free) struct user u = { 0 };
	assert_int_equal(resolve(state, "1234:99", &u, &e), 0);
	assert_int_equal(u.uid, 1234);
	assert_int_equal(u.gid, 99);
	assert_string_equal(u.home, "/");
}

static void unknown_names_are_refused_with_their_field(void **state)
{
	struct err e = { 0 };
	auto_cleanup(user_free) struct user u = { 0 };
	put(*state, "passwd", "root:x:0:0:root:/root:/bin/sh\n");
	assert_int_equal(resolve(state, "nobody", &u, &e), -1);
	assert_string_equal(e.field, "process.user");
	assert_int_equal(resolve(state, "root:wheel", &u, &e), -1);
	assert_int_equal(e.code, ERR_INVALID);
}

static void a_passwd_that_is_a_fifo_or_leads_out_is_not_read(void **state)
{
	struct err e = { 0 };
	char path[300];
	auto_cleanup(user_free) struct user u = { 0 };
	snprintf(path, sizeof(path), "%s/etc", (char *)*state);
	assert_int_equal(file_mkdir_p(path, 0755, &e), 0);
	snprintf(path, sizeof(path), "%s/etc/passwd", (char *)*state);
	assert_int_equal(mkfifo(path, 0644), 0);
	assert_int_equal(resolve(state, "root", &u, &e), -1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/../../../../../../../../etc/passwd", path), 0);
	assert_int_equal(resolve(state, "root", &u, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit_in_folder(a_plain_spec_gets_all_namespaces_of_its_own),
		unit_in_folder(a_plain_spec_is_closed),
		unit_in_folder(capabilities_follow_add_and_drop),
		unit_in_folder(limits_become_resources),
		unit_in_folder(a_user_comes_from_the_containers_own_passwd),
		unit_in_folder(environment_given_wins_over_the_default),
		unit_in_folder(a_bind_mount_names_our_copy_and_never_the_hosts_path),
		unit_in_folder(host_namespaces_are_left_out),
		unit_in_folder(numbers_need_no_passwd),
		unit_in_folder(unknown_names_are_refused_with_their_field),
		unit_in_folder(a_passwd_that_is_a_fifo_or_leads_out_is_not_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
