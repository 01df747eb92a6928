/* Jobs on snapshots: making them, and bringing containers back from them. */
#pragma once
#include "agent/job/job.h"

struct snapshot_args {
	Davit__SnapshotCreate *request; /* owned, may be NULL */
	const char *unique;		/* the operation's id, borrowed; empty: a new one */
	bool stop;			/* a checkpoint: the container is gone from the host afterwards, but for its snapshot */
};
/* Takes the members of args over. Owned operation, or NULL. */
Davit__Operation *snapshot_job_create(struct agent *a, const char *container, struct snapshot_args args, struct err *e);

struct restore_args {
	const char *unique;		 /* as above */
	char *snapshot;			 /* owned id */
	Davit__SnapshotRestore *request; /* owned */
	bool checkpoint;		 /* of a checkpointed container: its connections are kept */
};
/* container: the name it gets. Takes the members of args over. Owned operation, or NULL. */
Davit__Operation *snapshot_job_restore(struct agent *a, const char *container, struct restore_args args, struct err *e);
