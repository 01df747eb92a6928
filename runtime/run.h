/* A runtime that stays with the process it started: `run` and `exec` without --detach. */
#pragma once
#include <stdbool.h>
#include "base/fd.h"
#include "runtime/create.h"

struct run {
	bool detach;
	int console; /* gets the master from init, or -1 */
	int master;
};
static inline void run_close(struct run *r)
{
	fd_closep(&r->console);
	fd_closep(&r->master);
}
#define auto_run __attribute__((cleanup(run_close)))

/* Deletes a container whose state the caller still holds in memory, its lock taken again. */
int container_delete_own(struct create *c, struct err *e);
