/* The privileged core that davitd talks to: `davit-runtime serve`.
 *
 * davitd, while it is still root, starts
 *   davit-runtime serve --socket-fd N --state-dir DIR --run-dir DIR --policy FILE --config FILE --ids-start N --ids-count N
 *                       --cgroup-parent PATH --bin-dir DIR [--criu PATH] [--log-group GID] [--log-level L] [--log-format F]
 * with one end of a SOCK_SEQPACKET pair as descriptor N. --config names the agent's own configuration, of which only `networks` is read: a
 * network is made only if the administrator's file holds it. The core ends when the other end of the first socket is closed; containers live on.
 *
 * One process waits in an epoll loop (loop.c). Each request is served by a forked child (table in ops.c), which holds the container's lock
 * (RUN/locks/NAME) where the request changes it, answers on the socket itself and ends; a child that dies without an answer is answered for. Only
 * `get`, `channel` and `subscribe` are served by the loop: the first is asked often, takes no lock and reads four small files of ours; the others
 * change the loop's own state.
 *
 * Replies that may be large come in parts: `list` answers with several ContainerStatusList replies, all but the last with `more`; append them.
 * A request that cannot be parsed is answered with the id it had, or 0 if that is unreadable, and ERR_PROTOCOL.
 *
 * Everything is on disk, so that a core that was killed finds it all again: containers/NAME/ with spec.pb, record.pb, network.pb, exit.json, and
 * `ready` (empty) once the container is whole. What lacks `ready` and is locked by nobody is half-made and removed at start; a folder that holds only
 * `kept` and layer/ is the layer of a container that was deleted with keep_layer. A stopped container is put away at once (its mounts, cgroup, veth
 * and ports), `start` makes it anew from its spec. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/str.h"
#include "config.pb-c.h"
#include "core.pb-c.h"
#include "record.pb-c.h"
#include "runtime/container.h"

/* Options, as parsed by runtime/cli/serve.c, and what follows from them. Strings are owned. */
struct core {
	char *state_dir, *run_dir, *bin_dir, *cgroup_parent, *criu; /* criu NULL: the first that works */
	char *policy_file, *config_file;			    /* either may be NULL: empty */
	uint32_t ids_start, ids_count;				    /* ranges of 65536 */
	gid_t log_gid;						    /* who may read logs, or (gid_t)-1 */
	int socket;
	int lock; /* RUN/locks/.core: one core at a time */

	Davit__HostPolicy *policy;
	Davit__AgentConfig *config;
	char *containers_dir, *images_dir, *logs_dir, *locks_dir, *monitor_dir, *tmp_dir, *runtime_root, *criu_tmp;
	struct runtime rt; /* borrows from the strings above */
};
void serve_free(struct core *c);

/* Checks and completes the options, reads policy and configuration, makes the folders and mounts RUN/tmp. */
int serve_open(struct core *c, struct err *e);
/* Unmounts RUN/tmp if no move is in it, and removes the parent cgroup if no container is there. */
void serve_close(const struct core *c);
/* Serves until the first socket is closed or SIGTERM comes. 0 or -1. */
int serve_run(const struct core *c, struct err *e);
/* Gives up what the core does not need (harden.c lists each capability that stays, and why). */
int serve_harden(const struct core *c, struct err *e);
