/* The stages in which a container's process comes to be. Each is a function that begins with the list of privileges it still holds.
 *
 *   parent        runs on the host: spawns, maps ids, joins nothing itself, configures the network, runs the host's hooks (parent.c)
 *   intermediate  only where namespaces are joined: enters them and makes init as a child of the parent (intermediate.c)
 *   init          makes and fills the container's namespaces, pivots, gives up privileges, waits to be started, becomes the program (init.c,
 * process.c)
 *
 * The stages share memory by fork: a plan is filled completely by the parent, and init only follows it. davit-runtime has a single thread, so the
 * heap that a child inherits is whole. Every descriptor is O_CLOEXEC, and before exec all of them are marked so again. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "oci.pb-c.h"
#include "spec.pb-c.h"
#include "runtime/caps.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/mount.h"
#include "runtime/namespace.h"
#include "runtime/seccomp/seccomp.h"
#include "runtime/timens.h"

/* The process itself: what create and exec have in common. */
struct init_process {
	const char *id;
	const Davit__OciProcess *spec;
	const Davit__OciPersonality *personality; /* of the container, or NULL */
	struct caps caps;
	const struct seccomp_filter *filter; /* NULL: none */
	const Davit__Landlock *landlock;     /* NULL: none */
	struct strv env;
	char **argv; /* of the spec, with a NULL at its end; owned vector, borrowed strings */
	int stdio[3];
	int console;	       /* socket that takes the master of a pty, or -1: no terminal */
	unsigned preserve_fds; /* 3.. that stay open */
	bool new_keyring;
	bool in_cgroup; /* made in the v2 cgroup by clone3 */
	int proc;	/* O_PATH fd of the host's /proc */
	int sync;	/* the process's end */
	int fifo;	/* where it waits to be started, or -1 */
	bool alone;	/* the parent has gone: errors go to stderr */
	int root;	/* the container's root, once there is one */
	int slave;	/* of the pty, once it is open; else -1 */
	bool further;	/* of exec: the spec's CPUs for such count */
};

struct init_plan {
	struct init_process process;
	const Davit__OciSpec *spec;
	struct ns_set ns;
	struct mount_set mounts;
	const struct cgroup *cgroup;
	struct timens_offsets offsets; /* of a new time namespace */
	const Davit__OciState *state;  /* for createContainer hooks; pid not yet set */
	bool raises_loopback;	       /* nobody else configures its new network namespace */
	bool in_userns;		       /* without root of the host: the runtime itself is in a user namespace, the container's or one around it */
};

struct init_child {
	pid_t pid;
	int pidfd;
	int sync; /* the parent's end */
};

/* Parent: fills what follows from a process's spec: capabilities, arguments, environment. Fds start at -1. */
int init_process_prepare(struct init_process *p, const char *id, const Davit__OciProcess *spec, struct err *e);
/* Pipes that come from a caller belong to the host's root. So that a program can open /dev/stdout, they are given to the process's user, as runc
 * does. */
void init_give_stdio(const int stdio[3], const Davit__OciSpec *spec);
void init_process_free(struct init_process *p);

/* Parent: starts init by the plan and maps its ids; it is then on its way to SYNC_MOUNTED (with hooks) or SYNC_READY. */
int init_spawn(struct init_plan *plan, struct init_child *out, struct err *e);
/* Parent: starts a process inside the namespaces of pid, which pidfd names. On its way to SYNC_READY. */
int init_spawn_exec(struct init_process *p, const struct cgroup *cgroup, pid_t pid, int pidfd, struct init_child *out, struct err *e);
/* Child: into its cgroup, as far as it is not there yet. */
int init_join_cgroup(const struct init_process *p, const struct cgroup *cgroup, struct err *e);
/* Kills the child and reaps it. */
void init_child_kill(struct init_child *c);
void init_child_close(struct init_child *c);
#define auto_init_child __attribute__((cleanup(init_child_close)))

/* The stages; they never return. */
_Noreturn void init_main(struct init_plan *plan);
_Noreturn void init_intermediate(struct init_plan *plan);
_Noreturn void init_exec(struct init_process *p, const struct cgroup *cgroup, int pidfd, int flags);

/* Steps of a process's stage (process.c, credentials.c). */
int init_begin(const struct init_process *p, struct err *e);
int init_become_root(struct err *e);
int init_open_console(struct init_process *p, bool mount, struct err *e);
int init_label(const struct init_process *p, struct err *e);
int init_credentials(const struct init_process *p, struct err *e);
_Noreturn void init_run(struct init_process *p, const Davit__OciHooks *hooks, const Davit__OciState *state);
_Noreturn void init_fail(const struct init_process *p, const struct err *e);
/* Namespaced kernel settings (sysctl.c). early: those that take the host's root id, before ids are mapped. */
int init_sysctl(int proc, const Davit__OciLinux *l, bool early, struct err *e);
/* Enters a new time namespace with offsets (clocks.c). */
int init_clocks(int proc, const struct timens_offsets *offsets, struct err *e);
/* Absolute path of the program that args[0] means, looked for in the container's PATH (program.c). Owned. */
char *init_find_program(const char *name, const struct strv *env, struct err *e);
/* Adds HOME from the container's /etc/passwd if it is not set. */
int init_set_home(struct strv *env, uid_t uid, int root, struct err *e);
