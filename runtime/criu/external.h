/* What of a container comes from outside and is not CRIU's to save: bind mounts, device and mask mounts, cgroup mounts, a joined network
 * namespace, and stdio.
 *
 * On a dump each such mount is named `mnt[WHERE]:KEY`, on a restore `mnt[KEY]:SOURCE`; KEY is the path in the spec, as runc has it, so that images
 * of the one are of use to the other. A spec's path may lead over symbolic links of the rootfs: WHERE is where the mount really is. */
#pragma once
#include <sys/types.h>
#include "base/err.h"
#include "base/str.h"
#include "criu.pb-c.h"
#include "oci.pb-c.h"

/* The name by which runc calls a joined network namespace; images keep it. */
#define EXTERNAL_NETNS "extRootNetNS"

/* Adds all of pid's external mounts and its joined network namespace to the options of a dump. */
int external_dump(const Davit__OciSpec *spec, pid_t pid, Criu__CriuOpts *opts, struct err *e);
/* The paths in the spec that name device mounts (in a user namespace) and masks. Borrowed strings. */
int external_devices(const Davit__OciSpec *spec, struct strv *out, struct err *e);
int external_masks(const Davit__OciSpec *spec, struct strv *out, struct err *e);

/* stdio of init: names (as a restore gives them back) of descriptors 0..2 into names, and those outside the mounts into the options of a dump. */
int external_stdio_dump(pid_t pid, struct strv *names, Criu__CriuOpts *opts, struct err *e);
/* IMAGES/descriptors.json: an array of three strings (runc's format). */
int external_stdio_write(int images_dirfd, const struct strv *names, struct err *e);
int external_stdio_read(int images_dirfd, struct strv *names, struct err *e);
/* inherit_fd entries for the names that need one, with the caller's fds (which must be above 2 to reach criu). */
int external_stdio_restore(const struct strv *names, const int stdio[3], Criu__CriuOpts *opts, struct err *e);
