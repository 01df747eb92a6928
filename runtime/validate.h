/* The whole of a spec is checked before anything is made. All problems are found, not only the first: the error's field is the first one's, its
 * message lists them all. Sources: OCI config.md and config-linux.md 1.2, runc's and crun's checks. */
#pragma once
#include "base/err.h"
#include "oci.pb-c.h"

/* bundle_fd: the folder that relative paths start from. ERR_INVALID. */
int validate_spec(const Davit__OciSpec *s, int bundle_fd, struct err *e);
/* A process alone, for exec. */
int validate_process(const Davit__OciProcess *p, struct err *e);
/* Whether a sysctl (or what names of several begin with) belongs to a namespace of the container's own. */
int validate_sysctl(const Davit__OciSpec *s, const char *name, struct err *e);

/* Between validate*.c: a list of problems that grows. */
struct problems {
	struct err *e;
	unsigned n;
	char text[ERR_MSG_MAX];
};
struct field {
	char s[160];
};
struct field field_of(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* remedy: what to write instead. */
void problem(struct problems *p, const char *field, const char *remedy, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void validate_process_into(const Davit__OciProcess *s, struct problems *p);
void validate_linux_into(const Davit__OciSpec *s, struct problems *p);
void validate_mounts_into(const Davit__OciSpec *s, struct problems *p);
