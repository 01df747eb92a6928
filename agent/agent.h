/* davitd: the agent of one host. Its root struct, which every handler and job gets.
 *
 * What it promises is in its database (db/), what runs is the core's to know (migrate/core.h). Fields are set before the first thread starts
 * and constant after that, or have a lock of their own. */
#pragma once
#include <stdatomic.h>
#include <sys/types.h>
#include "agent/db/db.h"
#include "agent/db/event.h"
#include "agent/job/group.h"
#include "agent/job/hold.h"
#include "agent/job/job.h"
#include "config.pb-c.h"
#include "migrate/core.h"

/* PEM texts, read as root. All NULL without TCP. */
struct agent_tls {
	char *cert, *key, *ca;
};

struct store;
struct session_table;
struct move_table;

struct agent {
	Davit__AgentConfig *config; /* complete (config.h) */
	struct agent_tls tls;
	char *snapshot_key; /* content of the file, read as root; NULL without */
	size_t snapshot_key_len;
	gid_t socket_gid; /* of socketGroup, or (gid_t)-1 */
	struct core core; /* shared, for short exchanges; long ones open a channel */
	struct db *db;
	struct event_bus events;
	struct job_table jobs;
	struct hold_table holds;
	struct group_table groups;	/* of outgoing moves */
	struct session_table *sessions; /* of exec and attach */
	struct move_table *moves;	/* incoming ones */
	struct store *store;		/* of snapshots */
	char *mover;			/* path of davit-mover */
	char *moves_dir, *logs_dir;
	atomic_bool stopping;
	atomic_uint requests; /* taken so far: whether it is quiet */
};
