/* Ends a container's TCP connections so that its peers know. */
#pragma once
#include "base/err.h"

/* Closes every connection in the network namespace: each peer gets a reset at once, instead of silence from an address that is no more. The
 * namespace's packets must be able to leave. ERR_UNSUPPORTED: this kernel cannot (CONFIG_INET_DIAG_DESTROY). 0 or -1. */
int net_reset_connections(int netns_fd, struct err *e);
