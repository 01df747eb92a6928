/* Checks of "mounts" and of the root that they go into: see validate.h. */
#include <string.h>
#include "base/mem.h"
#include "base/str.h"
#include "runtime/mount_options.h"
#include "runtime/namespace.h"
#include "runtime/validate.h"

#define MOUNTS_MAX 4096

/* Files of /proc that may be covered by others (lxcfs and the like); covering the rest would let a container lie to the runtime. */
static const char *const proc_files[] = {
	"/proc/cpuinfo",
	"/proc/diskstats",
	"/proc/meminfo",
	"/proc/stat",
	"/proc/swaps",
	"/proc/uptime",
	"/proc/loadavg",
	"/proc/slabinfo",
	"/proc/sys/kernel/ns_last_pid",
	"/proc/sys/crypto/fips_enabled",
};

static bool is_allowed_in_proc(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(proc_files); i++)
		if (strcmp(path, proc_files[i]) == 0)
			return true;
	return false;
}

static bool has_dotdot(const char *path)
{
	for (const char *c = path; (c = strstr(c, "..")); c += 2)
		if ((c == path || c[-1] == '/') && (c[2] == 0 || c[2] == '/'))
			return true;
	return false;
}

static void check_destination(const Davit__OciMount *m, size_t i, struct problems *p)
{
	struct field field = field_of("mounts[%zu].destination", i);
	const char *d = m->destination ? m->destination : "";

	if (d[0] != '/')
		return problem(p, field.s, "use an absolute path of the container", "\"%s\" is not an absolute path", d);
	if (has_dotdot(d))
		return problem(p, field.s, "write the path without \"..\"", "\"%s\" has \"..\" in it", d);
	if (strspn(d, "/") == strlen(d))
		return problem(p, field.s, "use root.path for the root filesystem", "/ is the root filesystem");
	if (str_prefix(d, "/proc/") && !is_allowed_in_proc(d))
		problem(p, field.s, "mount it elsewhere", "%s lies inside /proc", d);
	if (strcmp(d, "/proc") == 0 && m->type && strcmp(m->type, "proc") != 0 && strcmp(m->type, "bind") != 0)
		problem(p, field.s, "use type proc", "only proc may be mounted at /proc");
}

static void check_options(const Davit__OciMount *m, size_t i, struct mount_options *o, struct problems *p)
{
	struct err e = { 0 };

	if (mount_options_parse(m->options, m->n_options, field_of("mounts[%zu].options", i).s, o, &e) < 0)
		problem(p, e.field, *e.remedy ? e.remedy : NULL, "%s", e.msg);
}

static void check_mount(const Davit__OciSpec *s, size_t i, struct problems *p)
{
	const Davit__OciMount *m = s->mounts[i];
	auto_mount_options struct mount_options o = { 0 };

	check_destination(m, i, p);
	check_options(m, i, &o, p);
	bool bind = o.bind || str_eq(m->type, "bind");
	if (!bind && !o.remount && (!m->type || !*m->type))
		problem(p, field_of("mounts[%zu].type", i).s, "name a filesystem like tmpfs, or add the option bind", "missing");
	if (bind && !o.remount && (!m->source || !*m->source))
		problem(p, field_of("mounts[%zu].source", i).s, "name the file or folder of the host", "a bind mount without a source");
	if (o.copy_up && (bind || !str_eq(m->type, "tmpfs")))
		problem(p, field_of("mounts[%zu].options", i).s, "use it with type tmpfs", "tmpcopyup is for tmpfs only");
	if ((m->n_uid_mappings > 0) != (m->n_gid_mappings > 0))
		problem(p, field_of("mounts[%zu].uidMappings", i).s, "give both uidMappings and gidMappings", "one of two mappings is missing");
	if ((o.idmap || m->n_uid_mappings) && !bind)
		problem(p, field_of("mounts[%zu].uidMappings", i).s, "use it with a bind mount", "only bind mounts can be idmapped");
	if (o.idmap && !m->n_uid_mappings && !s->linux->n_uid_mappings)
		problem(p, field_of("mounts[%zu].options", i).s, "add uidMappings and gidMappings", "idmap without mappings");
}

/* Without a mount namespace there is nothing to pivot and nothing to mount in: the container sees the host's files. */
static void check_host_mounts(const Davit__OciSpec *s, struct problems *p)
{
	if (s->root && s->root->path && strcmp(s->root->path, "/") != 0)
		problem(p, "root.path", "add {\"type\": \"mount\"} to linux.namespaces, or set root.path to \"/\"",
			"a container in the host's mount namespace has the host's root: changing it takes a mount namespace");
	if (s->n_mounts || s->linux->n_masked_paths || s->linux->n_readonly_paths)
		problem(p, "mounts", "add {\"type\": \"mount\"} to linux.namespaces, or leave mounts, maskedPaths and readonlyPaths empty",
			"mounts in the host's mount namespace would change the host");
}

void validate_mounts_into(const Davit__OciSpec *s, struct problems *p)
{
	if (s->n_mounts > MOUNTS_MAX)
		return problem(p, "mounts", "use at most 4096", "%zu are too many", s->n_mounts);
	if (!s->linux)
		return;
	if (ns_how_of_spec(s, NS_MOUNT) == NS_HOST)
		check_host_mounts(s, p);
	for (size_t i = 0; i < s->n_mounts; i++)
		check_mount(s, i, p);
}
