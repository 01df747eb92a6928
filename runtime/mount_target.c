/* Init's half of the mounts: see mount.h. Privileges: CAP_SYS_ADMIN over the container's mount namespace, and the file rights of its root. */
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "runtime/lsm.h"
#include "runtime/mount.h"
#include "runtime/sys.h"

/* What the kernel said about a filesystem's options: lines "e text" in the fs context's log. */
static int fs_fail(int fs, int sys, const char *what, const char *type, struct err *e)
{
	char line[256];
	ssize_t n = read(fs, line, sizeof(line) - 1);

	if (n > 2 && line[1] == ' ') {
		line[n] = 0;
		line[strcspn(line, "\n")] = 0;
		return err_sys(e, sys, "%s %s: %s", what, type, line + 2);
	}
	return err_sys(e, sys, "%s %s", what, type);
}

static int fs_option(int fs, const char *option)
{
	char key[64];
	const char *eq = strchr(option, '=');

	if (!eq)
		return fsconfig(fs, FSCONFIG_SET_FLAG, option, NULL, 0);
	if ((size_t)(eq - option) >= sizeof(key)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(key, option, (size_t)(eq - option));
	key[eq - option] = 0;
	return fsconfig(fs, FSCONFIG_SET_STRING, key, eq + 1, 0);
}

int mount_new(const char *type, const char *source, const struct strv *data, uint64_t attr, struct err *e)
{
	auto_close int fs = fsopen(type, FSOPEN_CLOEXEC);

	if (fs < 0)
		return err_sys(e, errno, "make filesystem %s", type);
	if (source && fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0) < 0)
		return fs_fail(fs, errno, "set the source of", type, e);
	for (size_t i = 0; data && i < data->n; i++)
		if (fs_option(fs, data->v[i]) < 0) {
			char what[128];

			snprintf(what, sizeof(what), "option \"%.80s\" of", data->v[i]);
			return fs_fail(fs, errno, what, type, e);
		}
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fs_fail(fs, errno, "make filesystem", type, e);
	int fd = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned)attr);
	return fd < 0 ? fs_fail(fs, errno, "mount", type, e) : fd;
}

/* A link of the image may lead into /proc, where files answer for the kernel; only what is named to lie there (runtime/validate_mounts.c) covers one.
 * CVE-2019-16884 came of it. */
static int check_not_proc(int target, const char *name, struct err *e)
{
	struct statfs fs;

	if (fstatfs(target, &fs) < 0)
		return err_sys(e, errno, "look at %s", name);
	if (fs.f_type != PROC_SUPER_MAGIC || str_eq(name, "/proc") || str_prefix(name, "/proc/"))
		return 0;
	err_set(e, ERR_INVALID, 0, "%s leads into the container's /proc", name);
	return err_remedy(e, "look at the symbolic links of the root filesystem on the way there");
}

static int move_to(int tree, int target, const char *name, struct err *e)
{
	if (check_not_proc(target, name, e) < 0)
		return -1;
	if (move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_sys(e, errno, "mount at %s", name);
	return 0;
}

int mount_attach(int rootfd, int tree, const char *target, bool is_file, struct err *e)
{
	auto_close int fd = path_make_in(rootfd, target, is_file, e);

	return fd < 0 ? -1 : move_to(tree, fd, target, e);
}

/* The container believes what it finds at /proc and /sys, and so do we when we mask paths there: these may not be reached over symbolic links. Looked
 * at and used is one descriptor: who changes the folder meanwhile (another container of the same root filesystem) gains nothing (CVE-2023-27561). */
static int open_plain(int rootfd, const char *target, struct err *e)
{
	auto_close int made = path_make_in(rootfd, target, false, e);
	int fd = made < 0 ? -1 : sys_openat2(rootfd, target, O_PATH | O_DIRECTORY | O_CLOEXEC, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);

	if (made < 0 || fd >= 0)
		return fd;
	if (errno != ELOOP)
		return err_sys(e, errno, "open %s in the container's root", target);
	err_set(e, ERR_INVALID, 0, "%s is a symbolic link in the root filesystem", target);
	return err_remedy(e, "make it a folder");
}

static int make_filesystem(struct mount *m, const char *label, struct err *e)
{
	uint64_t attr = m->options.set & ~(m->late_ro ? (uint64_t)MOUNT_ATTR_RDONLY : 0);
	const char *type = m->spec->type;
	/* The others have their labels by the policy alone: the kernel refuses one here (mqueue), or it belongs to the host (proc, sysfs). */
	bool labelled = str_eq(type, "tmpfs") || str_eq(type, "devpts");

	if (label && labelled && lsm_has_selinux() && strv_addf(&m->options.data, e, "context=%s", label) < 0)
		return -1;
	m->fd = mount_new(type, m->spec->source, &m->options.data, attr, e);
	if (m->fd >= 0)
		return 0;
	if (e && e->sys == ENODEV) {
		snprintf(e->field, sizeof(e->field), "%s.type", m->field);
		return err_remedy(e, "use a filesystem of /proc/filesystems, or load the module that has it");
	}
	if (e && e->code == ERR_DENIED)
		err_remedy(e,
			   "in a user namespace %s needs the namespace that it shows to be the container's own: add it to linux.namespaces, or bind "
			   "mount the host's",
			   type);
	return -1;
}

static bool has_mode(const struct strv *data)
{
	for (size_t i = 0; i < data->n; i++)
		if (str_prefix(data->v[i], "mode="))
			return true;
	return false;
}

/* A tmpfs over a folder of the image that says nothing of its mode has the folder's, as with runc; else the kernel's own, 1777. */
static int take_mode(int tree, int folder, struct err *e)
{
	struct stat st;
	auto_close int root = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (root < 0 || fstat(folder, &st) < 0 || fchmod(root, st.st_mode & 07777) < 0)
		return err_sys(e, errno, "set the mode of the tmpfs");
	return 0;
}

static int mount_filesystem(struct mount *m, int rootfd, const char *label, struct err *e)
{
	const char *to = m->spec->destination;
	bool follows = str_eq(m->spec->type, "tmpfs") && !has_mode(&m->options.data);
	auto_close int folder = follows ? path_open_in(rootfd, to, O_PATH | O_DIRECTORY, 0, NULL) : -1;

	if (make_filesystem(m, label, e) < 0)
		return -1;
	auto_close int target = mount_is_kernels(m) ? open_plain(rootfd, to, e) : path_make_in(rootfd, to, false, e);
	if (target < 0 || (m->options.copy_up && mount_copy_up(target, m->fd, e) < 0) || (folder >= 0 && take_mode(m->fd, folder, e) < 0))
		return -1;
	if (move_to(m->fd, target, to, e) < 0)
		return -1;
	if (m->options.propagation && mount_propagate(m->fd, m->options.propagation, m->options.propagation_rec) < 0)
		return err_sys(e, errno, "set mount propagation");
	return 0;
}

static int set_attributes(int fd, uint64_t set, uint64_t clear, struct err *e)
{
	struct mount_attr a = { .attr_set = set, .attr_clr = clear };

	return mount_setattr(fd, "", AT_EMPTY_PATH, &a, sizeof(a)) < 0 ? err_sys(e, errno, "set mount attributes") : 0;
}

/* Options of the filesystem itself, like a tmpfs's size. */
static int reconfigure(const struct mount *m, int fd, struct err *e)
{
	auto_close int fs = fspick(fd, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);

	if (fs < 0)
		return err_sys(e, errno, "change the filesystem");
	for (size_t i = 0; i < m->options.data.n; i++)
		if (fs_option(fs, m->options.data.v[i]) < 0)
			return fs_fail(fs, errno, "change", m->options.data.v[i], e);
	return fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0 ? fs_fail(fs, errno, "change the filesystem of", m->spec->destination, e)
									 : 0;
}

/* What is not named stays. As with mount(2), a bind remount is about the mount alone and passes over options of the filesystem. */
static int remount(const struct mount *m, int rootfd, struct err *e)
{
	struct mount_attr all = { .attr_set = m->options.rec_set, .attr_clr = m->options.rec_clear };
	auto_close int fd = path_open_in(rootfd, m->spec->destination, O_PATH, 0, e);
	struct statx st;

	if (fd < 0)
		return -1;
	if (statx(fd, "", AT_EMPTY_PATH, 0, &st) < 0 || !(st.stx_attributes & STATX_ATTR_MOUNT_ROOT)) {
		err_set(e, ERR_INVALID, 0, "nothing is mounted there that could be remounted");
		return err_remedy(e, "leave the option remount away, or let the mount before it stand at this destination");
	}
	if (set_attributes(fd, m->options.set, m->options.clear, e) < 0)
		return -1;
	if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &all, sizeof(all)) < 0)
		return err_sys(e, errno, "set mount attributes");
	if (m->options.propagation && mount_propagate(fd, m->options.propagation, m->options.propagation_rec) < 0)
		return err_sys(e, errno, "set mount propagation");
	return m->options.bind || m->options.data.n == 0 ? 0 : reconfigure(m, fd, e);
}

/* v1 controllers that are mounted together are also found by each one's name. */
static int link_controllers(int dir, const char *name, struct err *e)
{
	char one[128];

	for (const char *p = name; strchr(name, ',') && *p; p += strcspn(p, ","), p += *p == ',') {
		snprintf(one, sizeof(one), "%.*s", (int)strcspn(p, ","), p);
		if (symlinkat(name, dir, one) < 0 && errno != EEXIST)
			return err_sys(e, errno, "link cgroup controller %s", one);
	}
	return 0;
}

static int mount_cgroup_v1(struct mount *m, struct mount_set *s, struct err *e)
{
	struct strv data = { .v = (char *[]){ (char *)"mode=755" }, .n = 1 };

	m->fd = mount_new("tmpfs", "cgroup", &data, m->options.set & ~(uint64_t)MOUNT_ATTR_RDONLY, e);
	if (m->fd < 0 || mount_attach(s->rootfs, m->fd, m->spec->destination, false, e) < 0)
		return -1;
	for (size_t i = 0; i < s->ncgroups; i++) {
		struct mount_cgroup *c = &s->cgroups[i];

		if (set_attributes(c->fd, m->options.set, m->options.clear, e) < 0 || mount_attach(m->fd, c->fd, c->name, false, e) < 0 ||
		    link_controllers(m->fd, c->name, e) < 0)
			return err_prefix(e, "cgroup %s", c->name);
	}
	return m->options.set & MOUNT_ATTR_RDONLY ? set_attributes(m->fd, MOUNT_ATTR_RDONLY, 0, e) : 0;
}

/* The container's own cgroup is what it sees as the root, in a cgroup namespace and without one. */
static int mount_cgroup(struct mount *m, struct mount_set *s, struct err *e)
{
	if (s->ncgroups == 0)
		return err_set(e, ERR_UNSUPPORTED, 0, "this host has no cgroup hierarchy to show");
	if (s->cgroups[0].name[0] != 0)
		return mount_cgroup_v1(m, s, e);
	if (set_attributes(s->cgroups[0].fd, m->options.set, m->options.clear, e) < 0)
		return -1;
	return mount_attach(s->rootfs, s->cgroups[0].fd, m->spec->destination, false, e);
}

static int mount_one(struct mount *m, struct mount_set *s, const char *label, struct err *e)
{
	switch (m->kind) {
	case MOUNT_BIND:
		return mount_attach(s->rootfs, m->fd, m->spec->destination, m->is_file, e);
	case MOUNT_FILESYSTEM:
		return mount_filesystem(m, s->rootfs, label, e);
	case MOUNT_CGROUP:
		return mount_cgroup(m, s, e);
	case MOUNT_REMOUNT:
		return remount(m, s->rootfs, e);
	}
	return 0;
}

int mount_all(struct mount_set *s, const Davit__OciSpec *spec, struct err *e)
{
	const char *label = spec->linux ? spec->linux->mount_label : NULL;

	for (size_t i = 0; i < s->n; i++)
		if (mount_one(&s->mounts[i], s, label, e) < 0)
			return err_prefix(e, "%s (%s)", s->mounts[i].field, s->mounts[i].spec->destination);
	return 0;
}

int mount_finish(struct mount_set *s, struct err *e)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->mounts[i].late_ro && set_attributes(s->mounts[i].fd, MOUNT_ATTR_RDONLY, 0, e) < 0)
			return err_prefix(e, "%s", s->mounts[i].field);
	return 0;
}
