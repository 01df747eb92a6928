/* Who is asking, and what they may.
 *
 * Over the unix socket: root and members of the configured group are operators (SO_PEERCRED, SO_PEERGROUPS, unix(7)). Over TCP: the client
 * certificate's subject; each OU "reader", "operator" or "peer" gives that role, the CN is the name. The certificate was demanded and checked in the
 * TLS handshake. */
#pragma once
#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <sys/types.h>
#include "agent/http/route.h"

#define CALLER_NAME_MAX 64

struct caller {
	unsigned roles;
	char name[CALLER_NAME_MAX + 1]; /* CN, or "uid N" */
};

/* group: gid of socketGroup, or (gid_t)-1. 0 or -1 (ERR_DENIED). */
int auth_unix(int fd, gid_t group, struct caller *out, struct err *e);
int auth_tls(gnutls_session_t session, struct caller *out, struct err *e);
/* Demands a client certificate that our CA signed, before anything is answered. For a session whose handshake has not begun. */
void auth_demand_certificate(gnutls_session_t session);
/* The roles that an organisational unit gives; 0 for any other. */
unsigned auth_role_of(const char *unit);
