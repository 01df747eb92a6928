/* What a restore mounts, gathered as detached mounts in one folder that criu sees as STAGE_PATH: the rootfs, the images, the sources of all
 * external mounts, the cgroup.
 *
 * Sources are opened by the same code as on create (runtime/mount.h), so id mappings, propagation and checks are the same. The folder is a
 * tmpfs that exists in criu's mount namespace alone, which the container's root may walk wherever bundle and state are. */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "runtime/create.h"
#include "runtime/criu/criu.h"

#define STAGE_PATH "/tmp"

struct stage {
	struct criu_tree *trees; /* owned descriptors */
	size_t n, cap;
	unsigned sources;
};
void stage_free(struct stage *s);
#define auto_stage __attribute__((cleanup(stage_free)))

/* Adds a detached mount (taken over) as STAGE_PATH/name, whose parent folder exists. */
int stage_add(struct stage *s, int tree, const char *name, bool is_file, struct err *e);
/* Fills the stage with rootfs and external mounts, and names them in the options. */
int stage_mounts(const struct create *c, struct stage *s, Criu__CriuOpts *opts, struct err *e);
/* The container's root filesystem in it, borrowed. -1: there is none yet. */
int stage_root(const struct stage *s);
/* The images, with the files of over_dirfd in place of theirs; a character device 0:0 there hides a file. */
int stage_images(int images_dirfd, int over_dirfd, struct stage *s, Criu__CriuOpts *opts, struct err *e);
/* The container's cgroup, so that CRIU makes the cgroup namespace in it. Its image, changed to name only this one, is written to over_dirfd. */
int stage_cgroup(const struct create *c, int images_dirfd, int over_dirfd, struct stage *s, Criu__CriuOpts *opts, struct err *e);
