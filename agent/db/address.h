/* Addresses and published ports of containers in this host's networks: chosen, kept, refused when taken.
 *
 * A container's address and MAC stay with it over moves; a host where they are taken refuses the move. A MAC is made from the IPv4 address
 * (02:da and its four bytes), so it is unique where the address is. */
#pragma once
#include "agent/db/db.h"
#include "core.pb-c.h"
#include "spec.pb-c.h"

/* An IPv4 subnet. */
struct subnet {
	uint32_t base; /* host byte order, host bits zero */
	uint8_t prefix;
};
/* Parses "10.88.0.0/16" (address part kept in *address if not NULL). 0 or -1 (ERR_INVALID, field = what). */
int subnet_parse(const char *text, struct subnet *out, uint32_t *address, const char *what, struct err *e);
bool subnet_has(const struct subnet *s, uint32_t address);

/* Fills what the request left open in spec->attachments: interface, address, gateway, MAC; checks what it gave. `id` spreads the choice over the
 * subnet. The choice is only safe within the transaction that also inserts the container. 0 or -1 (ERR_INVALID, ERR_NOT_FOUND: no such
 * network, ERR_EXISTS, ERR_RESOURCE: subnet full). */
int db_address_choose(struct db *db, Davit__CoreNetwork *const *networks, size_t n, Davit__ContainerSpec *spec, const char *id, struct err *e);
/* Whether this host has all networks of a spec that came from elsewhere, with its addresses in their subnets. 0 or -1. */
int db_address_check_networks(Davit__CoreNetwork *const *networks, size_t n, const Davit__ContainerSpec *spec, struct err *e);
/* Takes the spec's addresses and ports for the container spec->name. 0 or -1 (ERR_EXISTS). */
int db_address_claim(struct db *db, const Davit__ContainerSpec *spec, struct err *e);
int db_address_release(struct db *db, const char *container, struct err *e);
/* Takes identity out of a spec, for a clone: addresses, MACs, published ports. */
void address_forget(Davit__ContainerSpec *spec);
