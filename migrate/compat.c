/* The target's check of an offer. See compat.h. */
#include "migrate/compat.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "base/str.h"
#include "migrate/adapt.h"
#include "proto/pb.h"

struct compat {
	const Davit__StreamOffer *offer;
	const Davit__ContainerSpec *spec;
	const Davit__HostFacts *there, *here;
	const Davit__ContainerStatusList *containers;
	Davit__Error *refusal; /* NULL until the first reason */
	bool failed;	       /* without memory */
	struct err *e;
};

static void begin(struct compat *c)
{
	struct err whole = { .code = ERR_INCOMPATIBLE };
	if (c->refusal)
		return;
	snprintf(whole.msg, sizeof(whole.msg), "host %s cannot take container %s", c->here->hostname ? c->here->hostname : "(unnamed)",
		 c->spec->name);
	c->refusal = pb_error(&whole);
}

/* Adds a reason; remedy "" if there is none. */
static void __attribute__((format(printf, 5, 6)))
refuse(struct compat *c, enum err_code code, const char *field, const char *remedy, const char *fmt, ...)
{
	struct err reason = { .code = code };
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(reason.msg, sizeof(reason.msg), fmt, ap);
	va_end(ap);
	snprintf(reason.field, sizeof(reason.field), "%s", field);
	snprintf(reason.remedy, sizeof(reason.remedy), "%s", remedy);
	begin(c);
	Davit__Error *r = c->refusal ? pb_error(&reason) : NULL;
	if (!r || pb_push(&c->refusal->n_reasons, &c->refusal->reasons, r, c->e) < 0)
		c->failed = true;
}

static bool has(char *const *list, size_t n, const char *item)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(list[i], item))
			return true;
	return false;
}

static void check_version(struct compat *c)
{
	if (c->offer->version != 2)
		refuse(c, ERR_UNSUPPORTED, "version", "upgrade davit on the older host", "the migration protocol is version %u there and 2 here",
		       c->offer->version);
	const char *there = c->there->davit_version, *here = c->here->davit_version;
	/* Equal up to the second dot: minor versions keep the formats that travel. */
	size_t n = here && strchr(here, '.') ? strcspn(strchr(here, '.') + 1, ".") + (size_t)(strchr(here, '.') + 1 - here) : 0;
	if (here && there && (strncmp(here, there, n) != 0 || (there[n] != '.' && there[n] != '\0')))
		refuse(c, ERR_UNSUPPORTED, "facts.davitVersion", "use the same minor version on both", "davit is %s there and %s here", there, here);
}

static void check_machine(struct compat *c)
{
	if (c->there->machine && !str_eq(c->there->machine, c->here->machine))
		refuse(c, ERR_UNSUPPORTED, "facts.machine", "", "the processor is %s there and %s here", c->there->machine,
		       c->here->machine ? c->here->machine : "unknown");
}

static void check_criu(struct compat *c)
{
	if (c->here->criu_problem || !c->here->criu_version)
		refuse(c, ERR_UNSUPPORTED, "facts.criuProblem", "run `make deps` or name one that works by `criu` in the configuration",
		       "CRIU does not work here: %s", c->here->criu_problem ? c->here->criu_problem : "none was found");
	/* Images are read by newer versions, not surely by older ones. */
	else if (c->there->criu_version && strverscmp(c->there->criu_version, c->here->criu_version) > 0)
		refuse(c, ERR_UNSUPPORTED, "facts.criuVersion", "use the same or a newer version here", "CRIU is %s there and the older %s here",
		       c->there->criu_version, c->here->criu_version);
}

/* The names are the kernel's: another one knows fewer of them, or has words of its own that are no instructions (xtopology, rep_good). */
static void check_cpu(struct compat *c)
{
	char missing[256] = "";
	size_t n = 0;
	if (!c->here->n_cpu_flags || !str_eq(c->here->kernel, c->there->kernel))
		return;
	for (size_t i = 0; i < c->there->n_cpu_flags; i++) {
		const char *flag = c->there->cpu_flags[i];
		if (has(c->here->cpu_flags, c->here->n_cpu_flags, flag))
			continue;
		if (strlen(missing) + strlen(flag) + 2 < sizeof(missing))
			strcat(strcat(missing, n ? " " : ""), flag);
		n++;
	}
	if (n)
		refuse(c, ERR_UNSUPPORTED, "facts.cpuFlags", "move to a host with the same CPU or a newer one",
		       "the CPU here lacks %zu features that the container may use: %s", n, missing);
}

static void check_namespaces(struct compat *c)
{
	for (size_t i = 0; i < c->there->n_namespaces; i++) {
		const char *ns = c->there->namespaces[i];
		bool needed = !(str_eq(ns, "time") && c->spec->host_clocks) && !(str_eq(ns, "user") && c->spec->host_user_namespace);
		if (needed && !has(c->here->namespaces, c->here->n_namespaces, ns))
			refuse(c, ERR_UNSUPPORTED, "facts.namespaces", "use a newer kernel", "the kernel here (%s) has no %s namespaces",
			       c->here->kernel ? c->here->kernel : "unknown", ns);
	}
}

static void check_controllers(struct compat *c)
{
	const Davit__Limits *l = c->spec->limits;
	if (!l)
		return;
	const struct {
		bool used;
		const char *name, *other;
	} needs[] = {
		{ l->has_memory_bytes || l->has_memory_swap_bytes || l->has_memory_reservation_bytes, "memory", NULL },
		{ l->has_cpu_millis || l->has_cpu_shares, "cpu", "cpu,cpuacct" },
		{ l->cpuset_cpus || l->cpuset_mems, "cpuset", NULL },
		{ l->has_pids, "pids", NULL },
		{ l->has_io_weight, "io", "blkio" },
	};
	for (size_t i = 0; i < ARRAY_LEN(needs); i++) {
		char **list = c->here->cgroup_controllers;
		size_t n = c->here->n_cgroup_controllers;
		if (needs[i].used && !has(list, n, needs[i].name) && !(needs[i].other && has(list, n, needs[i].other)))
			refuse(c, ERR_UNSUPPORTED, "spec.limits", "enable it",
			       "the container is limited by the cgroup controller %s, which is missing here", needs[i].name);
	}
}

static void check_memory(struct compat *c)
{
	char need[32], have[32];
	if (c->here->has_memory_available && c->offer->memory_bytes > c->here->memory_available)
		refuse(c, ERR_RESOURCE, "memoryBytes", "free some", "the container uses %s of memory and %s are available here",
		       str_human_bytes(c->offer->memory_bytes, need, sizeof(need)), str_human_bytes(c->here->memory_available, have, sizeof(have)));
}

static void check_disk(struct compat *c)
{
	char need[32], have[32];
	if (c->here->has_disk_available && c->offer->layer_bytes > c->here->disk_available)
		refuse(c, ERR_RESOURCE, "layerBytes", "free some", "the container's writable layer has %s and %s of disk are free here",
		       str_human_bytes(c->offer->layer_bytes, need, sizeof(need)), str_human_bytes(c->here->disk_available, have, sizeof(have)));
}

static void check_image(struct compat *c)
{
	if (!c->spec->image)
		return;
	for (size_t i = 0; i < c->here->n_images; i++) {
		const Davit__ImageInfo *im = c->here->images[i];
		if (!str_eq(im->name, c->spec->image))
			continue;
		if (!str_eq(im->digest, c->offer->image_digest))
			refuse(c, ERR_INVALID, "imageDigest", "import the same", "image %s is another one here (%s, not %s)", im->name, im->digest,
			       c->offer->image_digest);
		return;
	}
	refuse(c, ERR_NOT_FOUND, "spec.image", "import it (davit image import)", "image %s is not here", c->spec->image);
}

static void check_lsm(struct compat *c)
{
	if (c->spec->apparmor_profile && !str_eq(c->spec->apparmor_profile, "unconfined") && !has(c->here->lsms, c->here->n_lsms, "apparmor"))
		refuse(c, ERR_UNSUPPORTED, "spec.apparmorProfile", "",
		       "the container is confined by AppArmor, which this host's kernel does not have");
	if (c->spec->selinux_label && !has(c->here->lsms, c->here->n_lsms, "selinux"))
		refuse(c, ERR_UNSUPPORTED, "spec.selinuxLabel", "", "the container is confined by SELinux, which this host's kernel does not have");
}

static void check_name(struct compat *c)
{
	for (size_t i = 0; c->containers && i < c->containers->n_containers; i++)
		if (str_eq(c->containers->containers[i]->name, c->spec->name))
			refuse(c, ERR_EXISTS, "spec.name", "remove or rename it", "a container named %s is here already", c->spec->name);
}

#define REMEDY_SUBNET                                                                                                                                \
	"give both hosts the same subnet; or agree that it gets another address there and its TCP connections are closed: --allow-tcp-reset"

static void check_attachment(struct compat *c, const Davit__NetworkAttachment *a)
{
	for (size_t i = 0; i < c->here->n_networks; i++) {
		const Davit__CoreNetwork *n = c->here->networks[i];
		if (!str_eq(n->name, a->network))
			continue;
		if (c->offer->allow_tcp_reset)
			return;
		if (a->address && !adapt_in_subnet(a->address, n->subnet))
			refuse(c, ERR_INVALID, "spec.attachments", REMEDY_SUBNET, "address %s is not in network %s here (%s)", a->address, n->name,
			       n->subnet);
		if (a->address6 && !adapt_in_subnet(a->address6, n->subnet6))
			refuse(c, ERR_INVALID, "spec.attachments", REMEDY_SUBNET, "address %s is not in network %s here (%s)", a->address6, n->name,
			       n->subnet6 ? n->subnet6 : "no IPv6");
		return;
	}
	refuse(c, ERR_NOT_FOUND, "spec.attachments", "add it to `networks`", "network %s is not configured here", a->network);
}

static void check_networks(struct compat *c)
{
	if (str_eq(c->spec->network_mode, "host"))
		refuse(c, ERR_UNSUPPORTED, "spec.networkMode", "use the mode bridge or none", "a container in its host's network cannot move");
	for (size_t i = 0; i < c->spec->n_attachments; i++)
		check_attachment(c, c->spec->attachments[i]);
}

static void check_mounts(struct compat *c)
{
	for (size_t i = 0; i < c->spec->n_mounts; i++) {
		const Davit__SpecMount *m = c->spec->mounts[i];
		if (str_eq(m->type, "bind") && !m->shared_storage)
			refuse(c, ERR_UNSUPPORTED, "spec.mounts", "set sharedStorage if it is the same on both hosts",
			       "%s is a folder of the source host", m->target);
	}
}

static void (*const checks[])(struct compat *c) = {
	check_version, check_machine, check_criu, check_cpu,  check_namespaces, check_controllers, check_memory,
	check_disk,    check_image,   check_lsm,  check_name, check_networks,	check_mounts,
};

Davit__Error *compat_check(const Davit__StreamOffer *offer, const Davit__HostFacts *here, const Davit__ContainerStatusList *containers, struct err *e)
{
	struct compat c = { .offer = offer, .spec = offer->spec, .there = offer->facts, .here = here, .containers = containers, .e = e };
	for (size_t i = 0; i < ARRAY_LEN(checks); i++)
		checks[i](&c);
	if (!c.failed)
		return c.refusal;
	pb_freep(&c.refusal);
	err_set(e, ERR_RESOURCE, 0, "no memory for a refusal's reasons");
	return NULL;
}

/* The policy names members of the spec, the offer has them one level below. */
static int add_reason(struct compat *c, const Davit__Error *from)
{
	auto_pb(Davit__Error) *reason = pb_dup(&from->base, c->e);
	auto_free char *field = mem_printf(c->e, "spec.%s", from->field ? from->field : "");
	if (!reason || !field || pb_set_str(&reason->field, field, c->e) < 0)
		return -1;
	return pb_push(&c->refusal->n_reasons, &c->refusal->reasons, steal_ptr(&reason), c->e);
}

int compat_add_policy(const Davit__StreamOffer *offer, const Davit__HostFacts *here, const Davit__CoreVetted *vetted, Davit__Error **refusal,
		      struct err *e)
{
	struct compat c = { .offer = offer, .spec = offer->spec, .here = here, .refusal = *refusal, .e = e };
	int rc = 0;
	if (vetted->n_reasons)
		begin(&c);
	for (size_t i = 0; rc == 0 && i < vetted->n_reasons; i++)
		rc = c.refusal ? add_reason(&c, vetted->reasons[i]) : err_set(e, ERR_RESOURCE, 0, "no memory for a refusal");
	*refusal = c.refusal;
	return rc;
}
