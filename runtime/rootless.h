/* davit-runtime for who is not root of the host.
 *
 * An ordinary user has no right to mount, so before anything is made davit-runtime itself enters the user namespace that the spec asks for, and a
 * mount namespace that belongs to it; from then on it is root there, and the rest of a creation goes as for root. A helper that stays outside maps
 * the ids: by newuidmap(1) and newgidmap(1), which know /etc/subuid and /etc/subgid, or by itself where the caller's own id is the only one.
 *
 * What stays root's: cgroups that nobody delegated (limits are refused by name, a container without any runs in the caller's own cgroup), devices
 * beyond the host's that the user may open, idmapped mounts, and CRIU. Sources: user_namespaces(7), newuidmap(1), subuid(5). */
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "oci.pb-c.h"

/* Whether the caller is no root of the host: an ordinary user, or root of a user namespace. */
bool rootless_is(void);
/* Of an ordinary user, makes the caller root of the spec's new user namespace; of others it does nothing. The caller has a single thread. */
int rootless_enter(const Davit__OciSpec *spec, struct err *e);
/* Whether rootless_enter() has done so: the spec's user namespace is the caller's own now. */
bool rootless_has_entered(void);
/* Who called, whatever namespace this is now. */
uid_t rootless_caller(void);
/* ERR_DENIED with a remedy for what takes root of the host. */
int rootless_refuse(const char *what, struct err *e);
