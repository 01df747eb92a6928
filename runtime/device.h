/* Device nodes and links in the container's /dev. Sources: config-linux.md "Devices" and "Default Devices", mknod(2). */
#pragma once
#include <stdbool.h>
#include "base/err.h"
#include "oci.pb-c.h"

/* Makes the default devices, those of the spec and the links (fd, stdin, stdout, stderr, ptmx) below rootfd. bind: in a user namespace, where
 * mknod(2) is not allowed; then each device is a bind mount of the host's of the same path, which must be the same device. Called before the root is
 * pivoted. */
int device_make_all(int rootfd, const Davit__OciLinux *l, bool bind, struct err *e);
/* An O_PATH fd of the host's /dev/null in the caller's mount namespace, checked to be it. */
int device_open_null(struct err *e);
