/* What davitd does while it is root, and how it stops being root.
 *
 * Order (main.c): folders, sockets, keys, the core; then privsep_drop; only then the first byte of anyone's request is read. */
#pragma once
#include <sys/types.h>
#include "agent/agent.h"

struct privsep_user {
	uid_t uid;
	gid_t gid, socket_gid; /* socket_gid: (gid_t)-1 without socketGroup */
};

/* Finds the configured user and group. 0 or -1 (ERR_INVALID, the field and a remedy). */
int privsep_find_user(const Davit__AgentConfig *c, struct privsep_user *out, struct err *e);
/* Makes the folders of state and run time with their owners. 0 or -1. */
int privsep_make_folders(const Davit__AgentConfig *c, const struct privsep_user *u, struct err *e);
/* Reads certificate, key and CA. 0 or -1. */
int privsep_read_tls(const Davit__AgentConfig *c, struct agent_tls *out, struct err *e);
/* Reads the key of the snapshots into a. 0 or -1. */
int privsep_read_snapshot_key(struct agent *a, struct err *e);
/* A listening unix socket, mode 0660 root:socketGroup (0600 without one). ERR_BUSY if another davitd answers there. Owned fd or -1. */
int privsep_listen_unix(const char *path, gid_t group, struct err *e);
/* A listening TCP socket on "ADDRESS:PORT". Owned fd or -1. */
int privsep_listen_tcp(const char *address, struct err *e);
/* Starts `davit-runtime serve` on a socket pair. config_path: the file, or NULL. Returns our end (owned); *pidfd is owned. -1 on error. */
int privsep_start_core(const Davit__AgentConfig *c, const char *config_path, gid_t log_gid, pid_t *pid, int *pidfd, struct err *e);
/* Becomes the user for good: no groups, no capabilities, an empty bounding set, no_new_privs. 0 or -1: the process must end then. */
int privsep_drop(const struct privsep_user *u, struct err *e);
