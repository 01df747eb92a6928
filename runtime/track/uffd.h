/* A process's userfaultfd, held by us: how its writes are noticed without its help (userfaultfd(2), write-protection in asynchronous mode).
 *
 * Such a descriptor can be made only by the process itself, so it is made to call userfaultfd(2) once; we take the descriptor (pidfd_getfd(2)) and
 * make it close its own. All threads stand still meanwhile, about 0.1 ms. Registering goes from outside. */
#pragma once
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

/* Owned fd, ready to register; *stopped_us: how long the process stood still. -1: it has ended (ERR_NOT_FOUND), does not stop in time (ERR_TIMEOUT),
 * or cannot be tracked (ERR_UNSUPPORTED and others); it goes on as it was. */
int uffd_of_process(pid_t pid, uint64_t *stopped_us, struct err *e);
/* Tracks writes to one mapping. 1: it was tracked already, what is known of its pages holds; 0: now it is, all its pages count as written; -1: it is
 * not (ERR_NOT_FOUND: the process has ended or is another program now). */
int uffd_register(int uffd, int pagemap, uint64_t start, uint64_t end, struct err *e);
