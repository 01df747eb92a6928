/* Giving the container's root its cgroup, so that an init inside may make cgroups of its own.
 *
 * OCI config-linux.md, "Cgroup ownership": on v2, where the container has a user namespace and a cgroup namespace of its own and mounts cgroups
 * writable, the folder and the files named by /sys/kernel/cgroup/delegate go to the host's uid of the container's process. No other file: the limits
 * stay ours. */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "runtime/cgroup/internal.h"

static const char *const always[] = { "cgroup.procs", "cgroup.subtree_control", "cgroup.threads" };

/* Whether the spec asks for a new namespace of this type. */
static bool makes_namespace(const Davit__OciLinux *l, const char *type)
{
	for (size_t i = 0; i < l->n_namespaces; i++)
		if (str_eq(l->namespaces[i]->type, type))
			return !l->namespaces[i]->path || !*l->namespaces[i]->path;
	return false;
}

static bool mounts_cgroup_writable(const Davit__OciSpec *spec)
{
	for (size_t i = 0; i < spec->n_mounts; i++) {
		const Davit__OciMount *m = spec->mounts[i];
		bool read_only = false;
		for (size_t k = 0; k < m->n_options; k++)
			read_only |= str_eq(m->options[k], "ro");
		if ((str_eq(m->type, "cgroup") || str_eq(m->type, "cgroup2")) && !read_only)
			return true;
	}
	return false;
}

/* The host's uid of the container's process, or -1. */
static int64_t host_uid(const Davit__OciSpec *spec)
{
	uint32_t uid = spec->process && spec->process->user && spec->process->user->has_uid ? spec->process->user->uid : 0;
	for (size_t i = 0; i < spec->linux->n_uid_mappings; i++) {
		const Davit__OciIdMapping *m = spec->linux->uid_mappings[i];
		if (uid >= m->container_id && uid - m->container_id < m->size)
			return (int64_t)m->host_id + (uid - m->container_id);
	}
	return -1;
}

static int give(const struct hierarchy *h, const char *name, uid_t uid, struct err *e)
{
	if (fchownat(h->fd, name, uid, (gid_t)-1, *name ? 0 : AT_EMPTY_PATH) == 0 || errno == ENOENT)
		return 0;
	return err_sys(e, errno, "give cgroup %s/%s to user %u", h->path, name, uid);
}

int cgroup_delegate(const struct cgroup *c, const Davit__OciSpec *spec, struct err *e)
{
	const struct hierarchy *h = c->n == 1 && c->h[0].unified ? &c->h[0] : NULL;
	if (!h || !spec->linux || !makes_namespace(spec->linux, "cgroup") || !makes_namespace(spec->linux, "user") || !mounts_cgroup_writable(spec))
		return 0;
	int64_t uid = host_uid(spec);
	if (uid < 0)
		return 0;
	size_t len;
	auto_free char *list = file_read(AT_FDCWD, "/sys/kernel/cgroup/delegate", 4096, &len, NULL);
	char *save = NULL;
	if (give(h, "", (uid_t)uid, e) < 0)
		return -1;
	for (char *name = list ? strtok_r(list, "\n", &save) : NULL; name; name = strtok_r(NULL, "\n", &save))
		if (give(h, name, (uid_t)uid, e) < 0)
			return -1;
	for (size_t i = 0; !list && i < ARRAY_LEN(always); i++)
		if (give(h, always[i], (uid_t)uid, e) < 0)
			return -1;
	return 0;
}
