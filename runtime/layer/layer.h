/* The root filesystem of a container: a read-only image below, a writable layer above, both idmapped (overlayfs).
 *
 * On disk every file belongs to the ids the container sees (0..65535); idmapped mounts (mount_setattr(2), MOUNT_ATTR_IDMAP) shift them into
 * the container's range when the overlay is mounted. So an image serves containers of any range, and a layer moves to another
 * host, or another range, without a chown.
 *
 * A layer travels as a tar (pax): owners, modes, xattrs, ACLs, hard links, sparse files, devices, whiteouts (character device 0:0) and
 * opaque folders (trusted.overlay.opaque). A tar comes from the network: it is unpacked by a child in a jail (own mount namespace
 * whose root is the target folder, no network, only the capabilities that restoring owners and xattrs takes, seccomp), never by the core. */
#pragma once
#include <stdint.h>
#include "base/err.h"
#include "core.pb-c.h"

/* Mounts image_rootfs (read-only) under layer_dir/{upper,work} (made if missing) at target. ids NULL: no shift (host user namespace). 0 or -1. */
int layer_mount(const char *image_rootfs, const char *layer_dir, const Davit__IdRange *ids, const char *target, struct err *e);
/* Lazily unmounts; not mounted is no error. */
int layer_unmount(const char *target, struct err *e);
/* Creates layer_dir with upper/ and work/. Root folder of upper gets mode 0755 owner 0:0. */
int layer_create(const char *layer_dir, struct err *e);
int layer_remove(const char *layer_dir, struct err *e);

struct layer_limits {
	uint64_t bytes; /* of content; 0: free disk space minus 64 MiB */
	uint64_t files; /* 0: 10 million */
};

/* Adds up the content of the layer's plain files into *bytes, also what was seen before a failure: a container that runs may take files away
 * meanwhile. 0 or -1. */
int layer_bytes(const char *layer_dir, uint64_t *bytes, struct err *e);
/* Writes the layer (upper) as a tar to fd and closes nothing. *bytes: written. 0 or -1. */
int layer_export(const char *layer_dir, int fd, uint64_t *bytes, struct err *e);
/* Unpacks a tar from fd (of layer_export, or of passes.h) into the layer's upper, in a jail. It is written to disk meanwhile, but only layer_sync()
 * makes sure of it. On failure the layer is left empty. 0 or -1. */
int layer_import(const char *layer_dir, int fd, const struct layer_limits *lim, uint64_t *bytes, struct err *e);
int layer_sync(const char *layer_dir, struct err *e);
/* A flat folder of regular files (CRIU's images) as a tar, and back; entries other than plain files with a plain name are refused. `skip`:
 * NULL-terminated names left out, or NULL. */
int layer_export_flat(int dirfd, int fd, const char *const *skip, uint64_t *bytes, struct err *e);
int layer_import_flat(int dirfd, int fd, const struct layer_limits *lim, uint64_t *bytes, struct err *e);

/* Images: <images_dir>/NAME/{rootfs/,image.pb}. Import unpacks a tar (plain, gzip or zstd) in a jail next to its place, hashes it, fsyncs and
 * renames. */
int image_import(const char *images_dir, const char *name, int fd, const struct layer_limits *lim, Davit__ImageInfo **out, struct err *e);
/* Owned; NULL with ERR_NOT_FOUND. Free with davit__image_info__free_unpacked. */
Davit__ImageInfo *image_get(const char *images_dir, const char *name, struct err *e);
Davit__ImageInfoList *image_list(const char *images_dir, struct err *e);
int image_remove(const char *images_dir, const char *name, struct err *e);
/* "blake2b:…" over the tree in sorted order: path, type, mode, uid, gid, size, link target, device, xattrs, content; not times. Owned. */
char *image_digest(int rootfs_fd, uint64_t *bytes, uint64_t *files, struct err *e);
