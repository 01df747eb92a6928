/* A container's entries in the host's table of connections: which of them were translated, and how.
 *
 * They move with the container. A connection over a published port, or out over a masquerading bridge, goes on with the address that its peer knows:
 * the target translates the container's packets as the source did, and sends them itself; the peer's packets come by the source, as long as the
 * address is there, whose entry still translates them and whose bridge leads them on. If the address is taken over by the target, all of it goes
 * there. Each host then sees one direction only, so the entries are told not to look at sequence numbers. */
#pragma once
#include "base/err.h"
#include "core.pb-c.h"
#include "state.pb-c.h"

/* More are not carried: their connections break if they were translated. */
#define CONNECTIONS_MAX 1024

/* The TCP and UDP entries of this host that concern the addresses of n, into *list (*count items, owned). They are made to bear that one direction
 * goes elsewhere. 0 or -1. */
int conntrack_list(const Davit__RuntimeNetwork *n, size_t *count, Davit__Connection ***list, struct err *e);
/* Makes them here; those that are here are left. One that concerns none of the addresses of n is refused (ERR_INVALID, field connections[i]). 0 or
 * -1. */
int conntrack_add(const Davit__RuntimeNetwork *n, Davit__Connection *const *list, size_t count, struct err *e);
