/* davitd's cage: Landlock for files, sockets and signals, seccomp for system calls. Both are inherited by davit-mover.
 *
 * Landlock: the agent's own folder may be written, logs read, the movers executed with the system's libraries, the few files that name
 * resolution needs read; nothing else is visible to open(2). No TCP port can be bound any more. seccomp: the calls that the agent, the mover
 * and their libraries make; any other fails with ENOSYS. */
#pragma once
#include <linux/filter.h>
#include <stddef.h>
#include "base/err.h"

/* Paths that exist already; read_exec may be NULL-terminated lists. */
struct sandbox_paths {
	const char *own;     /* read and write */
	const char *logs;    /* read */
	const char *libexec; /* execute */
};

/* Closes the cage. For a thread that is the process's only one, with no_new_privs set. A kernel without Landlock is a warning in the log, as
 * the user id already keeps the agent from most; a kernel without seccomp is an error. 0 or -1. */
int sandbox_enter(const struct sandbox_paths *p, struct err *e);
/* The filter, for its test. Returns the number of instructions. */
size_t sandbox_filter(struct sock_filter *out, size_t cap);
