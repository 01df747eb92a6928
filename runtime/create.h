/* What making and restoring a container have in common: everything around the first process. container_create() and container_restore() both
 *
 *   create_begin()      spec loaded and checked, state folder made and locked, cgroup made, state saved as "creating"
 *   … make the process, by the init stages or by CRIU …
 *   create_network()    its network namespace configured (also: called at CRIU's setup-namespaces)
 *   create_record()     pid, start time, clocks and descriptors written to the state
 *   create_pid_file()
 *
 * and on failure create_abort(), which takes back what was made, in the opposite order. create_end() frees. */
#pragma once
#include "base/str.h"
#include "proto/pb.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/container.h"
#include "runtime/seccomp/seccomp.h"
#include "runtime/state.h"
#include "spec.pb-c.h"

struct create {
	const struct runtime *rt;
	const struct create_options *options;
	char *bundle; /* absolute, real */
	Davit__OciSpec *spec;
	struct buf text; /* config.json as it came */
	struct state_dir dir;
	Davit__RuntimeState *state;
	struct cgroup *cgroup;
	struct seccomp_filter filter;	      /* compiled linux.seccomp, if the spec has one or is supervised */
	Davit__Landlock *landlock;	      /* NULL: none */
	Davit__SeccompSupervisor *supervised; /* NULL: not */
	Davit__RuntimeNetwork *network;	      /* NULL: as the spec says only */
	bool attached;			      /* create_network() has made something on the host */
};
void create_end(struct create *c);
#define auto_create __attribute__((cleanup(create_end)))

/* Zero-initialises *c. After a failure nothing is left and only create_end() is due. */
int create_begin(const struct runtime *rt, const char *id, const struct create_options *o, struct create *c, struct err *e);
/* Reads --network's file again: it has changed since create_begin(). */
int create_reload_network(struct create *c, struct err *e);
/* Configures the network namespace of a process: the attachments of --network, or lo alone where the container has a namespace of its own. */
int create_network(struct create *c, int netns_fd, struct err *e);
/* create_network() for the namespace that a process is in. */
int create_network_of(struct create *c, pid_t pid, struct err *e);
/* Fills the state with what the kernel says of the container's first process, and saves it with this phase ("created", "running"). */
int create_record(struct create *c, pid_t pid, const char *phase, struct err *e);
int create_pid_file(const char *path, pid_t pid, struct err *e);
/* Kills what is in the cgroup and removes cgroup, network and state folder. */
void create_abort(struct create *c);

/* The OCI state of a container, for `state`, `list` and hooks. status NULL: what the kernel says. Owned. */
Davit__OciState *create_oci_state(const Davit__RuntimeState *s, const char *status, struct err *e);
