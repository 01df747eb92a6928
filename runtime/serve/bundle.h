/* From a ContainerSpec to an OCI bundle.
 *
 * Safe by default: what a spec does not mention gets the closed variant (own namespaces, default capabilities and filter, no_new_privs, masked
 * paths). The spec passed policy_check() before. */
#pragma once
#include <stdbool.h>
#include "base/err.h"
#include "base/str.h"
#include "oci.pb-c.h"
#include "runtime/serve/place.h"
#include "runtime/serve/serve.h"

/* The whole config.json. rootfs_fd: the container's root, for /etc/passwd. Owned. */
Davit__OciSpec *bundle_spec(const struct core *c, const Davit__ContainerSpec *s, const Davit__IdRange *ids, const struct place *p, int rootfs_fd,
			    struct err *e);
/* A process of the container: user, environment, capabilities, labels. Owned. */
Davit__OciProcess *bundle_process(const Davit__ContainerSpec *s, const Davit__ProcessSpec *p, int rootfs_fd, struct err *e);
/* The capabilities of the container's processes: the default set, with cap_add, without cap_drop. */
int bundle_caps(const Davit__ContainerSpec *s, struct strv *out, struct err *e);
/* Its limits, into an empty message. */
int bundle_resources(const Davit__ContainerSpec *s, Davit__OciResources *r, struct err *e);
/* Its system call filter, owned; NULL: unconfined. */
int bundle_seccomp(const Davit__ContainerSpec *s, Davit__OciSeccomp **out, struct err *e);
/* Writes config.json into the bundle, whole; start makes it anew, so it need not be durable. */
int bundle_write(const struct place *p, const Davit__OciSpec *spec, struct err *e);

/* The user "uid[:gid]" or "name[:group]", by the container's own /etc/passwd and /etc/group; what they do not hold must be a number. home (owned, may
 * be NULL) is "/" if unknown. additional: groups that list the user. */
struct user {
	uint32_t uid, gid;
	char *home;
	uint32_t *gids;
	size_t n_gids;
};
int user_resolve(int rootfs_fd, const char *text, struct user *out, struct err *e);
void user_free(struct user *u);
