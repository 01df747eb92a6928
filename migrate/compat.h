/* Whether this host can take a container, found out before the container is touched.
 *
 * Each check is one function in a table; all run, and the refusal carries the whole list of reasons, each with its remedy. CRIU's own test of
 * the CPU (`cpuinfo check`, by CPUID) needs the runtime core, which does it last; here, between hosts of the same kernel, the CPU's flags are
 * compared by their names, which say more to a reader. */
#pragma once
#include "base/err.h"
#include "core.pb-c.h"
#include "stream.pb-c.h"

/* offer: what the source asks; here: this host's facts, fresh; containers: the names that are taken (may be NULL). Owned Error (code "incompatible",
 * with reasons), or NULL: it can. *e is set (and NULL returned) only without memory. */
Davit__Error *compat_check(const Davit__StreamOffer *offer, const Davit__HostFacts *here, const Davit__ContainerStatusList *containers,
			   struct err *e);
/* Adds what the host's policy has against the container's spec. *refusal as above, made if it is NULL. 0 or -1. */
int compat_add_policy(const Davit__StreamOffer *offer, const Davit__HostFacts *here, const Davit__CoreVetted *vetted, Davit__Error **refusal,
		      struct err *e);
