/* The private memory of a container on its way to another host: who serves the memory socket (proto/memory.h tells its words).
 *
 * ROUND: every process is tracked (uffd.h), a new one from now on; what was written since the round before is read and sent (but what
 * was written in that round as well is hot, and waits until it cools down or for the last round), what is no longer mapped
 * is dropped. FINAL: the container stands still; what is left is sent or withheld. From then on FETCH and REST are answered from the
 * processes, which stand still; a FETCH is taken before the next piece of the rest. The descriptors of the tracking stay open until the end: to close
 * one takes the kernel 30 ms for each GiB, and CRIU, which knows of none in its processes, does not mind. */
#pragma once
#include <sys/types.h>
#include "base/err.h"

/* Owned array of the container's processes now. 0 or -1. */
typedef int tracker_pids(void *arg, pid_t **pids, size_t *n, struct err *e);

/* Serves `sock` until CLOSE or its end. 0, or -1 after FAILED was said. */
int tracker_serve(int sock, tracker_pids *pids, void *arg, struct err *e);
