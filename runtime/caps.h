/* Capability sets. Sources: capabilities(7), user_namespaces(7), OCI config.md "process.capabilities". */
#pragma once
#include <stdint.h>
#include "base/err.h"
#include "oci.pb-c.h"

struct caps {
	uint64_t bounding, effective, inheritable, permitted, ambient;
};

/* Names to sets. A name unknown to us or to this kernel is left out, as the spec demands. What is ambient but not both inheritable and permitted is
 * dropped. ERR_INVALID: effective not in permitted. c NULL: all sets empty. */
int caps_parse(const Davit__OciCapabilities *c, struct caps *out, struct err *e);
/* Warns of the names that caps_parse() leaves out. */
void caps_warn(const Davit__OciCapabilities *c);
/* "CAP_NET_ADMIN" to its number, or -1. */
int caps_number(const char *name);
const char *caps_name(int number); /* NULL beyond the last */
int caps_last(void);		   /* of the running kernel */
/* The default of containers that the agent makes: smaller than docker's 14; docs/SECURITY.md says which and why. NULL-terminated. */
extern const char *const caps_default[];

/* Steps of the container's first process; async-signal-safe; 0 or -1 with errno. Bounding is cut while CAP_SETPCAP is still held, before
 * the change of ids; the others are set after it (PR_SET_KEEPCAPS kept them). */
int caps_drop_bounding(const struct caps *c);
int caps_apply(const struct caps *c);
