/* ContainerSpec → config.json.
 *
 * What every container gets stands as JSON in `base`, as an administrator would write it; the functions below add what follows from the spec. The
 * order of the mounts is the order in which they are made. */
#include "runtime/serve/bundle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "base/file.h"
#include "base/path.h"
#include "proto/json.h"
#include "proto/pb.h"
#include "runtime/landlock.h"
#include "runtime/seccomp/seccomp.h"
#include "runtime/supervise/supervise.h"

#define CPU_PERIOD_US 100000
#define PIDS_DEFAULT 4096

static const char base[] =
    "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"rootfs\"},\"mounts\":["
    "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\",\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},"
    "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":[\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\"]},"
    "{\"destination\":\"/dev/"
    "pts\",\"type\":\"devpts\",\"source\":\"devpts\",\"options\":[\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\",\"gid=5\"]},"
    "{\"destination\":\"/dev/"
    "shm\",\"type\":\"tmpfs\",\"source\":\"shm\",\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"mode=1777\",\"size=65536k\"]},"
    "{\"destination\":\"/dev/mqueue\",\"type\":\"mqueue\",\"source\":\"mqueue\",\"options\":[\"nosuid\",\"noexec\",\"nodev\"]}],"
    "\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"mount\"},{\"type\":\"cgroup\"}],"
    "\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]},"
    "\"maskedPaths\":[\"/proc/acpi\",\"/proc/asound\",\"/proc/interrupts\",\"/proc/kcore\",\"/proc/keys\",\"/proc/latency_stats\",\"/proc/"
    "timer_list\","
    "\"/proc/timer_stats\",\"/proc/sched_debug\",\"/proc/scsi\",\"/sys/firmware\",\"/sys/devices/virtual/powercap\"],"
    "\"readonlyPaths\":[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\",\"/proc/sysrq-trigger\"]}}";

static bool host_network(const Davit__ContainerSpec *s)
{
	return str_eq(s->network_mode, "host");
}

static int add_namespace(Davit__OciLinux *l, const char *type, struct err *e)
{
	Davit__OciNamespace *ns = pb_new(&davit__oci_namespace__descriptor, e);
	if (!ns || pb_push(&l->n_namespaces, &l->namespaces, ns, e) < 0)
		return -1;
	return pb_set_str(&ns->type, type, e);
}

static int add_mapping(size_t *n, Davit__OciIdMapping ***list, const Davit__IdRange *ids, struct err *e)
{
	Davit__OciIdMapping *m = pb_new(&davit__oci_id_mapping__descriptor, e);
	if (!m || pb_push(n, list, m, e) < 0)
		return -1;
	m->has_container_id = m->has_host_id = m->has_size = true;
	m->host_id = ids->host_start;
	m->size = ids->size;
	return 0;
}

static int set_namespaces(const Davit__ContainerSpec *s, const Davit__IdRange *ids, Davit__OciLinux *l, struct err *e)
{
	if (!host_network(s) && add_namespace(l, "network", e) < 0)
		return -1;
	if (!s->host_clocks && add_namespace(l, "time", e) < 0)
		return -1;
	if (s->host_user_namespace)
		return 0;
	if (add_namespace(l, "user", e) < 0 || add_mapping(&l->n_uid_mappings, &l->uid_mappings, ids, e) < 0)
		return -1;
	return add_mapping(&l->n_gid_mappings, &l->gid_mappings, ids, e);
}

/* options: words separated by ','; items (may be NULL) come after them. */
static int add_mount(Davit__OciSpec *o, const char *target, const char *type, const char *source, const char *options, char *const *items, size_t n,
		     struct err *e)
{
	Davit__OciMount *m = pb_new(&davit__oci_mount__descriptor, e);
	if (!m || pb_push(&o->n_mounts, &o->mounts, m, e) < 0)
		return -1;
	if (pb_set_str(&m->destination, target, e) < 0 || pb_set_str(&m->type, type, e) < 0 || pb_set_str(&m->source, source, e) < 0)
		return -1;
	auto_free char *words = mem_strdup(options, e);
	if (!words)
		return -1;
	for (char *save = NULL, *w = strtok_r(words, ",", &save); w; w = strtok_r(NULL, ",", &save))
		if (pb_push_str(&m->n_options, &m->options, w, e) < 0)
			return -1;
	for (size_t i = 0; i < n; i++)
		if (pb_push_str(&m->n_options, &m->options, items[i], e) < 0)
			return -1;
	return 0;
}

/* A sysfs shows the network namespace of its maker and may only be mounted by that namespace's owner (sysfs, kernfs): with the host's network it is
 * the host's own, read-only. */
static int add_sys_mounts(const Davit__ContainerSpec *s, Davit__OciSpec *o, struct err *e)
{
	int rc = host_network(s) && !s->host_user_namespace ? add_mount(o, "/sys", "none", "/sys", "rbind,nosuid,noexec,nodev,ro", NULL, 0, e)
							    : add_mount(o, "/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro", NULL, 0, e);
	return rc < 0 ? -1 : add_mount(o, "/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,relatime,ro", NULL, 0, e);
}

static int add_mounts(const Davit__ContainerSpec *s, const struct place *p, Davit__OciSpec *o, struct err *e)
{
	for (size_t i = 0; i < s->n_mounts; i++) {
		const Davit__SpecMount *m = s->mounts[i];
		bool tmpfs = str_eq(m->type, "tmpfs");
		auto_free char *source = tmpfs ? mem_strdup("tmpfs", e) : mem_printf(e, "%s/%zu", p->binds, i);
		const char *first = tmpfs ? "nosuid,nodev" : m->read_only ? "bind,rprivate,nosuid,nodev,ro" : "bind,rprivate,nosuid,nodev";
		if (!source || add_mount(o, m->target, tmpfs ? "tmpfs" : "none", source, first, m->options, m->n_options, e) < 0)
			return -1;
	}
	return 0;
}

static int set_memory(const Davit__Limits *l, Davit__OciResources *r, struct err *e)
{
	if (!l->has_memory_bytes && !l->has_memory_swap_bytes && !l->has_memory_reservation_bytes)
		return 0;
	Davit__OciMemory *m = r->memory = pb_new(&davit__oci_memory__descriptor, e);
	if (!m)
		return -1;
	m->has_limit = l->has_memory_bytes;
	m->limit = (int64_t)l->memory_bytes;
	m->has_swap = l->has_memory_swap_bytes;
	m->swap = (int64_t)l->memory_swap_bytes;
	m->has_reservation = l->has_memory_reservation_bytes;
	m->reservation = (int64_t)l->memory_reservation_bytes;
	return 0;
}

static int set_cpu(const Davit__Limits *l, Davit__OciResources *r, struct err *e)
{
	if (!l->has_cpu_millis && !l->has_cpu_shares && !l->cpuset_cpus && !l->cpuset_mems)
		return 0;
	Davit__OciCpu *c = r->cpu = pb_new(&davit__oci_cpu__descriptor, e);
	if (!c)
		return -1;
	c->has_quota = c->has_period = l->has_cpu_millis;
	c->period = CPU_PERIOD_US;
	c->quota = (int64_t)l->cpu_millis * CPU_PERIOD_US / 1000;
	c->has_shares = l->has_cpu_shares;
	c->shares = l->cpu_shares;
	if (l->cpuset_cpus && pb_set_str(&c->cpus, l->cpuset_cpus, e) < 0)
		return -1;
	return l->cpuset_mems ? pb_set_str(&c->mems, l->cpuset_mems, e) : 0;
}

int bundle_resources(const Davit__ContainerSpec *s, Davit__OciResources *r, struct err *e)
{
	static const Davit__Limits none = DAVIT__LIMITS__INIT;
	const Davit__Limits *l = s->limits ? s->limits : &none;
	if (!(r->pids = pb_new(&davit__oci_pids__descriptor, e)) || set_memory(l, r, e) < 0 || set_cpu(l, r, e) < 0)
		return -1;
	r->pids->has_limit = true;
	r->pids->limit = l->has_pids ? l->pids : PIDS_DEFAULT;
	if (!l->has_io_weight)
		return 0;
	r->block_io = pb_new(&davit__oci_block_io__descriptor, e);
	if (!r->block_io)
		return -1;
	r->block_io->has_weight = true;
	r->block_io->weight = l->io_weight;
	return 0;
}

static int add_device(const Davit__SpecDevice *d, Davit__OciLinux *l, struct err *e)
{
	struct stat st;
	if (lstat(d->path, &st) < 0 || !(S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)))
		return err_field(e, "devices", "%s is no device of this host", d->path);
	Davit__OciDevice *node = pb_new(&davit__oci_device__descriptor, e);
	if (!node || pb_push(&l->n_devices, &l->devices, node, e) < 0)
		return -1;
	Davit__OciDeviceRule *rule = pb_new(&davit__oci_device_rule__descriptor, e);
	if (!rule || pb_push(&l->resources->n_devices, &l->resources->devices, rule, e) < 0)
		return -1;
	const char *type = S_ISCHR(st.st_mode) ? "c" : "b";
	node->has_major = node->has_minor = node->has_file_mode = true;
	node->file_mode = st.st_mode & 0777;
	node->major = rule->major = major(st.st_rdev);
	node->minor = rule->minor = minor(st.st_rdev);
	rule->has_allow = rule->allow = rule->has_major = rule->has_minor = true;
	if (pb_set_str(&node->type, type, e) < 0 || pb_set_str(&node->path, d->path, e) < 0 || pb_set_str(&rule->type, type, e) < 0)
		return -1;
	return pb_set_str(&rule->access, d->access ? d->access : "rw", e);
}

int bundle_seccomp(const Davit__ContainerSpec *s, Davit__OciSeccomp **out, struct err *e)
{
	*out = NULL;
	if (str_eq(s->seccomp, "unconfined"))
		return 0;
	if (s->seccomp && !str_eq(s->seccomp, "default")) {
		*out = json_parse(&davit__oci_seccomp__descriptor, s->seccomp, strlen(s->seccomp), JSON_KEEP, NULL, e);
		return *out ? 0 : -1;
	}
	auto_strv struct strv caps = { 0 };
	if (bundle_caps(s, &caps, e) < 0)
		return -1;
	*out = seccomp_default(caps.v, caps.n, e);
	return *out ? 0 : -1;
}

/* What the supervisor makes is to be of use. */
static int allow_devices(const Davit__SeccompSupervisor *s, Davit__OciResources *r, struct err *e)
{
	for (size_t i = 0; s && i < s->n_mknod; i++) {
		char type[2];
		unsigned major;
		int minor;
		Davit__OciDeviceRule *rule = pb_new(&davit__oci_device_rule__descriptor, e);
		if (!rule || pb_push(&r->n_devices, &r->devices, rule, e) < 0 || supervise_parse_device(s->mknod[i], type, &major, &minor) < 0)
			return -1;
		rule->has_allow = rule->allow = rule->has_major = true;
		rule->major = major;
		rule->has_minor = minor >= 0;
		rule->minor = minor;
		if (pb_set_str(&rule->type, type, e) < 0 || pb_set_str(&rule->access, "rw", e) < 0)
			return -1;
	}
	return 0;
}

/* davit-runtime takes them from annotations, as from any bundle. */
static int annotate(const char *key, const ProtobufCMessage *value, Davit__OciSpec *o, struct err *e)
{
	auto_buf struct buf text = { 0 };
	Davit__OciStringEntry *a = value ? pb_new(&davit__oci_string_entry__descriptor, e) : NULL;
	if (!value)
		return 0;
	if (!a || pb_push(&o->n_annotations, &o->annotations, a, e) < 0 || json_print(value, false, &text, e) < 0)
		return -1;
	return pb_set_str(&a->key, key, e) < 0 ? -1 : pb_set_str(&a->value, text.data, e);
}

static int set_linux(const struct core *c, const Davit__ContainerSpec *s, Davit__OciLinux *l, struct err *e)
{
	auto_free char *cgroup = mem_printf(e, "%s/%s", c->cgroup_parent, s->name);
	if (!cgroup || pb_set_str(&l->cgroups_path, cgroup, e) < 0)
		return -1;
	for (size_t i = 0; i < s->n_sysctls; i++) {
		Davit__OciStringEntry *x = pb_new(&davit__oci_string_entry__descriptor, e);
		if (!x || pb_push(&l->n_sysctl, &l->sysctl, x, e) < 0)
			return -1;
		if (pb_set_str(&x->key, s->sysctls[i]->key, e) < 0 || pb_set_str(&x->value, s->sysctls[i]->value, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < s->n_devices; i++)
		if (add_device(s->devices[i], l, e) < 0)
			return -1;
	if (allow_devices(s->seccomp_supervisor, l->resources, e) < 0)
		return -1;
	return bundle_resources(s, l->resources, e) < 0 ? -1 : bundle_seccomp(s, &l->seccomp, e);
}

Davit__OciSpec *bundle_spec(const struct core *c, const Davit__ContainerSpec *s, const Davit__IdRange *ids, const struct place *p, int rootfs_fd,
			    struct err *e)
{
	auto_pb(Davit__OciSpec) *o = json_parse(&davit__oci_spec__descriptor, base, sizeof(base) - 1, JSON_REFUSE, NULL, e);
	if (!o || !(o->process = bundle_process(s, s->process, rootfs_fd, e)))
		return NULL;
	if (pb_set_str(&o->hostname, s->hostname ? s->hostname : s->name, e) < 0 ||
	    (s->domainname && pb_set_str(&o->domainname, s->domainname, e) < 0))
		return NULL;
	o->root->has_readonly = true;
	o->root->readonly = s->read_only_rootfs;
	if (add_sys_mounts(s, o, e) < 0 || add_mounts(s, p, o, e) < 0)
		return NULL;
	if (set_namespaces(s, ids, o->linux, e) < 0 || set_linux(c, s, o->linux, e) < 0)
		return NULL;
	if (annotate(SUPERVISE_ANNOTATION, s->seccomp_supervisor ? &s->seccomp_supervisor->base : NULL, o, e) < 0 ||
	    annotate(LANDLOCK_ANNOTATION, s->landlock ? &s->landlock->base : NULL, o, e) < 0)
		return NULL;
	return steal_ptr(&o);
}

int bundle_write(const struct place *p, const Davit__OciSpec *spec, struct err *e)
{
	auto_buf struct buf text = { 0 };
	auto_close int dir = file_open_dir(AT_FDCWD, p->bundle, e);
	if (dir < 0 || json_print(&spec->base, true, &text, e) < 0)
		return -1;
	return file_write_atomic(dir, "config.json", text.data, text.len, 0600, false, e);
}
