/* CRIU over its RPC: `criu swrk FD`, one protobuf message a datagram (proto/criu.proto, field numbers from CRIU's rpc.proto).
 *
 * CRIU's log is never parsed for control; on failure its last error lines are matched against a table of known causes (obstacle.c), which turns them
 * into an ERR_OBSTACLE with kind, process, path and remedy, and otherwise they end up in the ERR_CRIU message. */
#pragma once
#include <sys/types.h>
#include "base/err.h"
#include "criu.pb-c.h"

/* The criu to use: `configured`, else /usr/lib/davit/criu/sbin/criu, PREFIX/lib/davit/criu/sbin/criu, then criu in PATH, the first that passes its
 * own check (the result is cached for this boot in cache_dir, NULL: not). Owned path, or NULL (ERR_UNSUPPORTED with every candidate's reason). */
char *criu_find(const char *configured, const char *cache_dir, struct err *e);
/* "4.2.1" as a number 40201. */
int criu_version(const char *criu, struct err *e);
/* CRIU's `cpuinfo dump` image of this host, into an owned buffer; and `cpuinfo check` of another host's against this one: 0 fits, -1
 * ERR_INCOMPATIBLE. */
struct buf;
int criu_cpuinfo(const char *criu, struct buf *out, struct err *e);
int criu_cpuinfo_check(const char *criu, const void *image, size_t n, struct err *e);

/* Notifications, by CRIU's names ("setup-namespaces", "post-restore", …). 0 lets CRIU go on. */
struct criu_callbacks {
	int (*notify)(void *arg, const char *action, pid_t pid, int fd, struct err *e);
	void *arg;
};
struct criu_call {
	const char *criu;
	const Criu__CriuReq *req; /* with opts; images_dir_fd and other fds are numbers of the caller: they are passed on */
	const int *fds;		  /* further fds that req names */
	size_t nfds;
	int timens_fd;	      /* enter this time namespace first, or -1 */
	const char *tmp_dir;  /* bind mounted over /run for the criu.kdat cache in a private mount namespace, or NULL */
	const char *log_path; /* in the work folder, for the error lines */
	const struct criu_callbacks *cb;
	int cancel_fd; /* readable: CRIU is ended, or -1 */
};
/* Owned response, or NULL with the cause. */
Criu__CriuResp *criu_run(const struct criu_call *c, struct err *e);
