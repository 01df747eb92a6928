/* The container's root: put in its place, pivoted into, and the paths in it that are hidden or read-only. See mount.h. */
#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "runtime/mount.h"
#include "runtime/sys.h"

int mount_rootfs(const struct mount_set *s, int host_root, struct err *e)
{
	/* Nothing that is mounted here may show on the host. What the spec shares was cloned by the parent with its peers. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(e, errno, "make the mounts private");
	if (move_mount(s->rootfs, "", host_root, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_sys(e, errno, "mount the root filesystem at %s", s->rootfs_path);
	return 0;
}

/* With the new root as working directory, pivot_root(".", ".") stacks the old root upon it, and umount2(".") takes that away: pivot_root(2), NOTES.
 */
int mount_pivot(const struct mount_set *s, bool readonly, struct err *e)
{
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };

	if (fchdir(s->rootfs) < 0 || sys_pivot_root(".", ".") < 0)
		return err_sys(e, errno, "pivot_root into %s", s->rootfs_path);
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_sys(e, errno, "detach the old root");
	if (s->root_propagation && mount_propagate(s->rootfs, s->root_propagation, s->root_propagation_rec) < 0)
		return err_sys(e, errno, "set the propagation of the root filesystem");
	if (readonly && mount_setattr(s->rootfs, "", AT_EMPTY_PATH, &ro, sizeof(ro)) < 0)
		return err_sys(e, errno, "make the root filesystem read-only");
	return 0;
}

/* A detached copy of a mount that is attached in this namespace. */
static int clone_of(int fd, bool recursive, struct err *e)
{
	int tree = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0));

	return tree < 0 ? err_sys(e, errno, "clone a mount") : tree;
}

static int cover(int target, int tree, struct err *e)
{
	if (move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_sys(e, errno, "cover a path");
	return 0;
}

/* A folder is covered by an empty read-only tmpfs (one for all of them), anything else by the host's /dev/null. */
static int mask(int target, int null_fd, int *empty, struct err *e)
{
	struct stat st;

	if (fstat(target, &st) < 0)
		return err_sys(e, errno, "stat");
	if (S_ISDIR(st.st_mode) && *empty < 0) {
		*empty = mount_new("tmpfs", "tmpfs", NULL, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, e);
		return *empty < 0 ? -1 : cover(target, *empty, e);
	}
	auto_close int tree = clone_of(S_ISDIR(st.st_mode) ? *empty : null_fd, false, e);
	return tree < 0 ? -1 : cover(target, tree, e);
}

static int make_readonly(int target, struct err *e)
{
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
	auto_close int tree = clone_of(target, true, e);

	if (tree < 0)
		return -1;
	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &ro, sizeof(ro)) < 0)
		return err_sys(e, errno, "make it read-only");
	return cover(target, tree, e);
}

bool mount_is_kernels(const struct mount *m)
{
	return m->kind == MOUNT_FILESYSTEM && (str_eq(m->spec->type, "proc") || str_eq(m->spec->type, "sysfs"));
}

/* What of a path lies behind a mount's destination, or NULL. */
static const char *below(const char *path, const char *destination)
{
	size_t n = strlen(destination);

	while (n > 0 && destination[n - 1] == '/')
		n--;
	return strncmp(path, destination, n) == 0 && (path[n] == '/' || !path[n]) ? path + n : NULL;
}

/* Where a path is looked for: proc and sysfs in the mount itself, whatever the folder is called by now that it was mounted on. Who may rename it
 * (another container of the same root filesystem) would have us find nothing to hide (CVE-2025-31133 and its family). Others, and what is covered by
 * a later mount, from the container's root. */
static int root_of(const struct mount_set *s, const char **path)
{
	for (size_t i = s->n; i-- > 0;) {
		const struct mount *m = &s->mounts[i];
		const char *rest = m->kind == MOUNT_REMOUNT ? NULL : below(*path, m->spec->destination);

		if (!rest)
			continue;
		if (!mount_is_kernels(m))
			break;
		*path = rest + strspn(rest, "/");
		return m->fd;
	}
	return s->rootfs;
}

/* Returns an fd, or -1 with *missing where nothing is to be done. */
static int open_path(const struct mount_set *s, const char *path, bool *missing, struct err *e)
{
	struct err err = { 0 };
	int root = root_of(s, &path);
	int fd = path_open_in(root, path, O_PATH, 0, &err);

	*missing = fd < 0 && (err.sys == ENOENT || err.sys == ENOTDIR || err.code == ERR_NOT_FOUND);
	if (fd < 0 && !*missing && e)
		*e = err;
	return fd;
}

int mount_mask_paths(const struct mount_set *s, int null_fd, const Davit__OciLinux *l, struct err *e)
{
	auto_close int empty = -1;
	bool missing;

	for (size_t i = 0; i < l->n_readonly_paths; i++) {
		auto_close int fd = open_path(s, l->readonly_paths[i], &missing, e);

		if (!missing && (fd < 0 || make_readonly(fd, e) < 0))
			return err_prefix(e, "linux.readonlyPaths[%zu] (%s)", i, l->readonly_paths[i]);
	}
	for (size_t i = 0; i < l->n_masked_paths; i++) {
		auto_close int fd = open_path(s, l->masked_paths[i], &missing, e);

		if (!missing && (fd < 0 || mask(fd, null_fd, &empty, e) < 0))
			return err_prefix(e, "linux.maskedPaths[%zu] (%s)", i, l->masked_paths[i]);
	}
	return 0;
}
