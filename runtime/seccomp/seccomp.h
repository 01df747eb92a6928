/* System call filters: from an OCI linux.seccomp object through libseccomp to BPF, and our default profile.
 *
 * A filter sees the registers of a call and nothing that they point to: a path or a struct cannot be judged (seccomp(2)). Compiled by the parent, so
 * that the container's first process only loads bytes. Sources: seccomp(2), seccomp_unotify(2), OCI config-linux.md "Seccomp". */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"
#include "oci.pb-c.h"

struct seccomp_filter {
	struct buf bpf; /* struct sock_filter[] */
	unsigned flags; /* SECCOMP_FILTER_FLAG_* */
	bool notifies;	/* has SCMP_ACT_NOTIFY or is supervised: loading gives a listener fd */
};
/* Calls that go to our supervisor (runtime/supervise/), whatever the profile says of them. */
enum { SECCOMP_SUPERVISE_MKNOD = 1, SECCOMP_SUPERVISE_MOUNT = 2, SECCOMP_SUPERVISE_SYSCTL = 4 };
void seccomp_filter_free(struct seccomp_filter *f);

/* supervised: SECCOMP_SUPERVISE_*, 0: none. s may be NULL then: all else is allowed.
 * Every wrong action, name of an architecture, operator, flag or errno is ERR_INVALID with its field; unknown system calls are skipped, as the spec
 * demands. */
int seccomp_compile(const Davit__OciSeccomp *s, unsigned supervised, struct seccomp_filter *out, struct err *e);
/* The same, kept below `root` (the runtime's state folder; NULL: not kept), since compiling takes longer than starting a container. */
int seccomp_compile_cached(const char *root, const Davit__OciSeccomp *s, unsigned supervised, struct seccomp_filter *out, struct err *e);
/* Loads into the calling thread; needs no_new_privs or CAP_SYS_ADMIN. Async-signal-safe. Returns 0, or a listener fd if it notifies, or -1 with
 * errno. */
int seccomp_filter_load(const struct seccomp_filter *f);
/* The default profile for a container that holds these capabilities (names; calls that a capability is for are allowed with it).
 * Unknown new calls: ENOSYS; known denied ones: EPERM. Owned. */
Davit__OciSeccomp *seccomp_default(char *const *caps, size_t ncaps, struct err *e);
/* What libseccomp and this kernel can do, into `features`. */
int seccomp_features(Davit__OciFeaturesSeccomp *out, struct err *e);
