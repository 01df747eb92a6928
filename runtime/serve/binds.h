/* Private copies of the host paths that a container may see.
 *
 * A path of the host can change between the moment it is checked and the moment it is mounted: a container that may write below it could put a
 * symlink in between. So the mount that the policy allowed is copied from the checked descriptor (open_tree(2)) to
 * STATE/containers/NAME/bundle/binds/N, which only root reaches, with the rights taken away that it must not have; config.json names that place. */
#pragma once
#include "base/err.h"
#include "runtime/serve/place.h"

/* Idempotent: what is mounted there is replaced. */
int binds_mount(const struct core *c, const Davit__ContainerSpec *s, const struct place *p, struct err *e);
/* Missing ones are no error. */
int binds_unmount(const struct place *p, struct err *e);
