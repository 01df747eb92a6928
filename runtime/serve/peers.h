/* What the host knows of a container's peers: its neighbours (runtime/net/neighbour.h) and its translated connections (runtime/net/conntrack.h).
 *
 * The kernel goes through its whole table for the latter, 10 ms on a host with much memory. So a process of its own looks while CRIU works. The
 * network has to be held: what is found stays true. */
#pragma once
#include "runtime/serve/place.h"
#include "runtime/serve/task.h"
#include "core.pb-c.h"

struct peers {
	struct task task;
	int message; /* a memfd: what was found */
	const char *network;
	pid_t pid;
	bool connections;
};
#define PEERS_NONE                                                                                                                                   \
	{                                                                                                                                            \
		.task = { .fd = -1, .done = true }, .message = -1                                                                                    \
	}

/* Begins to look, for the container with this init. `connections`: also those. 0 or -1. */
int peers_begin(struct peers *p, const struct place *place, pid_t pid, bool connections, struct err *e);
/* Waits for it and puts it into out. What could not be found out is logged and is no failure: without connections those break that this host
 * translates, without neighbours peers wait a second longer. 0 or -1. */
int peers_take(struct peers *p, Davit__DumpDone *out, struct err *e);
/* Ends it, whether it was taken or not. */
void peers_end(struct peers *p);
