/* The runtime's operations on containers: what the OCI command line and `serve` both call. OCI runtime.md tells their meaning.
 *
 * create: lock, validate the whole spec (runtime/validate.c) before anything is made, cgroup, namespaces and mounts by the init stages
 * (runtime/init/), then wait at exec.fifo. start: opens exec.fifo. All errors leave nothing behind. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/str.h"
#include "core.pb-c.h"
#include "oci.pb-c.h"
#include "runtime/timens.h"
#include "state.pb-c.h"

struct runtime {
	const char *root;     /* state folder, default /run/davit-runtime */
	const char *criu;     /* path, or NULL: the first that works (runtime/criu/criu.h) */
	const char *criu_tmp; /* a folder on a tmpfs for CRIU's cache and images, or NULL */
	const char *policy;   /* the host's policy.json, for what an annotation asks for; NULL: SUPERVISE_POLICY */
	bool systemd_cgroup;
};

struct create_options {
	const char *bundle;	    /* absolute */
	const char *console_socket; /* unix socket that gets the pty master, or NULL */
	const char *pid_file;
	const char *network_file; /* RuntimeNetwork as written by `serve`, or NULL: as the spec says only */
	unsigned preserve_fds;	  /* LISTEN_FDS style: 3.. kept */
	unsigned listen_fds;	  /* how many of them are sockets of sd_listen_fds(3): the process is told so */
	bool no_pivot;		  /* accepted by runc; refused here: pivot_root is not optional */
	bool no_new_keyring;
	bool no_filter;	   /* linux.seccomp is checked but not compiled: CRIU brings the filters of its processes along */
	bool protect_self; /* runtime/self.h: the program may start again; set by its main() only */
	int stdio[3];	   /* what the process gets without a terminal; usually 0, 1, 2 */
};

/* A spec as the runtime takes it: parsed with unknown members kept, every field checked. Owned; *text (may be NULL) gets the file's bytes. */
Davit__OciSpec *container_load_spec(const char *bundle, struct buf *text, struct err *e);

int container_create(const struct runtime *rt, const char *id, const struct create_options *o, struct err *e);
/* create and start in one. detach: returns 0 when the program runs; else waits for it, passing stdio, signals and its terminal on, deletes the
 * container unless `keep`, and returns its wait status. */
int container_run(const struct runtime *rt, const char *id, const struct create_options *o, bool detach, bool keep, struct err *e);
int container_start(const struct runtime *rt, const char *id, struct err *e);
/* Owned. */
Davit__OciState *container_state(const struct runtime *rt, const char *id, struct err *e);
Davit__OciStateList *container_list(const struct runtime *rt, struct err *e);
int container_kill(const struct runtime *rt, const char *id, int sig, bool all, struct err *e);
int container_delete(const struct runtime *rt, const char *id, bool force, struct err *e);
int container_pause(const struct runtime *rt, const char *id, struct err *e);
int container_resume(const struct runtime *rt, const char *id, struct err *e);
/* Changes limits of a container that is not stopped; what is absent in r stays (cgroup_set). */
int container_update(const struct runtime *rt, const char *id, const Davit__OciResources *r, struct err *e);
int container_pids(const struct runtime *rt, const char *id, pid_t **pids, size_t *n, struct err *e);

struct exec_options {
	const Davit__OciProcess *process; /* checked */
	const char *console_socket, *pid_file;
	bool detach, protect_self;
	bool ignore_paused;	    /* start it in a paused container too: it runs when that is resumed */
	const struct strv *cgroups; /* of cgroup_narrow(), or NULL */
	unsigned preserve_fds;
	int stdio[3];
};
/* Runs a process in all namespaces of the container (its time namespace included), under its cgroup, seccomp filter and LSM. Returns its wait status
 * (0 when detached), or -1. */
int container_exec(const struct runtime *rt, const char *id, const struct exec_options *o, struct err *e);

struct checkpoint_options {
	const char *image_path, *work_path;
	const char *parent_path; /* folder of an earlier pre_dump, relative to image_path: only what changed since is saved; or NULL */
	bool leave_running, tcp_established, tcp_close, ext_unix_sk, shell_job, file_locks, lazy_pages;
	bool pre_dump;	 /* memory alone, the container goes on */
	bool auto_dedup; /* pages of the parent's images that are saved anew are punched out there */
	const char *lsm_profile;
	const char *page_server;	/* "ADDRESS:PORT" that takes the pages, or with lazy_pages serves them; or NULL */
	bool lazy_elsewhere;		/* lazy_pages, and the pages left behind are served by somebody else than criu, which ends */
	int page_server_fd;		/* a connected socket to a page server, or -1 */
	int status_fd;			/* gets one NUL byte when the page server of lazy_pages is ready; 0 or -1: none */
	int cancel_fd;			/* readable: the dump ends and the container is left as it was; 0 or -1: none */
	Davit__ObstacleList *obstacles; /* gets the causes of ERR_OBSTACLE, or NULL */
};
/* Dumps (runtime/criu/checkpoint.c). A paused container may be dumped as well. The network is held from before the dump; afterwards the container is
 * stopped and its network still held, or with leave_running, or after a failure, both are as before. */
int container_checkpoint(const struct runtime *rt, const char *id, const struct checkpoint_options *o, struct err *e);

/* The word that restore_options.go_fd waits for. */
struct restore_go {
	bool go; /* false: take all back and end */
	bool has_offsets, tcp_close;
	int64_t offset_monotonic, offset_boottime;
};

struct restore_options {
	struct create_options create; /* bundle, console, pid file, network, stdio */
	const char *image_path, *work_path;
	const struct timens_offsets *offsets; /* NULL: those of the images, so that both clocks stand still meanwhile */
	bool tcp_established, tcp_close, ext_unix_sk, shell_job, file_locks, lazy_pages, auto_dedup;
	const char *lsm_profile, *lsm_mount_context;
	const Davit__IdRange *ids; /* the user namespace's range, instead of the one in the bundle's config.json */
	bool paused;		   /* leave it frozen: container_resume starts it */
	bool check_images;	   /* refuse images that hold more than config.json gives (runtime/criu/trust.h) */
	int cancel_fd;		   /* readable: the restore ends and leaves nothing; 0 or -1: none */
	int go_fd; /* 0: none. What needs no images is made, then a struct restore_go is read here; its offsets and tcp_close take the place of ours
		    */
	Davit__ObstacleList *obstacles;
	pid_t *pid; /* gets init's, a child of the caller; or NULL */
};
int container_restore(const struct runtime *rt, const char *id, const struct restore_options *o, struct err *e);
