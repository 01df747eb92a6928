/* Whether what CRIU restored is no more than the policy gave.
 *
 * CRIU makes what its images tell, and images come from another host: one that is an attacker's could tell of processes in the host's user namespace,
 * or with capabilities that the spec never had. The restored processes are frozen and have run nothing; the kernel is asked about each. */
#pragma once
#include <sys/types.h>
#include "base/err.h"
#include "runtime/serve/serve.h"

/* ERR_DENIED with the process and what it has too much. init: host pid. */
int restore_check(const struct core *c, const Davit__ContainerSpec *s, const Davit__IdRange *ids, pid_t init, struct err *e);
