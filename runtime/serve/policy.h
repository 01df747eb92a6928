/* What a container may be on this host.
 *
 * Two questions, both asked by the core of every spec that comes from the agent, whoever the agent belongs to by now: is it well formed
 * (spec_check.c), and does the host's policy.json allow it (policy.c, policy_network.c). The defaults need no policy: own namespaces, the default
 * capabilities and filter, no host path, no device. A refusal is ERR_DENIED with the field of the spec, and the member of policy.json that would
 * allow it as its remedy. */
#pragma once
#include "base/err.h"
#include "runtime/serve/serve.h"

#define IDS_RANGE 65536

/* Everything that can be said from the spec, the policy and the configuration alone. 0 or -1. */
int policy_check(const struct core *c, const Davit__ContainerSpec *s, const Davit__IdRange *ids, struct err *e);
/* All that the policy has against a spec, each kind of thing once; networks are left out. 0, or -1 without memory. */
int policy_vet(const struct core *c, const Davit__ContainerSpec *s, Davit__CoreVetted *out, struct err *e);
/* The same for a process of exec: its form. */
int policy_check_process(const Davit__ProcessSpec *p, const char *field, struct err *e);
/* Against the other containers of the host: their number, ids, addresses. Call with the lock ".create" held. */
int policy_check_others(const struct core *c, const Davit__ContainerSpec *s, const Davit__IdRange *ids, struct err *e);
/* A network must be one of the configuration's, to the last member. */
int policy_check_network(const struct core *c, const Davit__CoreNetwork *n, struct err *e);
const Davit__CoreNetwork *policy_network(const struct core *c, const char *name, struct err *e);

/* Opens the source of bind mount `index` below the prefix that allows it, without leaving it over symlinks or "..". Returns an owned O_PATH fd, or -1
 * (ERR_DENIED). What is opened is what must be mounted: a second walk could find something else. */
int policy_open_bind(const struct core *c, const Davit__SpecMount *m, size_t index, struct err *e);

/* The parts, in the order in which policy_check asks them. */
int spec_check(const Davit__ContainerSpec *s, struct err *e);
int policy_check_networks(const struct core *c, const Davit__ContainerSpec *s, struct err *e);

/* ERR_DENIED at `field`, with the member of policy.json that would allow it. Returns -1. */
int policy_deny(struct err *e, const char *field, const char *member, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* "field[index].rest" for an error's field. */
struct policy_field {
	char s[ERR_FIELD_MAX];
};
struct policy_field policy_field_at(const char *list, size_t index, const char *member);
/* "SIGTERM", "TERM" or "15" to its number, or -1. */
int policy_signal(const char *name, const char *field, struct err *e);
