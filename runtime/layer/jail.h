/* Work on foreign bytes in a process that can touch one folder and nothing else. */
#pragma once
#include <stdint.h>
#include "base/err.h"
#include "runtime/layer/layer.h"

struct jail_counts {
	uint64_t bytes, files;
};
/* What is done inside: "/" is the folder, `in` the only descriptor besides. 0 or -1. */
typedef int (*jail_work)(int in, const struct layer_limits *lim, struct jail_counts *counts, struct err *e);

/* Runs work in a child whose root is dirfd: own mount, network, IPC and UTS namespaces, the capabilities that giving files their owners and
 * attributes takes, no_new_privs, a seccomp filter without processes, sockets, mounts or executable memory, resource limits. Waits for its
 * end, without a limit: it lasts as long as its input does. 0 or -1. */
int jail_run(int dirfd, int in, jail_work work, const struct layer_limits *lim, struct jail_counts *counts, struct err *e);
