/* Parts of inside.c. All work on the caller's network namespace. */
#pragma once
#include "runtime/net/inside.h"
#include "runtime/net/nl.h"
#include "base/str.h"

/* Sysctls of the network: in->sysctls gets those that differ from those of a fresh namespace. Leaves the caller in that one. 0 or -1. */
int inside_sysctl_read(Davit__NetworkInside *in, struct err *e);
int inside_sysctl_write(const Davit__NetworkInside *in, struct err *e);
/* Links, addresses, routes and rules of routing. in->attachments is there already. What cannot be told is added to in->problems. 0 or -1. */
int inside_link_read(Davit__NetworkInside *in, struct err *e);
int inside_link_write(const Davit__NetworkInside *in, const Davit__RuntimeNetwork *n, struct err *e);
int inside_problem(Davit__NetworkInside *in, const char *kind, const char *detail, struct err *e);

/* A kind of object. Attributes by their number: those that are kept, and those that tell a state and are left out. */
struct inside_object {
	const char *what, *kind; /* kind of obstacle, if one cannot be told */
	int get, new;		 /* message types; that which deletes is new + 1 */
	size_t head;		 /* bytes of the fixed part */
	uint64_t kept, state;
};
extern const struct inside_object inside_addresses, inside_routes, inside_rules;
/* in->addresses, routes, rules; in->links is there already. 0 or -1. */
int inside_objects_read(struct nl_sock *sk, Davit__NetworkInside *in, struct err *e);
/* Copies a message's fixed part and the attributes that are kept. 1, 0: one is neither kept nor a state, -1. */
int inside_copy_kept(const struct inside_object *o, const uint8_t *p, size_t n, struct buf *out, struct err *e);
