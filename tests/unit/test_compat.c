/* What a host refuses, and that it says everything at once. */
#include "tests/unit/unit.h"
#include <stdio.h>
#include "migrate/adapt.h"
#include "migrate/compat.h"
#include "proto/pb.h"

/* An offer and a host that fit; each test changes something. Everything is borrowed. */
struct pair {
	Davit__StreamOffer offer;
	Davit__ContainerSpec spec;
	Davit__Limits limits;
	Davit__NetworkAttachment attachment, *attachments[1];
	Davit__SpecMount mount, *mounts[1];
	Davit__IdRange ids;
	Davit__HostFacts there, here;
	Davit__ImageInfo image, *images[1];
	Davit__CoreNetwork network, *networks[1];
	char *flags[3], *namespaces[8], *controllers[3];
	Davit__ContainerStatus status, *statuses[1];
	Davit__ContainerStatusList list;
};

static void facts(struct pair *p, Davit__HostFacts *f)
{
	davit__host_facts__init(f);
	f->hostname = (char *)"b";
	f->davit_version = (char *)"0.1.0";
	f->machine = (char *)"x86_64";
	f->criu_version = (char *)"4.2.1";
	f->kernel = (char *)"6.18.0";
	f->n_cpu_flags = 3;
	f->cpu_flags = p->flags;
	f->n_namespaces = 8;
	f->namespaces = p->namespaces;
	f->n_cgroup_controllers = 3;
	f->cgroup_controllers = p->controllers;
	f->has_memory_available = f->has_disk_available = 1;
	f->memory_available = f->disk_available = 1 << 30;
}

static void fitting(struct pair *p)
{
	static char *const flags[] = { "sse2", "avx", "avx2" };
	static char *const namespaces[] = { "mnt", "pid", "net", "uts", "ipc", "user", "cgroup", "time" };
	static char *const controllers[] = { "memory", "cpu,cpuacct", "pids" };
	memset(p, 0, sizeof(*p));
	memcpy(p->flags, flags, sizeof(flags));
	memcpy(p->namespaces, namespaces, sizeof(namespaces));
	memcpy(p->controllers, controllers, sizeof(controllers));
	facts(p, &p->there);
	facts(p, &p->here);
	davit__image_info__init(&p->image);
	p->image.name = (char *)"redis";
	p->image.digest = (char *)"blake2b:1";
	p->images[0] = &p->image;
	p->here.images = p->images;
	p->here.n_images = 1;
	davit__core_network__init(&p->network);
	p->network.name = (char *)"lan";
	p->network.bridge = (char *)"br0";
	p->network.subnet = (char *)"10.88.0.0/20";
	p->networks[0] = &p->network;
	p->here.networks = p->networks;
	p->here.n_networks = 1;
	davit__network_attachment__init(&p->attachment);
	p->attachment.network = (char *)"lan";
	p->attachment.address = (char *)"10.88.15.254/20";
	p->attachments[0] = &p->attachment;
	davit__limits__init(&p->limits);
	p->limits.has_memory_bytes = p->limits.has_cpu_millis = p->limits.has_pids = 1;
	davit__container_spec__init(&p->spec);
	p->spec.name = (char *)"web";
	p->spec.image = (char *)"redis";
	p->spec.network_mode = (char *)"bridge";
	p->spec.limits = &p->limits;
	p->spec.attachments = p->attachments;
	p->spec.n_attachments = 1;
	davit__id_range__init(&p->ids);
	p->ids.host_start = 165536;
	p->ids.size = 65536;
	davit__stream_offer__init(&p->offer);
	p->offer.version = 2;
	p->offer.spec = &p->spec;
	p->offer.ids = &p->ids;
	p->offer.image_digest = (char *)"blake2b:1";
	p->offer.facts = &p->there;
	p->offer.has_memory_bytes = p->offer.has_layer_bytes = 1;
	davit__container_status__init(&p->status);
	p->status.name = (char *)"other";
	p->statuses[0] = &p->status;
	davit__container_status_list__init(&p->list);
	p->list.containers = p->statuses;
	p->list.n_containers = 1;
}

static Davit__Error *check(struct pair *p)
{
	struct err e = { 0 };
	Davit__Error *r = compat_check(&p->offer, &p->here, &p->list, &e);
	assert_int_equal(e.code, ERR_NONE);
	return r;
}

/* The refusal has exactly one reason, with this field and this in its message. */
static void assert_reason(struct pair *p, const char *field, const char *part)
{
	auto_pb(Davit__Error) *r = check(p);
	assert_non_null(r);
	assert_string_equal(r->code, "incompatible");
	if (r->n_reasons != 1)
		fail_msg("%zu reasons, the last: %s", r->n_reasons, r->reasons[r->n_reasons - 1]->message);
	assert_string_equal(r->reasons[0]->field, field);
	if (!strstr(r->reasons[0]->message, part))
		fail_msg("\"%s\" is not in \"%s\"", part, r->reasons[0]->message);
}

static void host_that_fits_is_taken(void **state)
{
	struct pair p;
	(void)state;
	fitting(&p);
	auto_pb(Davit__Error) *r = check(&p);
	if (r)
		fail_msg("%s", r->reasons[0]->message);
}

static void cpu_without_a_feature_is_refused_by_its_name(void **state)
{
	struct pair p;
	(void)state;
	fitting(&p);
	p.here.n_cpu_flags = 2;
	assert_reason(&p, "facts.cpuFlags", "avx2");
}

static void the_cpu_flags_of_another_kernel_are_no_reason(void **state)
{
	struct pair p;
	(void)state;
	fitting(&p);
	p.here.n_cpu_flags = 2;
	p.here.kernel = (char *)"6.1.0";
	auto_pb(Davit__Error) *r = check(&p);
	assert_null(r);
}

static void other_machine_is_refused(void **state)
{
	struct pair p;
	(void)state;
	fitting(&p);
	p.here.machine = (char *)"aarch64";
	assert_reason(&p, "facts.machine", "x86_64 there and aarch64 here");
}

static void criu_that_does_not_work_or_is_older_is_refused(void **state)
{
	struct pair p;
	(void)state;
	fitting(&p);
	p.here.criu_problem = (char *)"Unexpected rt vDSO area bounds; and more";
	assert_reason(&p, "facts.criuProblem", "vDSO area bounds; and more");
	fitting(&p);
	p.here.criu_version = (char *)"3.17.1";
	assert_reason(&p, "facts.criuVersion", "3.17.1");
	p.there.criu_version = (char *)"3.9";
	auto_pb(Davit__Error) *r = check(&p);
	assert_null(r);
}

static void davit_of_another_minor_version_is_refused(void **state)
{
	struct pair p;
	(void)state;
	fitting(&p);
	p.there.davit_version = (char *)"0.1.7";
	auto_pb(Davit__Error) *r = check(&p);
	assert_null(r);
	p.there.davit_version = (char *)"0.10.0";
	assert_reason(&p, "facts.davitVersion", "0.10.0");
}

static void missing_namespace_is_refused_unless_not_needed(void **state)
{
	struct pair p;
	(void)state;
	fitting(&p);
	p.here.n_namespaces = 7;
	assert_reason(&p, "facts.namespaces", "time");
	p.spec.host_clocks = 1;
	auto_pb(Davit__Error) *r = check(&p);
	assert_null(r);
}

static void missing_controller_is_refused_if_a_limit_needs_it(void **state)
{
	struct pair p;
	(void)state;
	fitting(&p);
	p.here.n_cgroup_controllers = 2;
	assert_reason(&p, "spec.limits", "pids");
	p.limits.has_pids = 0;
	auto_pb(Davit__Error) *r = check(&p);
	assert_null(r);
}

static void too_little_memory_or_disk_is_refused(void **state)
{
	struct pair p;
	(void)state;
	fitting(&p);
	p.offer.memory_bytes = (uint64_t)2 << 30;
	assert_reason(&p, "memoryBytes", "2.0 GiB");
	fitting(&p);
	p.offer.layer_bytes = (uint64_t)3 << 30;
	assert_reason(&p, "layerBytes", "3.0 GiB");
}

static void image_must_be_here_and_the_same(void **state)
{
	struct pair p;
	(void)state;
	fitting(&p);
	p.image.digest = (char *)"blake2b:2";
	assert_reason(&p, "imageDigest", "blake2b:2");
	p.image.name = (char *)"nginx";
	assert_reason(&p, "spec.image", "redis");
}

static void taken_name_is_refused(void **state)
{
	struct pair p;
	(void)state;
	fitting(&p);
	p.status.name = (char *)"web";
	assert_reason(&p, "spec.name", "web");
}

static void network_must_be_here_with_the_address_in_its_subnet(void **state)
{
	struct pair p;
	(void)state;
	fitting(&p);
	p.attachment.address = (char *)"10.88.16.1/20";
	assert_reason(&p, "spec.attachments", "10.88.16.1/20");
	p.attachment.network = (char *)"wan";
	assert_reason(&p, "spec.attachments", "wan");
	fitting(&p);
	p.attachment.address6 = (char *)"fd00::5/64";
	assert_reason(&p, "spec.attachments", "fd00::5/64");
	p.network.subnet6 = (char *)"fd00::/64";
	auto_pb(Davit__Error) *r = check(&p);
	assert_null(r);
}

static void confinement_that_is_missing_here_is_refused(void **state)
{
	struct pair p;
	(void)state;
	fitting(&p);
	p.spec.apparmor_profile = (char *)"davit-default";
	assert_reason(&p, "spec.apparmorProfile", "AppArmor");
	fitting(&p);
	p.spec.selinux_label = (char *)"system_u:system_r:container_t:s0";
	assert_reason(&p, "spec.selinuxLabel", "SELinux");
}

static void folder_of_the_source_is_refused_unless_declared_shared(void **state)
{
	struct pair p;
	(void)state;
	fitting(&p);
	davit__spec_mount__init(&p.mount);
	p.mount.type = (char *)"bind";
	p.mount.target = (char *)"/data";
	p.mounts[0] = &p.mount;
	p.spec.mounts = p.mounts;
	p.spec.n_mounts = 1;
	assert_reason(&p, "spec.mounts", "/data");
	p.mount.shared_storage = 1;
	auto_pb(Davit__Error) *r = check(&p);
	assert_null(r);
}

static void all_reasons_are_told_at_once(void **state)
{
	struct pair p;
	(void)state;
	fitting(&p);
	p.offer.version = 1;
	p.here.n_cpu_flags = 1;
	p.here.n_images = 0;
	p.spec.network_mode = (char *)"host";
	auto_pb(Davit__Error) *r = check(&p);
	assert_non_null(r);
	assert_int_equal(r->n_reasons, 4);
	for (size_t i = 0; i < r->n_reasons; i++)
		assert_true(r->reasons[i]->message[0] && r->reasons[i]->field[0]);
}

static char *copy(const char *text)
{
	struct err e = { 0 };
	return mem_strdup(text, &e);
}

static void a_bridge_as_gateway_becomes_this_hosts_and_a_router_stays(void **state)
{
	struct pair p;
	Davit__CoreNetwork there = DAVIT__CORE_NETWORK__INIT, *list[] = { &there };
	struct err e = { 0 };
	bool resets;
	(void)state;
	fitting(&p);
	there.name = (char *)"lan";
	there.gateway = (char *)"10.88.0.1";
	p.there.networks = list;
	p.there.n_networks = 1;
	p.network.gateway = (char *)"10.88.0.2";
	p.attachment.gateway = copy("10.88.0.1");
	assert_int_equal(adapt_offer(&p.offer, &p.here, &resets, &e), 0);
	assert_string_equal(p.attachment.gateway, "10.88.0.2");
	assert_false(resets);
	free(p.attachment.gateway);
	p.attachment.gateway = copy("10.88.0.254");
	assert_int_equal(adapt_offer(&p.offer, &p.here, &resets, &e), 0);
	assert_string_equal(p.attachment.gateway, "10.88.0.254");
	free(p.attachment.gateway);
	p.attachment.gateway = copy("10.88.0.1");
	p.network.gateway = NULL; /* here the network leads nowhere */
	assert_int_equal(adapt_offer(&p.offer, &p.here, &resets, &e), 0);
	assert_null(p.attachment.gateway);
}

static void addresses_that_cannot_be_here_are_given_up_only_with_consent(void **state)
{
	struct pair p;
	struct err e = { 0 };
	bool resets;
	(void)state;
	fitting(&p);
	p.attachment.address = copy("10.99.0.5/20");
	p.attachment.mac = copy("02:da:0a:63:00:05");
	assert_reason(&p, "spec.attachments", "10.99.0.5");
	assert_int_equal(adapt_offer(&p.offer, &p.here, &resets, &e), 0);
	assert_false(resets);
	p.offer.has_allow_tcp_reset = p.offer.allow_tcp_reset = 1;
	assert_null(check(&p));
	assert_int_equal(adapt_offer(&p.offer, &p.here, &resets, &e), 0);
	assert_true(resets);
	assert_null(p.attachment.address);
	assert_null(p.attachment.mac);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(host_that_fits_is_taken),
		cmocka_unit_test(cpu_without_a_feature_is_refused_by_its_name),
		cmocka_unit_test(the_cpu_flags_of_another_kernel_are_no_reason),
		cmocka_unit_test(other_machine_is_refused),
		cmocka_unit_test(criu_that_does_not_work_or_is_older_is_refused),
		cmocka_unit_test(davit_of_another_minor_version_is_refused),
		cmocka_unit_test(missing_namespace_is_refused_unless_not_needed),
		cmocka_unit_test(missing_controller_is_refused_if_a_limit_needs_it),
		cmocka_unit_test(too_little_memory_or_disk_is_refused),
		cmocka_unit_test(image_must_be_here_and_the_same),
		cmocka_unit_test(taken_name_is_refused),
		cmocka_unit_test(network_must_be_here_with_the_address_in_its_subnet),
		cmocka_unit_test(confinement_that_is_missing_here_is_refused),
		cmocka_unit_test(folder_of_the_source_is_refused_unless_declared_shared),
		cmocka_unit_test(all_reasons_are_told_at_once),
		cmocka_unit_test(a_bridge_as_gateway_becomes_this_hosts_and_a_router_stays),
		cmocka_unit_test(addresses_that_cannot_be_here_are_given_up_only_with_consent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
