/* Why a container cannot be dumped or restored as it is: kinds, reasons and remedies.
 *
 * One table serves two readers: obstacle_of_log() matches the error lines that CRIU left, criu_obstacles() (scan.c) looks at running
 * processes without stopping them. Kinds are stable names; docs and tests rest on them. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/err.h"
#include "core.pb-c.h"
#include "oci.pb-c.h"
#include "spec.pb-c.h"
#include "state.pb-c.h"

struct obstacle_kind {
	const char *kind;   /* "io_uring" */
	const char *reason; /* what stands in the way, a sentence without its full stop */
	const char *remedy; /* what the reader can do */
};
extern const struct obstacle_kind obstacle_kinds[];
extern const size_t obstacle_kinds_count;
/* NULL if unknown. */
const struct obstacle_kind *obstacle_kind(const char *kind);

/* Owned; detail (may be NULL) is put behind the table's reason. */
Davit__Obstacle *obstacle_new(const char *kind, const char *detail, struct err *e);
/* Appends the obstacles that a CRIU log of n bytes tells of; an unknown cause adds nothing. 0 or -1. */
int obstacle_of_log(const char *log, size_t n, Davit__ObstacleList *out, struct err *e);
/* Of what a log told and what a look at the container has shown, the look says more (process, descriptor). If both agree on the cause, or the log
 * told none, `seen` takes the place of `told`, the agreed kind first. True if so. */
bool obstacle_prefer(Davit__ObstacleList *told, Davit__ObstacleList *seen);
/* Sets e to ERR_OBSTACLE from the list's first item: its reason with process and path, its remedy. Returns -1. */
int obstacle_err(const Davit__ObstacleList *list, struct err *e);

struct obstacle_scan {
	bool tcp_close;	 /* established connections are closed, not kept */
	bool file_locks; /* locks are dumped */
	bool shell_job;
	bool ext_unix_sk;		      /* a datagram socket to the outside is let go */
	pid_t init;			      /* of the container */
	const Davit__OciSpec *spec;	      /* NULL: what is not seen from outside is not told */
	const Davit__RuntimeNetwork *network; /* its attachments, or NULL */
};
/* The part of the look that costs next to nothing: tracers, sessions and exec sessions, which CRIU itself would only find by waiting. 0 or -1. */
int criu_obstacles_early(const pid_t *pids, size_t n, const struct obstacle_scan *o, Davit__ObstacleList *out, struct err *e);
/* Looks at running processes (host pids; nothing is stopped or changed) through /proc. Owned list, NULL only on an error of the look itself; a
 * process that ends meanwhile is left out. */
Davit__ObstacleList *criu_obstacles(const pid_t *pids, size_t n, const struct obstacle_scan *o, struct err *e);
