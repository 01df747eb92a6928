/* The network of a container: bridges of the host, veth pairs, addresses inside, published ports.
 *
 * Everything is done by netlink (rtnetlink(7), libnl) and libnftables; no program is run. An attachment is a veth pair: the host's end is
 * a port of the network's bridge, the other end lies in the container's network namespace under the name, MAC and addresses of the
 * attachment. The host's end is named after the container ("dv" + 10 hex digits of a hash of id and index), so that a later
 * process finds it without a record.
 *
 * Holding: between a freeze and its thaw no packet may reach the container's sockets, or CRIU would dump sockets that change
 * (a frozen task's kernel still acknowledges data). net_hold() takes the host's end out of the bridge and puts a keeper in its place, which keeps
 * what comes meanwhile (runtime/net/hold.h); net_release() gives that to the container and puts the host's end back. A frozen container's network is
 * held on the source before the dump and on the target until resume; on the target the keeper also announces the addresses, so that the switches lead
 * packets there before the container runs. */
#pragma once
#include <stdint.h>
#include "base/err.h"
#include "state.pb-c.h"

/* Makes the bridge with its address, NAT rules and uplink, or leaves it if it is right already. Idempotent. 0 or -1. */
int net_bridge_ensure(const Davit__CoreNetwork *net, struct err *e);
/* Removes the bridge (its uplink is let go) and its rules. A missing bridge is no error; ERR_STATE while containers are attached. */
int net_bridge_remove(const Davit__CoreNetwork *net, struct err *e);

/* Brings up lo and all attachments in the network namespace netns_fd, with their published ports; n->held: held, as after net_hold(). What was made
 * is removed again on failure. ERR_NOT_FOUND: a network that n->networks does not hold. ERR_EXISTS: a port is another container's. 0 or -1. */
int net_attach_all(const Davit__RuntimeNetwork *n, const char *id, int netns_fd, struct err *e);
/* Removes the host's ends and the published ports. Missing ones are no error. */
int net_detach_all(const Davit__RuntimeNetwork *n, const char *id, struct err *e);
/* Keeps packets for a container that is not here yet, and announces its addresses as here: to be called on the target of a move as soon as the source
 * stands still. net_attach_all() with n->held goes on with it, net_detach_all() ends it. Where packets cannot be kept it does nothing. 0 or -1. */
int net_catch(const Davit__RuntimeNetwork *n, const char *id, struct err *e);
/* No packet passes in or out from the return of net_hold() until net_release(). Both idempotent. */
int net_hold(const Davit__RuntimeNetwork *n, const char *id, struct err *e);
int net_release(const Davit__RuntimeNetwork *n, const char *id, struct err *e);
/* Sends gratuitous ARP and unsolicited neighbour advertisements from inside the container's namespace, so that switches and peers learn
 * where the addresses are now (RFC 5227 section 3, RFC 4861 section 7.2.6). 0 or -1. */
int net_announce(const Davit__RuntimeNetwork *n, int netns_fd, struct err *e);
/* Brings up lo alone: for a container without a network. */
int net_loopback_up(int netns_fd, struct err *e);
/* Sums of bytes as the container sees them: rx = what it received. */
int net_stats(const Davit__RuntimeNetwork *n, const char *id, uint64_t *rx, uint64_t *tx, struct err *e);
/* Name of the host's end of attachment `index`. out has 16 bytes (IFNAMSIZ). */
void net_host_end(const char *id, unsigned index, char out[16]);
/* Reads and parses a RuntimeNetwork file. Owned message (free with davit__runtime_network__free_unpacked), or NULL. */
Davit__RuntimeNetwork *net_load(const char *path, struct err *e);
