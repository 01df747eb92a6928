/* Mounting a container's root filesystem. Sources: open_tree(2), mount_setattr(2), fsopen(2) and friends (kernel
 * Documentation/filesystems/mount_api.rst), Documentation/filesystems/overlayfs.rst, user_namespaces(7).
 *
 * A child with a mount namespace of its own prepares it, so that nothing of the preparation is ever seen elsewhere:
 *   1. clones of the image's and the layer's mounts get their idmap (container id 0 → ids->host_start …) and are attached somewhere, since older
 *      kernels take no detached mount as a layer (upper and work must lie on one mount: the layer's folder is cloned as a whole);
 *   2. the overlay is made of them. The kernel keeps private copies, and the mounter's credentials for its work in upper and work: these must
 *      have an id that the idmap knows, so the child's filesystem ids become those of the container's root, its capabilities staying as they are;
 *   3. the overlay, not attached anywhere yet, goes to the parent as a descriptor, which puts it at its place.
 *
 * Options: metacopy=off and redirect_dir=nofollow, so that every changed file is whole in the layer and a folder's name means what it says: the
 * layer can be read without its image and carried elsewhere. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/securebits.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/path.h"
#include "base/proc.h"
#include "runtime/layer/layer.h"

/* A process that does nothing but be in a new user namespace, while its map is written and the namespace opened. */
static pid_t hold_userns(struct err *e)
{
	int pipefd[2];
	if (fd_pipe(pipefd, e) < 0)
		return -1;
	auto_close int read_end = pipefd[0], write_end = pipefd[1];
	pid_t pid = fork();
	if (pid == 0) {
		char ok = prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && unshare(CLONE_NEWUSER) == 0;
		(void)!write(write_end, &ok, 1);
		for (;;)
			pause();
	}
	char ok = 0;
	if (pid < 0)
		return err_sys(e, errno, "fork");
	if (read(read_end, &ok, 1) != 1 || !ok) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return err_set(e, ERR_UNSUPPORTED, 0, "cannot make a user namespace: user.max_user_namespaces may be 0");
	}
	return pid;
}

static int write_maps(pid_t pid, const Davit__IdRange *ids, struct err *e)
{
	static const char *const names[] = { "uid_map", "gid_map" };
	char path[40], map[48];
	snprintf(map, sizeof(map), "0 %u %u", ids->host_start, ids->size);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, names[i]);
		if (file_write_pseudo(AT_FDCWD, path, map, e) < 0)
			return err_prefix(e, "map of ids %u..%u", ids->host_start, ids->host_start + ids->size - 1);
	}
	return 0;
}

/* A user namespace with this map. Returns an owned fd, or -1. */
static int make_userns(const Davit__IdRange *ids, struct err *e)
{
	pid_t pid = hold_userns(e);
	if (pid < 0)
		return -1;
	char path[40];
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	int fd = write_maps(pid, ids, e);
	if (fd == 0 && (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		err_sys(e, errno, "open %s", path);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return fd;
}

/* A clone of the mount at path, idmapped (userns >= 0), attached over `cover` in the caller's own mount namespace. Returns its fd, or -1. */
static int clone_tree(const char *path, int userns, uint64_t set, const char *cover, struct err *e)
{
	auto_close int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	if (fd < 0)
		return err_sys(e, errno, "clone the mount of %s", path);
	struct mount_attr attr = { .attr_set = set | (userns >= 0 ? MOUNT_ATTR_IDMAP : 0), .userns_fd = userns >= 0 ? (uint64_t)userns : 0 };
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0) {
		err_sys(e, errno, "shift the ids of %s", path);
		return err_remedy(e, "its filesystem must support idmapped mounts (ext4, xfs, btrfs, tmpfs since Linux 6.3)");
	}
	if (syscall(SYS_move_mount, fd, "", AT_FDCWD, cover, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(e, errno, "attach a clone of %s", path);
	return steal_fd(&fd);
}

static int set_option(int fs, const char *key, const char *value, struct err *e)
{
	if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0) < 0)
		return err_sys(e, errno, "overlay option %s=%s", key, value);
	return 0;
}

/* The kernel's own words about the last failure, or nothing. */
static void add_kernel_message(int fs, struct err *e)
{
	char text[256];
	ssize_t n = read(fs, text, sizeof(text) - 1);
	if (n > 2)
		err_prefix(e, "%.*s", (int)strcspn((text[n] = '\0', text + 2), "\n"), text + 2);
}

static int make_overlay(int lower, int layer, struct err *e)
{
	auto_close int fs = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
	if (fs < 0)
		return err_sys(e, errno, "overlay filesystem");
	char upper[64], work[64];
	snprintf(upper, sizeof(upper), "%s/upper", path_of_fd(layer).s);
	snprintf(work, sizeof(work), "%s/work", path_of_fd(layer).s);
	if (set_option(fs, "lowerdir", path_of_fd(lower).s, e) < 0 || set_option(fs, "upperdir", upper, e) < 0 ||
	    set_option(fs, "workdir", work, e) < 0 || set_option(fs, "metacopy", "off", e) < 0 || set_option(fs, "redirect_dir", "nofollow", e) < 0)
		return -1;
	if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
		err_sys(e, errno, "make the overlay");
		add_kernel_message(fs, e);
		return -1;
	}
	/* nodev: a container's devices are those of its /dev, whatever its image or its layer holds. */
	int mnt = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV);
	return mnt < 0 ? err_sys(e, errno, "mount the overlay") : mnt;
}

struct job {
	const char *image, *layer, *target;
	const Davit__IdRange *ids;
	int userns; /* or -1 */
};

/* The child's work. Returns the overlay's mount, or -1. */
static int prepare(const struct job *j, struct err *e)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(e, errno, "own mount namespace");
	/* The second covers the first; their descriptors still lead to both. */
	auto_close int lower = clone_tree(j->image, j->userns, MOUNT_ATTR_RDONLY, j->target, e);
	auto_close int layer = lower < 0 ? -1 : clone_tree(j->layer, j->userns, 0, j->target, e);
	if (layer < 0)
		return -1;
	if (j->ids) {
		if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) < 0)
			return err_sys(e, errno, "keep capabilities with other filesystem ids");
		setfsgid(j->ids->host_start);
		setfsuid(j->ids->host_start);
	}
	return make_overlay(lower, layer, e);
}

/* The overlay's mount from a child that does prepare(). The child answers with its error and, if there is none, the descriptor. */
static int prepare_in_child(const struct job *j, struct err *e)
{
	int sv[2];
	struct err result;
	size_t nfds = 1;
	int fd = -1;
	err_clear(&result);
	if (fd_socketpair(SOCK_SEQPACKET, sv, e) < 0)
		return -1;
	auto_close int ours = sv[0], theirs = sv[1];
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(e, errno, "fork");
	if (pid == 0) {
		fd = prepare(j, &result);
		_exit(fd_send_msg(theirs, &result, sizeof(result), &fd, fd >= 0, NULL) < 0);
	}
	close(steal_fd(&theirs));
	ssize_t n = fd_recv_msg(ours, &result, sizeof(result), &fd, &nfds, e);
	waitpid(pid, NULL, 0);
	if (n == (ssize_t)sizeof(result) && nfds == 1)
		return fd;
	if (n == (ssize_t)sizeof(result) && e)
		*e = result;
	else if (n == 0)
		err_set(e, ERR_INTERNAL, 0, "the process that mounts overlays ended");
	return -1;
}

int layer_mount(const char *image_rootfs, const char *layer_dir, const Davit__IdRange *ids, const char *target, struct err *e)
{
	if (layer_create(layer_dir, e) < 0)
		return -1;
	auto_close int userns = ids ? make_userns(ids, e) : -1;
	if (ids && userns < 0)
		return -1;
	const struct job j = { .image = image_rootfs, .layer = layer_dir, .target = target, .ids = ids, .userns = userns };
	auto_close int overlay = prepare_in_child(&j, e);
	if (overlay < 0)
		return err_prefix(e, "root filesystem %s", target);
	if (syscall(SYS_move_mount, overlay, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(e, errno, "attach the root filesystem at %s", target);
	return 0;
}

int layer_unmount(const char *target, struct err *e)
{
	if (umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL || errno == ENOENT)
		return 0;
	return err_sys(e, errno, "unmount %s", target);
}

int layer_create(const char *layer_dir, struct err *e)
{
	if (file_mkdir_p(layer_dir, 0700, e) < 0)
		return -1;
	auto_close int dir = file_open_dir(AT_FDCWD, layer_dir, e);
	if (dir < 0)
		return -1;
	/* Explicit, since the umask and a set-group-id parent would have their say. */
	if ((mkdirat(dir, "upper", 0755) < 0 && errno != EEXIST) || (mkdirat(dir, "work", 0700) < 0 && errno != EEXIST))
		return err_sys(e, errno, "make the layer %s", layer_dir);
	return 0;
}

int layer_remove(const char *layer_dir, struct err *e)
{
	return file_remove_tree(AT_FDCWD, layer_dir, e);
}
