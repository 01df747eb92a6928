/* Keeps the packets for a container that stands still, and gives them to it when it goes on.
 *
 * Dropped, they would cost each peer its retransmission timer (200 ms at least, however short the stop). So a tap device takes the place of the
 * container's port in the bridge: what is sent to the container gathers in the tap's queue. A small process, the keeper, has the tap open; told
 * to, it sends what gathered through the host's end to the container. It answers on an abstract unix socket of the network namespace, named after the
 * host's end, so that whoever holds and whoever releases need not be one process. If it is lost, so are the packets, and nothing else.
 *
 * Works where /dev/net/tun does; else packets are dropped meanwhile, as by a cable that is out. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "runtime/net/nl.h"

/* Frames that can gather; further ones are dropped. */
#define HOLD_FRAMES_MAX 8192

/* Starts a keeper for host_end whose tap is a port of the bridge; one that runs already is left. mtu 0: the default. 0 or -1. */
int hold_start(struct nl_sock *sk, const char *host_end, const char *bridge, unsigned mtu, struct err *e);
/* Puts an Ethernet frame into the bridge at the container's place. 0 or -1 (ERR_NOT_FOUND: no keeper). */
int hold_send(const char *host_end, const void *frame, size_t n, struct err *e);
/* Sends what gathered to the container, through its host's end, and ends the keeper. Without a keeper nothing. */
void hold_release(const char *host_end);
/* Ends the keeper and what it kept. Without a keeper nothing. */
void hold_discard(const char *host_end);
