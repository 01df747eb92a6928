/* See device.h. Privileges: CAP_MKNOD on the host, or in a user namespace CAP_SYS_ADMIN over the mount namespace. */
#include "runtime/device.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "runtime/mount.h"

struct device {
	const char *path;
	mode_t mode; /* type and permissions */
	dev_t dev;
	uid_t uid;
	gid_t gid;
};

static const struct {
	const char *path;
	unsigned major, minor;
} defaults[] = {
	{ "/dev/null", 1, 3 }, { "/dev/zero", 1, 5 }, { "/dev/full", 1, 7 }, { "/dev/random", 1, 8 }, { "/dev/urandom", 1, 9 }, { "/dev/tty", 5, 0 },
};

static const struct {
	const char *name, *to;
} links[] = {
	{ "fd", "/proc/self/fd" },	 { "stdin", "/proc/self/fd/0" }, { "stdout", "/proc/self/fd/1" },
	{ "stderr", "/proc/self/fd/2" }, { "ptmx", "pts/ptmx" },
};

static bool is_device(const struct stat *st, const struct device *d)
{
	return (st->st_mode & S_IFMT) == (d->mode & S_IFMT) && (S_ISFIFO(d->mode) || st->st_rdev == d->dev);
}

int device_open_null(struct err *e)
{
	const struct device null = { .mode = S_IFCHR, .dev = makedev(1, 3) };
	struct stat st;
	auto_close int fd = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, errno, "open /dev/null");
	if (!is_device(&st, &null))
		return err_set(e, ERR_UNSUPPORTED, 0, "the host's /dev/null is not the null device");
	return steal_fd(&fd);
}

static int bind_device(int rootfd, const struct device *d, struct err *e)
{
	struct stat st;
	auto_close int tree = open_tree(AT_FDCWD, d->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);

	if (tree < 0 || fstat(tree, &st) < 0)
		return err_sys(e, errno, "bind mount the host's device");
	if (is_device(&st, d))
		return mount_attach(rootfd, tree, d->path, true, e);
	err_set(e, ERR_INVALID, 0, "the host's %s is another device", d->path);
	return err_remedy(e, "in a user namespace a device is a bind mount of the host's: use its path, type, major and minor");
}

/* The folder of a path, made below rootfd; *name gets the last component. */
static int open_parent(int rootfd, const char *path, const char **name, struct err *e)
{
	auto_free char *folder = mem_strdup(path, e);
	char *slash = folder ? strrchr(folder, '/') : NULL;

	if (!slash)
		return folder ? err_set(e, ERR_INVALID, 0, "device path %s is not absolute", path) : -1;
	*slash = 0;
	*name = path + (slash - folder) + 1;
	return path_make_in(rootfd, *folder ? folder : "/", false, e);
}

static int make_node(int rootfd, const struct device *d, struct err *e)
{
	const char *name = NULL;
	struct stat st;
	auto_close int dir = open_parent(rootfd, d->path, &name, e);

	if (dir < 0)
		return -1;
	if (mknodat(dir, name, d->mode, d->dev) < 0) {
		if (errno != EEXIST || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return err_sys(e, errno, "make the device node");
		if (is_device(&st, d))
			return 0;
		return err_set(e, ERR_EXISTS, 0, "the root filesystem has something else at %s", d->path);
	}
	auto_close int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	/* Who else may write in the folder may have put a link to another file there. */
	if (fd >= 0 && (fstat(fd, &st) < 0 || !is_device(&st, d)))
		return err_set(e, ERR_STATE, 0, "somebody replaced the device node %s", d->path);
	if (fd < 0 || fchownat(fd, "", d->uid, d->gid, AT_EMPTY_PATH) < 0 || chmod(path_of_fd(fd).s, d->mode & 07777) < 0)
		return err_sys(e, errno, "set the owner and mode of the device node");
	return 0;
}

static int make_one(int rootfd, const struct device *d, bool bind, struct err *e)
{
	if (bind && !S_ISFIFO(d->mode))
		return bind_device(rootfd, d, e);
	return make_node(rootfd, d, e);
}

static struct device of_spec(const Davit__OciDevice *s)
{
	mode_t type = *s->type == 'b' ? S_IFBLK : *s->type == 'p' ? S_IFIFO : S_IFCHR;

	return (struct device){
		.path = s->path,
		.mode = type | ((s->has_file_mode ? s->file_mode : 0666) & 07777),
		.dev = makedev((unsigned)s->major, (unsigned)s->minor),
		.uid = s->uid,
		.gid = s->gid,
	};
}

/* /dev/ptmx of an image is no link into the container's own devpts, so it is replaced; other names of an image stay. */
static int make_links(int rootfd, struct err *e)
{
	auto_close int dev = path_make_in(rootfd, "/dev", false, e);

	if (dev < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		if (strcmp(links[i].name, "ptmx") == 0)
			unlinkat(dev, "ptmx", 0);
		if (symlinkat(links[i].to, dev, links[i].name) < 0 && errno != EEXIST)
			return err_sys(e, errno, "link /dev/%s", links[i].name);
	}
	return 0;
}

static bool in_spec(const Davit__OciLinux *l, const char *path)
{
	for (size_t i = 0; i < l->n_devices; i++)
		if (str_eq(l->devices[i]->path, path))
			return true;
	return false;
}

int device_make_all(int rootfd, const Davit__OciLinux *l, bool bind, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
		struct device d = { .path = defaults[i].path, .mode = S_IFCHR | 0666, .dev = makedev(defaults[i].major, defaults[i].minor) };

		if (!in_spec(l, d.path) && make_one(rootfd, &d, bind, e) < 0)
			return err_prefix(e, "%s", d.path);
	}
	for (size_t i = 0; i < l->n_devices; i++) {
		struct device d = of_spec(l->devices[i]);

		if (make_one(rootfd, &d, bind, e) < 0)
			return err_prefix(e, "linux.devices[%zu] (%s)", i, d.path);
	}
	return make_links(rootfd, e);
}
