/* Listening TCP sockets with connections that nobody has accepted yet, or whose handshake is not over: CRIU cannot take those along. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define BACKLOG_MAX 64 /* listening sockets that are told of */

/* Inodes of the listening sockets in the namespace netns_fd that have some; 0 stands for the socket of an unfinished handshake. Returns how many, or
 * -1. A kernel without tcp_diag tells of none. */
int backlog_find(int netns_fd, uint32_t inodes[static BACKLOG_MAX], struct err *e);

/* Looks until each of these n was seen once with nothing waiting, for at most ms milliseconds; the others are left in front. Returns how many they
 * are, or -1. One look says little: a server that accepts all the while has some waiting whenever it is looked at. */
int backlog_wait(int netns_fd, uint32_t inodes[static BACKLOG_MAX], int n, int ms, struct err *e);
