/* Parts of criu_obstacles(), one for each place of /proc. All append to the list; a process that is gone is no error. */
#pragma once
#include "runtime/criu/mountinfo.h"
#include "runtime/criu/obstacle.h"

struct scan {
	const struct obstacle_scan *o;
	const pid_t *pids; /* all of the container */
	size_t npids;
	struct mountinfo mounts; /* of init */
	Davit__ObstacleList *out;
};
/* A new obstacle of a process, already in the list; the caller adds fd and path. NULL on error. */
Davit__Obstacle *scan_add(struct scan *s, pid_t pid, const char *kind, const char *detail, struct err *e);
bool scan_has(const struct scan *s, pid_t pid);
int scan_fds(struct scan *s, pid_t pid, struct err *e);
int scan_maps(struct scan *s, pid_t pid, struct err *e);
int scan_namespaces(struct scan *s, pid_t pid, struct err *e);
int scan_status(struct scan *s, pid_t pid, struct err *e);
int scan_locks(struct scan *s, struct err *e);
int scan_sockets(struct scan *s, struct err *e);
int scan_network(struct scan *s, struct err *e);
