/* Resource limits and the OOM score of a process. Sources: prlimit(2), proc(5), config.md "POSIX process". */
#pragma once
#include <sys/types.h>
#include "base/err.h"
#include "oci.pb-c.h"

/* RLIMIT_… number of a name, or -1. */
int rlimit_number(const char *name);
/* Parent: raises the hard limits of a child as far as the spec needs it, since only a privileged process of the host may. They are set exactly
 * by the child, just before exec, so that a low limit does not disturb its own work. */
int rlimit_raise(pid_t pid, const Davit__OciProcess *p, struct err *e);
/* Child: sets all limits of the spec. Async-signal-safe but for its error. */
int rlimit_set(const Davit__OciProcess *p, struct err *e);
/* Writes a score if it is not there yet: lowering it takes CAP_SYS_RESOURCE, keeping it does not. */
int rlimit_oom_score(const char *path, const char *value, struct err *e);
