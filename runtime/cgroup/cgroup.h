/* The cgroup of a container, on v1 (also with controllers mounted one by one), v2, or both side by side (a cgroup2 without controllers beside
 * v1 hierarchies is left alone). Which is found from /proc/self/mountinfo, never from fixed paths. Sources: cgroups(7), kernel
 * Documentation/admin-guide/cgroup-v1/ and cgroup-v2.rst, OCI config-linux.md "Control groups". */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "oci.pb-c.h"
#include "state.pb-c.h"

struct cgroup;

/* 1, 2, or -1 where no hierarchy is mounted. controllers: NULL or a vector that takes their names. */
int cgroup_host_version(struct err *e);
struct strv;
int cgroup_host_controllers(struct strv *out, struct err *e);

/* Makes the folders of `path` (OCI cgroupsPath: absolute = below each hierarchy's root, relative or NULL = below the caller's own cgroup; NULL:
 * "davit/ID") and sets the resources (may be NULL). ERR_EXISTS: a cgroup with processes is there. What was made is removed again on failure. Who is
 * no root gets those hierarchies in which it may make cgroups, perhaps none: cgroup_is_none(). */
int cgroup_create(const char *path, const char *id, const Davit__OciResources *r, struct cgroup **out, struct err *e);
/* The same as a scope of systemd, with the spec's path, "SLICE:PREFIX:NAME", its resources and its annotations (runtime/cgroup/properties.h). Until
 * cgroup_settle() a child of the caller keeps the scope alive: to be called when the container's first process is in it. */
int cgroup_create_systemd(const Davit__OciSpec *spec, const char *id, struct cgroup **out, struct err *e);
void cgroup_settle(struct cgroup *c);
/* The cgroup that a state tells of. */
int cgroup_open(const Davit__RuntimeState *s, struct cgroup **out, struct err *e);
/* Narrows an open cgroup to one below it. where: "PATH" (all hierarchies) or "CONTROLLER[,CONTROLLER]:PATH". The folder must be there. */
int cgroup_narrow(struct cgroup *c, const char *where, struct err *e);
/* Of a container that never had a cgroup of its own. Limits of it are refused, it has no processes to list and is not frozen. */
bool cgroup_is_none(const struct cgroup *c);
void cgroup_freep(struct cgroup **c);
#define auto_cgroup __attribute__((cleanup(cgroup_freep)))
/* Fills s->cgroups. */
int cgroup_save(const struct cgroup *c, Davit__RuntimeState *s, struct err *e);

/* A borrowed fd of the v2 folder for clone3's CLONE_INTO_CGROUP, or -1 where there is none. Who was made so calls cgroup_attach_cloned for the v1
 * hierarchies. Both are far quicker than cgroup_attach. */
int cgroup_clone_fd(const struct cgroup *c);
int cgroup_attach_cloned(const struct cgroup *c, struct err *e);
/* Gives the folder and the files of /sys/kernel/cgroup/delegate to the host's uid of process.user.uid where the OCI spec's "Cgroup ownership" allows
 * it: v2, a user namespace, a new cgroup namespace, and a cgroup mount that is not read-only. Else does nothing. */
int cgroup_delegate(const struct cgroup *c, const Davit__OciSpec *spec, struct err *e);
/* Puts a process (0: the caller, which must have a single thread) into all hierarchies. */
int cgroup_attach(const struct cgroup *c, pid_t pid, struct err *e);
/* Begins, in a child, the wait that the next cgroup_attach() of another process would have, so that it is over by then. Its pid, to be reaped; or -1.
 */
pid_t cgroup_attach_expect(void);
/* Changes limits; a field that is absent stays. Every refused value names its field ("linux.resources.memory.limit"). */
int cgroup_set(const struct cgroup *c, const Davit__OciResources *r, struct err *e);
/* Freezes or thaws and waits until the kernel says it is so. ERR_TIMEOUT. Idempotent. */
int cgroup_freeze(const struct cgroup *c, bool frozen, int timeout_ms, struct err *e);
bool cgroup_is_frozen(const struct cgroup *c);
/* Asks for the freeze without waiting (tasks stop on their next way to user mode). */
int cgroup_freeze_begin(const struct cgroup *c, struct err *e);
/* Signals every process, also of sub-cgroups, until none is left for SIGKILL (cgroup.kill where it is; else frozen while it is done). */
int cgroup_kill(const struct cgroup *c, int sig, struct err *e);
/* Pids of all processes, of sub-cgroups too, in the caller's PID namespace. Owned array. */
int cgroup_pids(const struct cgroup *c, pid_t **pids, size_t *n, struct err *e);
int cgroup_stats(const struct cgroup *c, Davit__ContainerStats *out, struct err *e); /* fills what cgroups know, has_* set */
/* Appends the figures as one JSON object, shaped as the data of runc's `events`. */
struct buf;
int cgroup_report(const struct cgroup *c, struct buf *out, struct err *e);
/* An owned non-blocking fd that is readable when the cgroup may have run out of memory, or -1. */
int cgroup_oom_watch(const struct cgroup *c, struct err *e);
/* OOM kills so far. */
int64_t cgroup_oom_kills(const struct cgroup *c);
/* Absolute path of the folder by which CRIU freezes (freezer on v1, the folder on v2). Borrowed. NULL: no freezer. */
const char *cgroup_freezer_path(const struct cgroup *c);
/* Removes the folders (waits up to a second for dying processes). Missing is no error. */
int cgroup_remove(struct cgroup *c, struct err *e);
