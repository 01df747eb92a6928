/* The mounts of a container, in two halves that meet in file descriptors.
 *
 * The parent, in the host's mount namespace and with the host's rights, clones what is bind mounted as detached trees (open_tree(2)) and gives them
 * their attributes, propagation and id mapping (mount_setattr(2)). So each source path is walked once, and a source needs not be reachable by the
 * container's root. Init, in the container's namespaces, makes the filesystems that belong to these (fsopen(2): proc, sysfs, tmpfs, devpts, mqueue)
 * and moves each tree to its target (move_mount(2)). Targets are walked with path_make_in() below the root's fd and used as that fd: a symbolic
 * link that someone changes meanwhile leads nowhere else (CVE-2021-30465). Sources: mount_setattr(2), move_mount(2), pivot_root(2), config.md
 * "Mounts". */
#pragma once
#include <stdbool.h>
#include "base/err.h"
#include "oci.pb-c.h"
#include "runtime/mount_options.h"
#include "runtime/namespace.h"
#include "state.pb-c.h"

enum mount_kind { MOUNT_BIND, MOUNT_FILESYSTEM, MOUNT_CGROUP, MOUNT_REMOUNT };

struct mount {
	const Davit__OciMount *spec; /* borrowed */
	char field[32];		     /* "mounts[3]" */
	enum mount_kind kind;
	struct mount_options options;
	int fd;	      /* the detached tree, or -1 until init has made it */
	bool is_file; /* the target is a file */
	bool late_ro; /* becomes read-only when all mounts and devices below it are there */
};

/* A v1 hierarchy, or the v2 one, to be shown in the container. */
struct mount_cgroup {
	int fd;		/* detached tree of the container's own cgroup */
	char name[128]; /* of the folder below /sys/fs/cgroup; "" on v2 */
};

struct mount_set {
	struct mount *mounts;
	size_t n;
	struct mount_cgroup *cgroups;
	size_t ncgroups;
	int rootfs;		   /* detached tree */
	char *rootfs_path;	   /* absolute, without symbolic links */
	uint64_t root_propagation; /* MS_… once the root is in place, or 0 */
	bool root_propagation_rec;
	bool own_dev; /* /dev is no bind mount: devices and links are made in it */
};
void mount_set_init(struct mount_set *s);
void mount_set_close(struct mount_set *s);
#define auto_mount_set __attribute__((cleanup(mount_set_close)))

/* Parent: parses all options and opens all sources. state: for its cgroups. */
int mount_set_open(const Davit__OciSpec *spec, const char *bundle, const Davit__RuntimeState *state, struct mount_set *out, struct err *e);
/* Changes a mount's propagation. 0 or -1 with errno. */
int mount_propagate(int fd, uint64_t propagation, bool recursive);

/* Init: makes all mounts of the host private here and puts the rootfs in its place. host_root: O_PATH fd of rootfs_path in this mount namespace.
 * Returns 0; s->rootfs is then the container's root. */
int mount_rootfs(const struct mount_set *s, int host_root, struct err *e);
/* Init: makes and attaches all mounts of the spec in their order. */
int mount_all(struct mount_set *s, const Davit__OciSpec *spec, struct err *e);
/* Init: what has to wait for mounts below: read-only /dev and tmpfs. */
int mount_finish(struct mount_set *s, struct err *e);
/* Init: pivot_root(2) into the rootfs, with the old root detached; then its propagation and readonly. */
int mount_pivot(const struct mount_set *s, bool readonly, struct err *e);
/* Init: hides masked paths and makes readonly ones so. Missing ones are no error. null_fd: O_PATH fd of the host's /dev/null in this mount namespace.
 */
int mount_mask_paths(const struct mount_set *s, int null_fd, const Davit__OciLinux *l, struct err *e);
/* Whether it is proc or sysfs: their files are the kernel's, and masks lie in them. */
bool mount_is_kernels(const struct mount *m);
/* Init: what lies at `from` is copied into the fresh tmpfs at `to`, which gets its owner too. */
int mount_copy_up(int from, int to, struct err *e);
/* Moves a detached tree to a target below rootfd, made if missing. */
int mount_attach(int rootfd, int tree, const char *target, bool is_file, struct err *e);
/* A new filesystem as a detached tree. data: its options. Returns an owned fd. */
int mount_new(const char *type, const char *source, const struct strv *data, uint64_t attr, struct err *e);
