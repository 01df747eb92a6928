/* A container's neighbour table: which MAC its peers have.
 *
 * It moves with the container. Sockets that leave CRIU's repair mode send at once, while the container's port is not in the bridge yet; without
 * an entry that asks by ARP into the void, and the kernel asks again only after a second, for which every peer waits. An entry comes
 * as stale: it is used at once, and checked. One that was set by hand stays so. */
#pragma once
#include "core.pb-c.h"
#include "runtime/net/nl.h"

/* More are not carried: what is not known is asked for. */
#define NEIGHBOURS_MAX 256

/* Known peers in the namespace netns_fd, IPv4 and IPv6, into *list (*n items, owned). 0 or -1. */
int net_neighbours(int netns_fd, size_t *n, Davit__Neighbour ***list, struct err *e);
/* Adds those of one interface, by a socket in its namespace. Malformed ones are refused (ERR_INVALID, field neighbours[i]). 0 or -1. */
int neighbours_add(struct nl_sock *ns, const char *interface, int ifindex, Davit__Neighbour *const *list, size_t n, struct err *e);
