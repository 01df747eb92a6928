/* Listening TCP sockets with connections that nobody has accepted yet, or whose handshake is not over: CRIU cannot take those along. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

/* Inodes of the listening sockets in the namespace netns_fd that have some, at most `max`; 0 stands for the socket of an unfinished handshake.
 * Returns how many, or -1. A kernel without tcp_diag tells of none. */
int backlog_find(int netns_fd, uint32_t *inodes, size_t max, struct err *e);
