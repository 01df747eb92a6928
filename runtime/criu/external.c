/* See external.h. Sources: CRIU's mount.c (external mounts), runc's criu_linux.go (keys), statx(2) (STATX_MNT_ID). */
#include "runtime/criu/external.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/path.h"
#include "proto/pb.h"
#include "runtime/criu/mountinfo.h"
#include "runtime/namespace.h"

static const char *const default_devices[] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty" };

static bool is_bind(const Davit__OciMount *m)
{
	if (str_eq(m->type, "bind"))
		return true;
	for (size_t i = 0; i < m->n_options; i++)
		if (str_eq(m->options[i], "bind") || str_eq(m->options[i], "rbind"))
			return true;
	return false;
}

int external_devices(const Davit__OciSpec *spec, struct strv *out, struct err *e)
{
	if (ns_how_of_spec(spec, NS_USER) == NS_HOST)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(default_devices); i++)
		if (strv_add(out, default_devices[i], e) < 0)
			return -1;
	for (size_t i = 0; spec->linux && i < spec->linux->n_devices; i++)
		if (strv_add(out, spec->linux->devices[i]->path, e) < 0)
			return -1;
	return 0;
}

int external_masks(const Davit__OciSpec *spec, struct strv *out, struct err *e)
{
	for (size_t i = 0; spec->linux && i < spec->linux->n_masked_paths; i++)
		if (strv_add(out, spec->linux->masked_paths[i], e) < 0)
			return -1;
	return 0;
}

static bool named(const Criu__CriuOpts *opts, const char *point)
{
	size_t n = strlen(point);

	for (size_t i = 0; i < opts->n_external; i++)
		if (str_prefix(opts->external[i], "mnt[") && !strncmp(opts->external[i] + 4, point, n) && opts->external[i][4 + n] == ']')
			return true;
	return false;
}

static int name_mount(Criu__CriuOpts *opts, const char *point, const char *key, struct err *e)
{
	if (named(opts, point))
		return 0;
	auto_free char *text = mem_printf(e, "mnt[%s]:%s", point, key);
	return text ? pb_push_str(&opts->n_external, &opts->external, text, e) : -1;
}

/* Where the mount that covers a path of the spec is, or NULL if none is there. */
static const struct mountinfo_entry *mount_at(int rootfd, const struct mountinfo *m, const char *path)
{
	struct statx st;
	auto_close int fd = path_open_in(rootfd, path, O_PATH, 0, NULL);

	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_MNT_ID, &st) < 0 || !(st.stx_mask & STATX_MNT_ID) ||
	    !(st.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return NULL;
	return mountinfo_by_id(m, st.stx_mnt_id);
}

/* The mount of a path, and with `below` those under it, which an rbind brought along. */
static int add_path(int rootfd, const struct mountinfo *m, const char *path, bool below, Criu__CriuOpts *opts, struct err *e)
{
	const struct mountinfo_entry *at = mount_at(rootfd, m, path);
	size_t n = at ? strlen(at->point) : 0;

	if (!at || (n == 1 && at->point[0] == '/'))
		return 0;
	if (name_mount(opts, at->point, path, e) < 0)
		return -1;
	for (size_t i = 0; below && i < m->n; i++)
		if (!strncmp(m->v[i].point, at->point, n) && m->v[i].point[n] == '/') {
			auto_free char *key = mem_printf(e, "%s%s", path, m->v[i].point + n);
			if (!key || name_mount(opts, m->v[i].point, key, e) < 0)
				return -1;
		}
	return 0;
}

static int add_list(int rootfd, const struct mountinfo *m, const struct strv *paths, Criu__CriuOpts *opts, struct err *e)
{
	for (size_t i = 0; i < paths->n; i++)
		if (add_path(rootfd, m, paths->v[i], false, opts, e) < 0)
			return -1;
	return 0;
}

static int add_mounts(const Davit__OciSpec *spec, int rootfd, const struct mountinfo *m, Criu__CriuOpts *opts, struct err *e)
{
	auto_strv struct strv paths = { 0 };

	if (external_devices(spec, &paths, e) < 0 || external_masks(spec, &paths, e) < 0)
		return -1;
	/* Bind mounts inside bind mounts are named first, under their own keys. */
	for (size_t i = 0; i < spec->n_mounts; i++)
		if (is_bind(spec->mounts[i]) && add_path(rootfd, m, spec->mounts[i]->destination, false, opts, e) < 0)
			return -1;
	if (add_list(rootfd, m, &paths, opts, e) < 0)
		return -1;
	for (size_t i = 0; i < spec->n_mounts; i++)
		if (is_bind(spec->mounts[i]) && add_path(rootfd, m, spec->mounts[i]->destination, true, opts, e) < 0)
			return -1;
	for (size_t i = 0; i < m->n; i++)
		if ((str_eq(m->v[i].type, "cgroup") || str_eq(m->v[i].type, "cgroup2")) && name_mount(opts, m->v[i].point, m->v[i].point, e) < 0)
			return -1;
	return 0;
}

static int add_netns(pid_t pid, Criu__CriuOpts *opts, struct err *e)
{
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	if (stat(path, &st) < 0)
		return err_sys(e, errno, "network namespace of process %d", pid);
	auto_free char *text = mem_printf(e, "net[%lu]:" EXTERNAL_NETNS, (unsigned long)st.st_ino);
	return text ? pb_push_str(&opts->n_external, &opts->external, text, e) : -1;
}

int external_dump(const Davit__OciSpec *spec, pid_t pid, Criu__CriuOpts *opts, struct err *e)
{
	auto_mountinfo struct mountinfo m = { 0 };
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/root", pid);
	auto_close int rootfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rootfd < 0)
		return err_sys(e, errno, "root of process %d", pid);
	if (mountinfo_read(pid, &m, e) < 0 || add_mounts(spec, rootfd, &m, opts, e) < 0)
		return -1;
	return ns_how_of_spec(spec, NS_NETWORK) == NS_JOIN ? add_netns(pid, opts, e) : 0;
}
