/* Packet rules of the host: NAT of networks and published ports, through libnftables, one transaction a change. */
#pragma once
#include <stdbool.h>
#include "base/err.h"
#include "base/str.h"
#include "state.pb-c.h"

/* Masquerades what leaves `net` for elsewhere. Idempotent. */
int nft_masquerade(const Davit__CoreNetwork *net, struct err *e);
int nft_unmasquerade(const Davit__CoreNetwork *net, struct err *e);
/* Publishes the ports of an attachment (its address must be set). ERR_EXISTS: another container has the port. */
int nft_publish(const Davit__NetworkAttachment *a, struct err *e);
/* Missing ones are no error. */
int nft_unpublish(const Davit__NetworkAttachment *a, struct err *e);
/* Packets of these connections that only cross a bridge here are not tracked, for a day: "address . port . address . port" each, with commas between.
 */
int nft_moved(const char *elements, bool v6, struct err *e);

/* The whole ruleset of the caller's network namespace as a script that makes it anew; empty if there is none. ERR_UNSUPPORTED: it has parts of
 * iptables' compatibility layer that no script can tell. 0 or -1. */
int nft_save(struct buf *out, struct err *e);
/* Puts such a script in the place of all there is. ERR_INVALID: it is more than a ruleset. 0 or -1. */
int nft_load(const char *script, struct err *e);
