/* What the core refuses, whoever asks. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "proto/json.h"
#include "proto/pb.h"
#include "runtime/serve/policy.h"
#include "tests/unit/unit.h"

static const char networks[] = "{\"networks\":[{\"name\":\"lan\",\"bridge\":\"br0\",\"subnet\":\"10.91.0.0/24\",\"gateway\":\"10.91.0.1\"}]}";

static void *parse(const ProtobufCMessageDescriptor *d, const char *json)
{
	struct err e = { 0 };
	void *m = json_parse(d, json, strlen(json), JSON_REFUSE, NULL, &e);
	if (!m)
		fail_msg("%s: %s", json, e.msg);
	return m;
}

static int check_ids(const char *policy, const char *more, uint32_t start, uint32_t size, struct err *e)
{
	char json[2048];
	Davit__IdRange ids = DAVIT__ID_RANGE__INIT;
	ids.host_start = start;
	ids.size = size;
	snprintf(json, sizeof(json), "{\"name\":\"web\",\"image\":\"i\",\"process\":{\"args\":[\"/bin/true\"]}%s%s}", *more ? "," : "", more);
	auto_pb(Davit__HostPolicy) *p = parse(&davit__host_policy__descriptor, policy);
	auto_pb(Davit__AgentConfig) *config = parse(&davit__agent_config__descriptor, networks);
	auto_pb(Davit__ContainerSpec) *s = parse(&davit__container_spec__descriptor, json);
	const struct core c = { .policy = p, .config = config, .ids_start = 1000000, .ids_count = 2 };
	*e = (struct err){ 0 };
	return policy_check(&c, s, &ids, e);
}

static int check(const char *policy, const char *more, struct err *e)
{
	return check_ids(policy, more, 1000000, 65536, e);
}

/* The spec is refused with this code at this field. */
static void refused(const char *policy, const char *more, enum err_code code, const char *field)
{
	struct err e;
	assert_int_equal(check(policy, more, &e), -1);
	if (e.code != code || !str_eq(e.field, field))
		fail_msg("%s: got %s at \"%s\" (%s), wanted %s at \"%s\"", more, err_info(e.code)->name, e.field, e.msg, err_info(code)->name, field);
}

static void allowed(const char *policy, const char *more)
{
	struct err e;
	if (check(policy, more, &e) < 0)
		fail_msg("%s: %s at \"%s\": %s", more, err_info(e.code)->name, e.field, e.msg);
}

/* Without the policy denied, with it allowed. */
static void needs(const char *policy, const char *more, const char *field)
{
	refused("{}", more, ERR_DENIED, field);
	allowed(policy, more);
}

static void the_default_container_needs_no_policy(void **state)
{
	(void)state;
	allowed("{}", "");
	allowed("{}", "\"mounts\":[{\"type\":\"tmpfs\",\"target\":\"/run\",\"options\":[\"size=16m\"]}]");
	allowed("{}", "\"sysctls\":[{\"key\":\"net.ipv4.ip_forward\",\"value\":\"1\"},{\"key\":\"kernel.shmmax\",\"value\":\"1\"}]");
	allowed("{}", "\"capDrop\":[\"ALL\"]");
}

static void what_opens_the_host_needs_the_policy(void **state)
{
	(void)state;
	needs("{\"hostNetwork\":true}", "\"networkMode\":\"host\"", "networkMode");
	needs("{\"hostUserNamespace\":true}", "\"hostUserNamespace\":true", "hostUserNamespace");
	needs("{\"hostClocks\":true}", "\"hostClocks\":true", "hostClocks");
	needs("{\"allowNewPrivileges\":true}", "\"allowNewPrivileges\":true", "allowNewPrivileges");
	needs("{\"seccompUnconfined\":true}", "\"seccomp\":\"unconfined\"", "seccomp");
	needs("{\"seccompUnconfined\":true}", "\"seccomp\":\"{\\\"defaultAction\\\":\\\"SCMP_ACT_ALLOW\\\"}\"", "seccomp");
	needs("{\"capabilities\":[\"CAP_SYS_ADMIN\"]}", "\"capAdd\":[\"CAP_SYS_ADMIN\"]", "capAdd[0]");
	needs("{\"devices\":[\"/dev/null\"]}", "\"devices\":[{\"path\":\"/dev/null\"}]", "devices[0].path");
	needs("{\"sysctls\":[\"kernel.pid_max\"]}", "\"sysctls\":[{\"key\":\"kernel.pid_max\",\"value\":\"1\"}]", "sysctls[0]");
	needs("{\"sysctls\":[\"vm.\"]}", "\"sysctls\":[{\"key\":\"vm.swappiness\",\"value\":\"1\"}]", "sysctls[0]");
	needs("{\"seccompSupervisor\":{\"mknod\":[\"c 1:*\"]}}", "\"seccompSupervisor\":{\"mknod\":[\"c 1:3\"]}", "seccompSupervisor");
	needs("{\"seccompSupervisor\":{\"mount\":[\"tmpfs\"]}}", "\"seccompSupervisor\":{\"mount\":[\"tmpfs\"]}", "seccompSupervisor");
	needs("{\"seccompSupervisor\":{\"sysctl\":[\"net.ipv4.\"]}}", "\"seccompSupervisor\":{\"sysctl\":[\"net.ipv4.ip_forward\"]}",
	      "seccompSupervisor");
	needs("{\"apparmorProfiles\":[\"unconfined\"]}", "\"apparmorProfile\":\"unconfined\"", "apparmorProfile");
	needs("{\"selinuxLabels\":[\"x\"]}", "\"selinuxLabel\":\"x\"", "selinuxLabel");
	needs("{\"privilegedPorts\":true}",
	      "\"networkMode\":\"bridge\",\"attachments\":[{\"network\":\"lan\",\"address\":\"10.91.0.5/"
	      "24\",\"ports\":[{\"hostPort\":22,\"containerPort\":22}]}]",
	      "attachments[0].ports");
}

static void a_supervisor_is_given_what_is_named_and_no_more(void **state)
{
	(void)state;
	const char *policy = "{\"seccompSupervisor\":{\"mknod\":[\"c 1:*\",\"b 7:0\"],\"sysctl\":[\"net.ipv4.\",\"kernel.sem\"]}}";
	refused(policy, "\"seccompSupervisor\":{\"mknod\":[\"c 10:3\"]}", ERR_DENIED, "seccompSupervisor");
	refused(policy, "\"seccompSupervisor\":{\"mknod\":[\"b 1:3\"]}", ERR_DENIED, "seccompSupervisor");
	refused(policy, "\"seccompSupervisor\":{\"mknod\":[\"b 7:*\"]}", ERR_DENIED, "seccompSupervisor");
	refused(policy, "\"seccompSupervisor\":{\"mount\":[\"tmpfs\"]}", ERR_DENIED, "seccompSupervisor");
	refused(policy, "\"seccompSupervisor\":{\"sysctl\":[\"net.\"]}", ERR_DENIED, "seccompSupervisor");
	refused(policy, "\"seccompSupervisor\":{\"sysctl\":[\"kernel.semaphore\"]}", ERR_DENIED, "seccompSupervisor");
	refused(policy, "\"seccompSupervisor\":{\"mknod\":[\"c 1:3 \"]}", ERR_INVALID, "seccompSupervisor");
	refused(policy, "\"seccompSupervisor\":{\"mount\":[\"ext4\"]}", ERR_INVALID, "seccompSupervisor");
}

static void the_hosts_network_leaves_no_network_sysctl(void **state)
{
	(void)state;
	refused("{\"hostNetwork\":true}", "\"networkMode\":\"host\",\"sysctls\":[{\"key\":\"net.ipv4.ip_forward\",\"value\":\"1\"}]", ERR_DENIED,
		"sysctls[0]");
}

static void a_seccomp_profile_cannot_name_a_socket_of_the_host(void **state)
{
	(void)state;
	refused("{\"seccompUnconfined\":true}", "\"seccomp\":\"{\\\"defaultAction\\\":\\\"SCMP_ACT_NOTIFY\\\",\\\"listenerPath\\\":\\\"/run/x\\\"}\"",
		ERR_INVALID, "seccomp.listenerPath");
}

static void names_and_texts_that_could_be_more_are_invalid(void **state)
{
	struct err e;
	(void)state;
	static const char *const bad[] = { "../x", "a/b", ".", "", "a b", "-x", ".create", "a\\n" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char json[256];
		Davit__IdRange ids = DAVIT__ID_RANGE__INIT;
		snprintf(json, sizeof(json), "{\"name\":\"%s\",\"image\":\"i\",\"process\":{\"args\":[\"a\"]}}", bad[i]);
		auto_pb(Davit__ContainerSpec) *s = parse(&davit__container_spec__descriptor, json);
		e = (struct err){ 0 };
		assert_int_equal(spec_check(s, &e), -1);
		assert_string_equal(e.field, "name");
		(void)ids;
	}
	refused("{}", "\"hostname\":\"a\\nb\"", ERR_INVALID, "hostname");
	refused("{}", "\"stopSignal\":\"SIGNOT\"", ERR_INVALID, "stopSignal");
	refused("{}", "\"oomScoreAdj\":-500", ERR_INVALID, "oomScoreAdj");
	refused("{}", "\"rlimits\":[{\"type\":\"RLIMIT_RTPRIO\",\"soft\":1,\"hard\":99}]", ERR_INVALID, "rlimits[0].type");
	refused("{}", "\"sysctls\":[{\"key\":\"net/../kernel.core_pattern\",\"value\":\"|/x\"}]", ERR_INVALID, "sysctls[0]");
	refused("{}", "\"sysctls\":[{\"key\":\"net...kernel.core_pattern\",\"value\":\"|/x\"}]", ERR_INVALID, "sysctls[0]");
}

static void mounts_over_what_the_runtime_makes_are_invalid(void **state)
{
	(void)state;
	refused("{}", "\"mounts\":[{\"type\":\"tmpfs\",\"target\":\"/\"}]", ERR_INVALID, "mounts[0].target");
	refused("{}", "\"mounts\":[{\"type\":\"tmpfs\",\"target\":\"/proc/sys\"}]", ERR_INVALID, "mounts[0].target");
	refused("{}", "\"mounts\":[{\"type\":\"tmpfs\",\"target\":\"/sys\"}]", ERR_INVALID, "mounts[0].target");
	refused("{}", "\"mounts\":[{\"type\":\"tmpfs\",\"target\":\"/a/../proc\"}]", ERR_INVALID, "mounts[0].target");
	refused("{}", "\"mounts\":[{\"type\":\"overlay\",\"target\":\"/x\"}]", ERR_INVALID, "mounts[0].type");
	refused("{}", "\"mounts\":[{\"type\":\"tmpfs\",\"target\":\"/x\",\"options\":[\"dev\"]}]", ERR_INVALID, "mounts[0].options");
	refused("{}", "\"mounts\":[{\"type\":\"tmpfs\",\"target\":\"/x\",\"options\":[\"size=1m,dev\"]}]", ERR_INVALID, "mounts[0].options");
	refused("{\"bindPaths\":[\"/srv\"]}", "\"mounts\":[{\"type\":\"bind\",\"source\":\"/srv\",\"target\":\"/x\",\"options\":[\"suid\"]}]",
		ERR_INVALID, "mounts[0].options");
	refused("{\"bindPaths\":[\"/srv\"]}", "\"mounts\":[{\"type\":\"bind\",\"source\":\"/srv/../etc\",\"target\":\"/x\"}]", ERR_INVALID,
		"mounts[0].source");
}

static void bind_policy(char *out, size_t n, const char *folder, const char *member)
{
	snprintf(out, n, "{\"%s\":[\"%s/ok\"]}", member, folder);
}

static const char *bind_json(char *out, size_t n, const char *folder, const char *path, bool read_only)
{
	snprintf(out, n, "\"mounts\":[{\"type\":\"bind\",\"source\":\"%s/%s\",\"target\":\"/x\",\"readOnly\":%s}]", folder, path,
		 read_only ? "true" : "false");
	return out;
}

static void a_bind_mount_stays_below_its_prefix(void **state)
{
	char policy[256], json[512], path[256], out[256];
	struct err e = { 0 };
	const char *folder = *state;
	bind_policy(policy, sizeof(policy), folder, "bindPaths");
	snprintf(path, sizeof(path), "%s/ok/sub", folder);
	assert_int_equal(file_mkdir_p(path, 0755, &e), 0);
	snprintf(path, sizeof(path), "%s/okay", folder);
	assert_int_equal(file_mkdir_p(path, 0755, &e), 0);
	snprintf(path, sizeof(path), "%s/ok/out", folder);
	snprintf(out, sizeof(out), "%s/okay", folder);
	assert_int_equal(symlink(out, path), 0);
	snprintf(path, sizeof(path), "%s/ok/up", folder);
	assert_int_equal(symlink("../okay", path), 0);
	snprintf(path, sizeof(path), "%s/ok/in", folder);
	assert_int_equal(symlink("sub", path), 0);
	snprintf(path, sizeof(path), "%s/ok/fifo", folder);
	assert_int_equal(mkfifo(path, 0600), 0);

	allowed(policy, bind_json(json, sizeof(json), folder, "ok", false));
	allowed(policy, bind_json(json, sizeof(json), folder, "ok/sub", false));
	allowed(policy, bind_json(json, sizeof(json), folder, "ok/in", false));
	refused("{}", json, ERR_DENIED, "mounts[0].source");
	refused(policy, bind_json(json, sizeof(json), folder, "okay", false), ERR_DENIED, "mounts[0].source");
	refused(policy, bind_json(json, sizeof(json), folder, "ok/out", false), ERR_DENIED, "mounts[0].source");
	refused(policy, bind_json(json, sizeof(json), folder, "ok/up", false), ERR_DENIED, "mounts[0].source");
	refused(policy, bind_json(json, sizeof(json), folder, "ok/none", false), ERR_INVALID, "mounts[0].source");
	refused(policy, bind_json(json, sizeof(json), folder, "ok/fifo", false), ERR_INVALID, "mounts[0].source");
	refused(policy, "\"mounts\":[{\"type\":\"bind\",\"source\":\"/\",\"target\":\"/x\"}]", ERR_DENIED, "mounts[0].source");
	refused(policy, "\"mounts\":[{\"type\":\"bind\",\"source\":\"/etc\",\"target\":\"/x\"}]", ERR_DENIED, "mounts[0].source");
}

static void a_read_only_prefix_gives_no_write(void **state)
{
	char policy[256], json[512], path[256];
	struct err e = { 0 };
	bind_policy(policy, sizeof(policy), *state, "bindPathsReadOnly");
	snprintf(path, sizeof(path), "%s/ok", (char *)*state);
	assert_int_equal(file_mkdir_p(path, 0755, &e), 0);
	allowed(policy, bind_json(json, sizeof(json), *state, "ok", true));
	refused(policy, bind_json(json, sizeof(json), *state, "ok", false), ERR_DENIED, "mounts[0].source");
}

static void ids_come_from_the_agents_ranges_alone(void **state)
{
	struct err e;
	(void)state;
	assert_int_equal(check_ids("{}", "", 1065536, 65536, &e), 0);
	assert_int_equal(check_ids("{}", "", 0, 65536, &e), -1);
	assert_int_equal(e.code, ERR_DENIED);
	assert_int_equal(check_ids("{}", "", 1131072, 65536, &e), -1);
	assert_int_equal(check_ids("{}", "", 1000001, 65536, &e), -1);
	assert_int_equal(check_ids("{}", "", 934464, 65536, &e), -1);
	assert_int_equal(check_ids("{}", "", 1000000, 131072, &e), -1);
	assert_string_equal(e.field, "ids.size");
}

static void memory_is_bounded_where_the_policy_says_so(void **state)
{
	(void)state;
	static const char policy[] = "{\"maxMemoryBytes\":67108864}";
	refused(policy, "", ERR_DENIED, "limits.memoryBytes");
	refused(policy, "\"limits\":{\"memoryBytes\":67108865}", ERR_DENIED, "limits.memoryBytes");
	allowed(policy, "\"limits\":{\"memoryBytes\":67108864}");
}

static void an_attachment_fits_its_network(void **state)
{
	(void)state;
#define ATTACH(x) "\"networkMode\":\"bridge\",\"attachments\":[{\"network\":\"lan\"," x "}]"
	allowed("{}", ATTACH("\"address\":\"10.91.0.5/24\",\"mac\":\"02:00:00:00:00:05\""));
	refused("{}", ATTACH("\"address\":\"10.92.0.5/24\""), ERR_INVALID, "attachments[0].address");
	refused("{}", ATTACH("\"address\":\"10.91.0.5/8\""), ERR_INVALID, "attachments[0].address");
	refused("{}", ATTACH("\"mtu\":1500"), ERR_INVALID, "attachments[0].address");
	refused("{}", ATTACH("\"address\":\"10.91.0.5/24\",\"mac\":\"00:11:22:33:44:55\""), ERR_INVALID, "attachments[0].mac");
	refused("{}", ATTACH("\"address\":\"10.91.0.5/24\",\"interface\":\"lo\""), ERR_INVALID, "attachments[0].interface");
	refused("{}", ATTACH("\"address\":\"10.91.0.5/24\",\"interface\":\"a/b\""), ERR_INVALID, "attachments[0].interface");
	refused("{}", "\"networkMode\":\"bridge\"", ERR_INVALID, "attachments");
	refused("{}", "\"attachments\":[{\"network\":\"lan\",\"address\":\"10.91.0.5/24\"}]", ERR_INVALID, "attachments");
}

static void a_network_is_the_administrators_to_the_last_member(void **state)
{
	struct err e = { 0 };
	(void)state;
	auto_pb(Davit__HostPolicy) *p = parse(&davit__host_policy__descriptor, "{}");
	auto_pb(Davit__AgentConfig) *config = parse(&davit__agent_config__descriptor, networks);
	const struct core c = { .policy = p, .config = config };
	assert_int_equal(policy_check_network(&c, config->networks[0], &e), 0);
	auto_pb(Davit__CoreNetwork) *other = pb_dup(&config->networks[0]->base, &e);
	assert_int_equal(pb_set_str(&other->uplink, "eth0", &e), 0);
	assert_int_equal(policy_check_network(&c, other, &e), -1);
	assert_int_equal(e.code, ERR_DENIED);
	assert_int_equal(pb_set_str(&other->name, "mine", &e), 0);
	assert_int_equal(policy_check_network(&c, other, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

static void lists_are_bounded(void **state)
{
	char json[1536] = "\"rlimits\":[";
	(void)state;
	for (int i = 0; i < 33; i++)
		snprintf(json + strlen(json), sizeof(json) - strlen(json), "%s{\"type\":\"x\",\"soft\":1,\"hard\":1}", i ? "," : "");
	strcat(json, "]");
	refused("{}", json, ERR_LIMIT, "rlimits");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_default_container_needs_no_policy),
		cmocka_unit_test(what_opens_the_host_needs_the_policy),
		cmocka_unit_test(a_supervisor_is_given_what_is_named_and_no_more),
		cmocka_unit_test(the_hosts_network_leaves_no_network_sysctl),
		cmocka_unit_test(a_seccomp_profile_cannot_name_a_socket_of_the_host),
		cmocka_unit_test(names_and_texts_that_could_be_more_are_invalid),
		cmocka_unit_test(mounts_over_what_the_runtime_makes_are_invalid),
		unit_in_folder(a_bind_mount_stays_below_its_prefix),
		unit_in_folder(a_read_only_prefix_gives_no_write),
		cmocka_unit_test(ids_come_from_the_agents_ranges_alone),
		cmocka_unit_test(memory_is_bounded_where_the_policy_says_so),
		cmocka_unit_test(an_attachment_fits_its_network),
		cmocka_unit_test(a_network_is_the_administrators_to_the_last_member),
		cmocka_unit_test(lists_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
