/* What a container has made of its own network namespace, by CAP_NET_ADMIN: links of its own, addresses, routes, rules of routing, rules for packets,
 * sysctls.
 *
 * A namespace that a restore makes has what the spec says; the rest is read at the dump and made again before the sockets are. Reading and making is
 * done by a child that has entered the container's user and network namespaces and has no more power there than the container's root: what it reads
 * was written by the container, what it makes comes from another host.
 *
 * Reading goes on beside criu, so it adds to no standstill as long as criu takes longer: a fresh network namespace tells which sysctls were changed.
 * Addresses and routes of the attachments are compared, not taken for granted: a container that removed its default route lacks it afterwards as
 * well. A gateway that was the source's bridge becomes the target's. Where the addresses are others (attachments differ), only what does not depend
 * on them is made. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "state.pb-c.h"

struct inside_reader {
	pid_t pid;
	int fd;
};
#define INSIDE_READER_NONE                                                                                                                           \
	{                                                                                                                                            \
		0, -1                                                                                                                                \
	}

/* Begins to read the namespace of a container's init. n: its attachments, or NULL. 0 or -1. */
int inside_read_begin(pid_t init, const Davit__RuntimeNetwork *n, struct inside_reader *r, struct err *e);
/* Owned, or NULL. */
Davit__NetworkInside *inside_read_end(struct inside_reader *r, struct err *e);
/* Ends a reader whose answer is not wanted. */
void inside_read_drop(struct inside_reader *r);
/* Makes it in the namespace of `init`, whose attachments are there already. 0 or -1. */
int inside_make(pid_t init, const Davit__NetworkInside *in, const Davit__RuntimeNetwork *n, struct err *e);
