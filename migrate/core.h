/* The client of the runtime core (`davit-runtime serve`): proto/core.proto over a SOCK_SEQPACKET socket.
 *
 * A struct core is one socket. Whole exchanges (core_call and the helpers below) hold its lock, so that several threads may share it, one after
 * the other; a request with several replies (`more`) wants a socket of its own (core_channel), which is one thread's. A request that was given
 * up (ERR_TIMEOUT) leaves replies behind: they are told by their id, dropped, and their descriptors closed.
 *
 * An error that the core answers becomes struct err; its obstacles and reasons stay in core->error until the next request. */
#pragma once
#include <pthread.h>
#include "base/fd.h"
#include "core.pb-c.h"
#include "proto/pb.h"

#define CORE_TIMEOUT_MS 30000
#define CORE_FDS_MAX 5

struct core {
	int fd; /* owned */
	uint64_t last_id;
	Davit__Error *error; /* owned: the last answered error, or NULL */
	pthread_mutex_t lock;
};

/* Descriptors that came with a reply. core_fds_close closes those that nobody took (steal_fd). */
struct core_fds {
	int fd[CORE_FDS_MAX];
	size_t n;
};
#define CORE_FDS_INIT                                                                                                                                \
	{                                                                                                                                            \
		.fd = { -1, -1, -1, -1, -1 }                                                                                                         \
	}
void core_fds_close(struct core_fds *f);
#define auto_core_fds auto_cleanup(core_fds_close)

/* Takes over fd. */
void core_init(struct core *c, int fd);
void core_close(struct core *c);

/* Sends r under a new id (written into r->id) and returns at once. 0 or -1. */
int core_send(struct core *c, Davit__CoreRequest *r, struct err *e);
/* The next reply to `id` (0: the next event), owned. fds may be NULL: descriptors are closed then. The caller looks at `more`.
 * NULL: the core answered an error, ERR_TIMEOUT (timeout_ms -1: no limit), ERR_IO when the core has gone. */
Davit__CoreReply *core_recv(struct core *c, uint64_t id, int timeout_ms, struct core_fds *fds, struct err *e);
/* One request and its first reply, as core_send and core_recv, under the lock. r->id tells further replies. */
Davit__CoreReply *core_call(struct core *c, Davit__CoreRequest *r, int timeout_ms, struct core_fds *fds, struct err *e);

/* A further socket, for one thread or one worker process. name: only requests about that container, or NULL. 0 or -1. */
int core_channel(struct core *c, const char *name, struct core *out, struct err *e);
/* The same as an owned fd to hand to a worker. */
int core_channel_fd(struct core *c, const char *name, struct err *e);

/* Requests that need a name and answer at most one thing. 0 or -1; owned message or NULL. */
int core_start(struct core *c, const char *name, struct err *e);
/* One that is answered by descriptors, so many of them (ERR_PROTOCOL). *id tells further replies. */
int core_open(struct core *c, Davit__CoreRequest__OpCase op, const char *name, size_t want, struct core_fds *fds, uint64_t *id, struct err *e);
int core_pause(struct core *c, const char *name, bool hold_network, struct err *e);
int core_resume(struct core *c, const char *name, struct err *e);
/* Resumes a container unless it runs already. 1: it runs; 0: there is nothing to run (no such container, or it has stopped); -1. */
int core_let_run(struct core *c, const char *name, struct err *e);
int core_kill(struct core *c, const char *name, const char *signal, bool all, struct err *e);
int core_announce(struct core *c, const char *name, struct err *e);
int core_delete(struct core *c, const char *name, bool force, struct err *e);
int core_restore_drop(struct core *c, const char *name, struct err *e);
Davit__ContainerStatus *core_get(struct core *c, const char *name, struct err *e);
/* How far its page store is, once. The core goes on telling on this socket until it is closed. ERR_CORRUPT: its memory is lost. */
Davit__MemoryStatus *core_memory_status(struct core *c, const char *name, struct err *e);
Davit__ContainerStats *core_stats(struct core *c, const char *name, struct err *e);
Davit__ClockSample *core_clock(struct core *c, const char *name, struct err *e);
Davit__ObstacleList *core_check(struct core *c, const char *name, struct err *e);
Davit__HostFacts *core_facts(struct core *c, struct err *e);
/* Whether the host's CPU takes processes of the host whose cpuinfo (HostFacts) it is. 0; -1 ERR_INCOMPATIBLE. */
int core_check_cpu(struct core *c, const ProtobufCBinaryData *cpuinfo, struct err *e);
Davit__ContainerStatusList *core_list(struct core *c, struct err *e);
/* What the host's policy has against a spec. Owned, or NULL. */
Davit__CoreVetted *core_vet(struct core *c, Davit__ContainerSpec *spec, struct err *e);
