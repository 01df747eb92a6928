/* features: what this runtime can do, in the form of the OCI specification's features.md. */
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "proto/json.h"
#include "proto/pb.h"
#include "runtime/caps.h"
#include "runtime/cgroup/properties.h"
#include "runtime/cli/cli.h"
#include "runtime/criu/options.h"
#include "runtime/landlock.h"
#include "runtime/lsm.h"
#include "runtime/mount_options.h"
#include "runtime/namespace.h"
#include "runtime/seccomp/seccomp.h"
#include "runtime/supervise/supervise.h"

static const char *const hooks[] = { "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop" };

static const char *const heeded_annotations[] = { LANDLOCK_ANNOTATION,	    LANDLOCK_ANNOTATION ".", SUPERVISE_ANNOTATION,
						  SUPERVISE_ANNOTATION ".", PROPERTY_ANNOTATION,     CRIU_CONFIG_ANNOTATION };

static int add_enabled(Davit__OciEnabled **field, bool enabled, struct err *e)
{
	*field = pb_new(&davit__oci_enabled__descriptor, e);
	if (!*field)
		return -1;
	(*field)->has_enabled = true;
	(*field)->enabled = enabled;
	return 0;
}

/* In alphabetical order, as runc prints them. */
static int add_namespaces(Davit__OciFeaturesLinux *l, struct err *e)
{
	static const enum ns_kind order[] = { NS_CGROUP, NS_IPC, NS_MOUNT, NS_NETWORK, NS_PID, NS_TIME, NS_USER, NS_UTS };

	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		if (pb_push_str(&l->n_namespaces, &l->namespaces, ns_types[order[i]].oci, e) < 0)
			return -1;
	return 0;
}

static int add_capabilities(Davit__OciFeaturesLinux *l, struct err *e)
{
	for (int i = 0; i <= caps_last() && caps_name(i); i++)
		if (pb_push_str(&l->n_capabilities, &l->capabilities, caps_name(i), e) < 0)
			return -1;
	return 0;
}

static int add_linux(Davit__OciFeaturesLinux *l, struct err *e)
{
	if (add_namespaces(l, e) < 0 || add_capabilities(l, e) < 0)
		return -1;
	l->cgroup = pb_new(&davit__oci_features_cgroup__descriptor, e);
	l->seccomp = pb_new(&davit__oci_features_seccomp__descriptor, e);
	l->mount_extensions = pb_new(&davit__oci_features_idmap__descriptor, e);
	if (!l->cgroup || !l->seccomp || !l->mount_extensions)
		return -1;
	l->cgroup->has_v1 = l->cgroup->v1 = l->cgroup->has_v2 = l->cgroup->v2 = l->cgroup->has_rdma = l->cgroup->rdma = true;
	l->cgroup->has_systemd = l->cgroup->systemd = l->cgroup->has_systemd_user = l->cgroup->systemd_user = true;
	if (seccomp_features(l->seccomp, e) < 0 || add_enabled(&l->mount_extensions->idmap, true, e) < 0)
		return -1;
	return add_enabled(&l->apparmor, true, e) < 0 || add_enabled(&l->selinux, true, e) < 0 ? -1 : add_enabled(&l->intel_rdt, false, e);
}

static int add_annotation(Davit__OciFeatures *f, const char *key, const char *value, struct err *e)
{
	Davit__OciStringEntry *a = pb_new(&davit__oci_string_entry__descriptor, e);

	if (!a || pb_push(&f->n_annotations, &f->annotations, a, e) < 0)
		return -1;
	return pb_set_str(&a->key, key, e) < 0 ? -1 : pb_set_str(&a->value, value, e);
}

/* "selinux: enforcing" to org.davit.lsm.selinux. */
static int add_detail(Davit__OciFeatures *f, const char *text, struct err *e)
{
	char key[64];

	snprintf(key, sizeof(key), "org.davit.lsm.%.*s", (int)strcspn(text, ":"), text);
	return add_annotation(f, key, text + strcspn(text, " ") + 1, e);
}

/* Layers of our own, and what of the LSMs is there on this kernel, not only in this program. */
static int add_guards(Davit__OciFeatures *f, struct err *e)
{
	char abi[12], lsms[256] = "";
	auto_strv struct strv list = { 0 }, details = { 0 };

	snprintf(abi, sizeof(abi), "%d", landlock_abi());
	if (lsm_list(&list, e) < 0)
		return -1;
	for (size_t i = 0, n = 0; i < list.n && n < sizeof(lsms); i++)
		n += (size_t)snprintf(lsms + n, sizeof(lsms) - n, "%s%s", i ? "," : "", list.v[i]);
	if (lsm_details(&details, e) < 0)
		return -1;
	for (size_t i = 0; i < details.n; i++)
		if (add_detail(f, details.v[i], e) < 0)
			return -1;
	return add_annotation(f, LANDLOCK_ANNOTATION ".abi", abi, e) < 0 || add_annotation(f, SUPERVISE_ANNOTATION, "mknod,mount,sysctl", e) < 0
		   ? -1
		   : add_annotation(f, "org.davit.lsm", lsms, e);
}

static int run(struct cli *c, int argc, char **argv, struct err *e)
{
	auto_pb(Davit__OciFeatures) *f = pb_new(&davit__oci_features__descriptor, e);
	auto_buf struct buf b = { 0 };

	(void)c;
	(void)argc;
	(void)argv;
	if (!f || pb_set_str(&f->oci_version_min, "1.0.0", e) < 0 || pb_set_str(&f->oci_version_max, "1.2.0", e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(hooks); i++)
		if (pb_push_str(&f->n_hooks, &f->hooks, hooks[i], e) < 0)
			return -1;
	for (size_t i = 0; mount_option_name(i); i++)
		if (pb_push_str(&f->n_mount_options, &f->mount_options, mount_option_name(i), e) < 0)
			return -1;
	/* A name that ends with a dot stands for all that begin so. */
	for (size_t i = 0; i < ARRAY_LEN(heeded_annotations); i++)
		if (pb_push_str(&f->n_potentially_unsafe_config_annotations, &f->potentially_unsafe_config_annotations, heeded_annotations[i], e) < 0)
			return -1;
	f->linux = pb_new(&davit__oci_features_linux__descriptor, e);
	if (!f->linux || add_linux(f->linux, e) < 0 || add_annotation(f, "davit.version", DAVIT_VERSION, e) < 0 ||
	    add_annotation(f, "org.opencontainers.runc.checkpoint.enabled", "true", e) < 0 || add_guards(f, e) < 0)
		return -1;
	return json_print(&f->base, true, &b, e) < 0 ? -1 : cli_print(&b, e);
}

const struct cli_command cli_features = { .name = "features", .arguments = "", .help = "print what this runtime can do, as JSON", .run = run };
