/* Id mappings of user namespaces: config-linux.md "User namespace mappings", user_namespaces(7). */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "oci.pb-c.h"

/* The host's id for one of the container, or false where nothing is mapped. */
bool idmap_to_host(Davit__OciIdMapping *const *maps, size_t n, uint32_t id, uint32_t *out);
/* Whether an id of the host is some id of the container. */
bool idmap_from_host(Davit__OciIdMapping *const *maps, size_t n, uint32_t host_id);
/* Writes uid_map and gid_map of a process that has just got a new user namespace. A caller without privilege may map only its own ids, and gives up
 * setgroups(2) for it. */
int idmap_write(pid_t pid, const Davit__OciLinux *l, struct err *e);
/* An owned fd of a user namespace with these mappings, for idmapped mounts (mount_setattr(2)). It holds no process. */
int idmap_userns(Davit__OciIdMapping *const *uids, size_t nuids, Davit__OciIdMapping *const *gids, size_t ngids, struct err *e);
