/* CRIU over its RPC: `criu swrk FD`, one protobuf message a datagram (proto/criu.proto, field numbers from CRIU's rpc.proto).
 *
 * CRIU's log is never parsed for control; on failure its error lines are matched against a table of known causes (obstacle.h), which turns them
 * into an ERR_OBSTACLE with kind, process, path and remedy, and otherwise they end up in the ERR_CRIU message. */
#pragma once
#include <sys/types.h>
#include "base/err.h"
#include "core.pb-c.h"
#include "criu.pb-c.h"

/* Older ones lack `network_lock` SKIP and `images_dir`, on which checkpoint and restore rest. */
#define CRIU_VERSION_MIN 31900

/* The criu to use: `configured`, else /usr/lib/davit/criu/sbin/criu, PREFIX/lib/davit/criu/sbin/criu, then criu in PATH, the first that passes its
 * own check (the result is cached for this boot in cache_dir, NULL: not). Owned path, or NULL (ERR_UNSUPPORTED with every candidate's reason). */
char *criu_find(const char *configured, const char *cache_dir, struct err *e);
/* What criu_find() found before and would find again, without a start of criu. Owned path, or NULL: not known. */
char *criu_known(const char *configured, const char *cache_dir);
/* "4.2.1" as a number 40201. */
int criu_version(const char *criu, struct err *e);
/* What this criu and kernel can do together. 0 or -1. */
int criu_features(const char *criu, const char *tmp_dir, Criu__Features *out, struct err *e);
/* CRIU's `cpuinfo dump` image of this host, into an owned buffer; and `cpuinfo check` of another host's against this one: 0 fits, -1
 * ERR_INCOMPATIBLE. */
struct buf;
int criu_cpuinfo(const char *criu, struct buf *out, struct err *e);
int criu_cpuinfo_check(const char *criu, const void *image, size_t n, struct err *e);

/* Notifications, by CRIU's names ("setup-namespaces", "post-restore", …). 0 lets CRIU go on. fd: of orphan-pts-master, borrowed; else -1. */
struct criu_callbacks {
	int (*notify)(void *arg, const char *action, pid_t pid, int fd, struct err *e);
	void *arg;
};
/* A detached mount (open_tree(2), fsmount(2)) and where criu is to find it. */
struct criu_tree {
	int fd;
	char path[64]; /* absolute */
};
struct criu_call {
	const char *criu;
	const Criu__CriuReq *req; /* with opts; images_dir_fd and work_dir_fd are numbers of the caller */
	const int *fds;		  /* descriptors that req names otherwise (inherit_fd, ps.fd): they have the same numbers in criu */
	size_t nfds;
	int timens_fd;		       /* enter this time namespace first, or -1 */
	const char *tmp_dir;	       /* a folder on a tmpfs for the criu.kdat cache where /run is no tmpfs, or NULL */
	const struct criu_tree *trees; /* attached in this order in criu's own mount namespace */
	size_t ntrees;
	int log_dirfd; /* where opts.log_file is, or -1 */
	const struct criu_callbacks *cb;
	int cancel_fd; /* readable: CRIU is ended, or -1 */
};
/* Runs one request. Owned response, or NULL with the cause (ERR_OBSTACLE, ERR_CRIU, ERR_CANCELLED, an error of a callback, …).
 * obstacles: NULL, or gets what the log tells (appended). CRIU is a child of the caller; with rst_sibling a restored init becomes
 * one as well. A restore that failed leaves no process. */
Criu__CriuResp *criu_run(const struct criu_call *c, Davit__ObstacleList *obstacles, struct err *e);
/* The two halves of it: criu starts and makes itself ready while its caller looks up what c->req shall say. *c is borrowed until the answer. Owned,
 * or NULL. */
struct criu_running;
struct criu_running *criu_begin(const struct criu_call *c, struct err *e);
/* The second half; r is gone afterwards. */
Criu__CriuResp *criu_ask(struct criu_running *r, Davit__ObstacleList *obstacles, struct err *e);
/* Ends one that was not asked. NULL: nothing. */
void criu_end(struct criu_running *r);
