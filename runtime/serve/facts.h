/* What this host is and can do (HostFacts). */
#pragma once
#include "base/err.h"
#include "runtime/serve/serve.h"

/* Finds criu and asks what it can, which takes a second where it is not known yet, and writes it to RUN/criu.pb. Callers at the same time wait for
 * the first. Owned; the criu members alone. NULL only on a failure of ours: a missing criu is criu_problem. */
Davit__HostFacts *facts_criu(const struct core *c, struct err *e);
/* The same if it is known already; NULL if not. */
/* Whether this CPU takes processes of the host whose cpuinfo (HostFacts) it is. 0; -1 ERR_INCOMPATIBLE. */
int facts_check_cpu(const struct core *c, const ProtobufCBinaryData *cpuinfo, struct err *e);
Davit__HostFacts *facts_criu_known(const struct core *c);
/* Fills what the kernel tells. */
int facts_kernel(const struct core *c, Davit__HostFacts *f, struct err *e);
/* Bytes that new programs may have without others suffering (proc_meminfo(5)); 0 if the kernel does not tell. */
uint64_t facts_memory_available(void);
