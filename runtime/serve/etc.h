/* /etc/hostname, /etc/hosts and /etc/resolv.conf of a new container. */
#pragma once
#include "base/err.h"
#include "core.pb-c.h"

/* Written into its writable layer, through the mounted root, so that they move with it and nothing of the host is mounted for them. ids NULL: the
 * host's ids. */
int etc_write(int rootfs_fd, const Davit__ContainerSpec *s, const Davit__IdRange *ids, struct err *e);
