/* Checks of "linux": see validate.h. linux.seccomp is checked by compiling it, linux.resources by the cgroup module, both in create_begin() and
 * before anything is made. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/namespace.h"
#include "runtime/schedule.h"
#include "runtime/validate.h"

#define MAPPINGS_MAX 340 /* the kernel's UID_GID_MAP_MAX_EXTENTS */
#define DEVICES_MAX 1024

static void check_namespaces(const Davit__OciLinux *l, struct problems *p)
{
	for (size_t i = 0; i < l->n_namespaces; i++) {
		const Davit__OciNamespace *n = l->namespaces[i];
		int kind = ns_kind_of(n->type);

		if (kind < 0) {
			problem(p, field_of("linux.namespaces[%zu].type", i).s, "use user, mount, pid, network, uts, ipc, cgroup or time",
				"unknown namespace type \"%s\"", n->type ? n->type : "");
			continue;
		}
		for (size_t k = 0; k < i; k++)
			if (str_eq(l->namespaces[k]->type, n->type))
				problem(p, field_of("linux.namespaces[%zu].type", i).s, "keep one entry of each type", "%s is there twice", n->type);
		if (n->path && *n->path && n->path[0] != '/')
			problem(p, field_of("linux.namespaces[%zu].path", i).s, "use an absolute path like /proc/PID/ns/net", "not an absolute path");
	}
}

static void check_mapping_list(const char *field, Davit__OciIdMapping *const *m, size_t n, struct problems *p)
{
	bool root = false;

	if (n == 0)
		return problem(p, field, "map the container's ids from 0 to ids of the host", "missing, and the container has a new user namespace");
	if (n > MAPPINGS_MAX)
		return problem(p, field, "use at most 340 ranges", "%zu ranges are too many", n);
	for (size_t i = 0; i < n; i++) {
		uint64_t end = (uint64_t)m[i]->container_id + m[i]->size, host_end = (uint64_t)m[i]->host_id + m[i]->size;

		if (m[i]->size == 0)
			problem(p, field_of("%s[%zu].size", field, i).s, "use 1 or more", "0 maps nothing");
		if (end > UINT32_MAX || host_end > UINT32_MAX)
			problem(p, field_of("%s[%zu].size", field, i).s, "end below 4294967295", "the range goes beyond the last id");
		root |= m[i]->container_id == 0 && m[i]->size > 0;
		for (size_t k = 0; k < i; k++)
			if (m[k]->container_id < end && m[i]->container_id < (uint64_t)m[k]->container_id + m[k]->size)
				problem(p, field_of("%s[%zu]", field, i).s, "use ranges that do not overlap", "overlaps with range %zu", k);
	}
	if (!root)
		problem(p, field, "add a range with containerID 0", "the container's id 0 is not mapped");
}

static void check_mappings(const Davit__OciSpec *s, struct problems *p)
{
	const Davit__OciLinux *l = s->linux;
	enum ns_how how = ns_how_of_spec(s, NS_USER);

	if (how == NS_NEW) {
		check_mapping_list("linux.uidMappings", l->uid_mappings, l->n_uid_mappings, p);
		check_mapping_list("linux.gidMappings", l->gid_mappings, l->n_gid_mappings, p);
	} else if (how == NS_HOST && (l->n_uid_mappings || l->n_gid_mappings)) {
		problem(p, "linux.uidMappings", "add {\"type\": \"user\"} to linux.namespaces, or leave the mappings away",
			"mappings without a user namespace");
	}
}

static void check_offset(const char *name, const Davit__OciTimeOffset *o, struct problems *p)
{
	if (!o)
		return;
	if (o->secs > INT64_MAX / NSEC_PER_SEC / 2 || o->secs < -(INT64_MAX / NSEC_PER_SEC / 2))
		problem(p, field_of("linux.timeOffsets.%s.secs", name).s, "stay within 146 years", "%lld is out of range", (long long)o->secs);
	if (o->nanosecs >= 1000000000)
		problem(p, field_of("linux.timeOffsets.%s.nanosecs", name).s, "use 0 to 999999999", "%u is out of range", o->nanosecs);
}

static void check_offsets(const Davit__OciSpec *s, struct problems *p)
{
	const Davit__OciTimeOffsets *t = s->linux->time_offsets;

	if (!t || (!t->monotonic && !t->boottime))
		return;
	if (ns_how_of_spec(s, NS_TIME) != NS_NEW)
		problem(p, "linux.timeOffsets", "add {\"type\": \"time\"} to linux.namespaces", "offsets without a new time namespace");
	check_offset("monotonic", t->monotonic, p);
	check_offset("boottime", t->boottime, p);
}

static void check_devices(const Davit__OciLinux *l, struct problems *p)
{
	if (l->n_devices > DEVICES_MAX)
		return problem(p, "linux.devices", "use at most 1024", "%zu are too many", l->n_devices);
	for (size_t i = 0; i < l->n_devices; i++) {
		const Davit__OciDevice *d = l->devices[i];
		const char *type = d->type ? d->type : "";

		if (strlen(type) != 1 || !strchr("cubp", *type))
			problem(p, field_of("linux.devices[%zu].type", i).s, "use \"c\", \"b\", \"u\" or \"p\"", "unknown device type \"%s\"", type);
		if (!d->path || d->path[0] != '/' || !d->path[1] || str_suffix(d->path, "/"))
			problem(p, field_of("linux.devices[%zu].path", i).s, "use an absolute path like /dev/fuse", "not an absolute path of a file");
		if (*type != 'p' && (d->major < 0 || d->major > 4095 || d->minor < 0 || d->minor > 1048575))
			problem(p, field_of("linux.devices[%zu].major", i).s, "use the device's own numbers (stat -c %t:%T)",
				"device number %lld:%lld is out of range", (long long)d->major, (long long)d->minor);
		/* podman gives the type's bits too, as stat tells them. */
		if (d->has_file_mode && (d->file_mode & ~(uint32_t)S_IFMT) > 07777)
			problem(p, field_of("linux.devices[%zu].fileMode", i).s, "use permissions only, like 438 (0666)", "%u is out of range",
				d->file_mode);
	}
}

/* Settings that belong to a namespace of the container and so change nothing on the host. */
static const struct {
	const char *prefix;
	enum ns_kind kind;
} sysctls[] = {
	{ "net.", NS_NETWORK },		  { "fs.mqueue.", NS_IPC },
	{ "kernel.msgmax", NS_IPC },	  { "kernel.msgmnb", NS_IPC },
	{ "kernel.msgmni", NS_IPC },	  { "kernel.sem", NS_IPC },
	{ "kernel.shmall", NS_IPC },	  { "kernel.shmmax", NS_IPC },
	{ "kernel.shmmni", NS_IPC },	  { "kernel.shm_rmid_forced", NS_IPC },
	{ "kernel.domainname", NS_UTS },  { "kernel.msg_next_id", NS_IPC },
	{ "kernel.sem_next_id", NS_IPC }, { "kernel.shm_next_id", NS_IPC },
};

static bool matches(const char *key, const char *prefix)
{
	return prefix[strlen(prefix) - 1] == '.' ? str_prefix(key, prefix) : strcmp(key, prefix) == 0;
}

/* NULL: it may be set; else why not, and *remedy. */
static const char *refuse_sysctl(const Davit__OciSpec *s, const char *name, const char **remedy)
{
	char key[256];

	*remedy = "use a name like net.ipv4.ip_forward";
	if (snprintf(key, sizeof(key), "%s", name) >= (int)sizeof(key) || strstr(name, "..") || name[0] == '/' || name[0] == '.')
		return "not a name of a kernel setting";
	for (char *c = key; *c; c++)
		if (*c == '/')
			*c = '.';
	for (size_t i = 0; i < ARRAY_LEN(sysctls); i++) {
		if (!matches(key, sysctls[i].prefix))
			continue;
		*remedy = "give the container a namespace of its own for it";
		return ns_how_of_spec(s, sysctls[i].kind) == NS_HOST ? "would change the host: the container has no own namespace for it" : NULL;
	}
	*remedy = "set it on the host";
	return "this setting is the host's, no namespace has one of its own";
}

static void check_sysctl(const Davit__OciSpec *s, const char *name, struct problems *p)
{
	const char *remedy, *why = refuse_sysctl(s, name, &remedy);

	if (why)
		problem(p, field_of("linux.sysctl.%.100s", name).s, remedy, "%s", why);
}

int validate_sysctl(const Davit__OciSpec *s, const char *name, struct err *e)
{
	const char *remedy, *why = refuse_sysctl(s, name, &remedy);

	if (!why)
		return 0;
	err_field(e, "sysctl", "%.100s: %s", name, why);
	return err_remedy(e, "%s", remedy);
}

static void check_path_list(const char *field, char *const *paths, size_t n, struct problems *p)
{
	for (size_t i = 0; i < n; i++)
		if (paths[i][0] != '/')
			problem(p, field_of("%s[%zu]", field, i).s, "use an absolute path of the container", "\"%s\" is not an absolute path",
				paths[i]);
}

static void check_unsupported(const Davit__OciLinux *l, struct problems *p)
{
	if (l->intel_rdt)
		problem(p, "linux.intelRdt", "leave it away", "not supported");
	if (l->memory_policy)
		problem(p, "linux.memoryPolicy", "leave it away, or use cpu.mems", "not supported");
	if (l->n_net_devices)
		problem(p, "linux.netDevices", "leave it away, or move the device from a createRuntime hook", "not supported");
	if (l->personality && schedule_domain(l->personality->domain) < 0)
		problem(p, "linux.personality.domain", "use LINUX or LINUX32", "unknown domain \"%s\"",
			l->personality->domain ? l->personality->domain : "");
	if (l->personality && l->personality->n_flags)
		problem(p, "linux.personality.flags", "leave them away", "the specification has none yet");
}

static void check_propagation(const char *value, struct problems *p)
{
	static const char *const known[] = { "private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable" };

	if (!value || !*value)
		return;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(value, known[i]) == 0)
			return;
	problem(p, "linux.rootfsPropagation", "use private, slave, shared, unbindable or their r… forms", "unknown propagation \"%s\"", value);
}

void validate_linux_into(const Davit__OciSpec *s, struct problems *p)
{
	const Davit__OciLinux *l = s->linux;

	check_namespaces(l, p);
	check_mappings(s, p);
	check_offsets(s, p);
	check_devices(l, p);
	for (size_t i = 0; i < l->n_sysctl; i++)
		check_sysctl(s, l->sysctl[i]->key, p);
	check_path_list("linux.maskedPaths", l->masked_paths, l->n_masked_paths, p);
	check_path_list("linux.readonlyPaths", l->readonly_paths, l->n_readonly_paths, p);
	check_propagation(l->rootfs_propagation, p);
	check_unsupported(l, p);
}
