/* What an offered container has of its source's host becomes this host's: gateways, and, where its addresses cannot be here, addresses.
 *
 * A gateway that is the source's own bridge is replaced by this host's bridge of the same network, so that the container's way out does not lead
 * through a host that it has left; one that somebody chose otherwise (a router on the common link) stays.
 *
 * Addresses move with the container as long as this host's network has their subnet. Else, and only if the caller agreed
 * (StreamOffer.allow_tcp_reset), the container gets new ones here and its TCP connections are closed. */
#pragma once
#include <stdbool.h>
#include "base/err.h"
#include "stream.pb-c.h"

/* Whether the address of "a/n" is in the subnet "s/m". Malformed ones are in none. */
bool adapt_in_subnet(const char *address, const char *subnet);
/* Whether both addresses of an attachment can be in a network as they are. */
bool adapt_fits(const Davit__NetworkAttachment *a, const Davit__CoreNetwork *net);
/* Changes the offer's spec. Addresses that are to be chosen anew are taken out of it, and then *resets is set. 0 or -1. */
int adapt_offer(Davit__StreamOffer *offer, const Davit__HostFacts *here, bool *resets, struct err *e);
