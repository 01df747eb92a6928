/* Bind mounts of the host into a place of our own, by descriptor. Sources: open_tree(2), move_mount(2), mount_setattr(2). */
#include "runtime/serve/binds.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/file.h"
#include "runtime/serve/policy.h"

/* Not recursive: what else is mounted below the source is not what the policy named. */
static int copy_mount(int source, const Davit__SpecMount *m, int dir, const char *name, struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (m->read_only ? MOUNT_ATTR_RDONLY : 0),
				   .propagation = MS_PRIVATE };
	auto_close int tree = open_tree(source, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return err_sys(e, errno, "copy the mount of %s", m->source);
	if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return err_sys(e, errno, "restrict the mount of %s", m->source);
	if (move_mount(tree, "", dir, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(e, errno, "mount %s", m->source);
	return 0;
}

static int make_target(int source, int dir, const char *name, struct err *e)
{
	struct stat st;
	if (fstat(source, &st) < 0)
		return err_sys(e, errno, "stat the source of a mount");
	if (S_ISDIR(st.st_mode))
		return mkdirat(dir, name, 0700) < 0 ? err_sys(e, errno, "mkdir binds/%s", name) : 0;
	auto_close int fd = openat(dir, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	return fd < 0 ? err_sys(e, errno, "make binds/%s", name) : 0;
}

int binds_mount(const struct core *c, const Davit__ContainerSpec *s, const struct place *p, struct err *e)
{
	if (binds_unmount(p, e) < 0 || file_mkdir_p(p->binds, 0700, e) < 0)
		return -1;
	auto_close int dir = file_open_dir(AT_FDCWD, p->binds, e);
	for (size_t i = 0; dir >= 0 && i < s->n_mounts; i++) {
		char name[24];
		if (!str_eq(s->mounts[i]->type, "bind"))
			continue;
		snprintf(name, sizeof(name), "%zu", i);
		auto_close int source = policy_open_bind(c, s->mounts[i], i, e);
		if (source < 0 || make_target(source, dir, name, e) < 0 || copy_mount(source, s->mounts[i], dir, name, e) < 0)
			return -1;
	}
	return dir < 0 ? -1 : 0;
}

int binds_unmount(const struct place *p, struct err *e)
{
	DIR *d = opendir(p->binds);
	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, errno, "open %s", p->binds);
	for (struct dirent *x; (x = readdir(d));) {
		auto_free char *path = x->d_name[0] == '.' ? NULL : mem_printf(e, "%s/%s", p->binds, x->d_name);
		if (!path)
			continue;
		(void)umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
		(void)unlinkat(dirfd(d), x->d_name, x->d_type == DT_DIR ? AT_REMOVEDIR : 0);
	}
	closedir(d);
	return 0;
}
