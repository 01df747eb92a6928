/* Outgoing moves: a job that runs one davit-mover (migrate/mover.h) and keeps its record. */
#pragma once
#include "agent/job/job.h"
#include "migrate/handover.h"

/* Starts a move; the operation's id is the move's. m stays the caller's. Owned operation, or NULL. */
Davit__Operation *mover_job_start(struct agent *a, const char *container, const Davit__MigrateRequest *m, const char *unique, struct err *e);
/* After a restart: takes up a move whose mover is gone, in a job that holds its container until the outcome is known. 0 or -1. */
int mover_job_recover(struct agent *a, const char *id, const char *container, struct err *e);
/* An operator's decision about an outgoing move (migrate/resolve.h). 0 or -1 (ERR_BUSY: a mover still works on it, ERR_STATE: nothing to decide). */
int mover_job_force(struct agent *a, const char *id, enum handover_event forced, struct err *e);
/* A job for questions to a peer: URL, TLS. m borrows from a. */
void mover_question(const struct agent *a, const char *url, const char *id, Davit__MoverJob *m);
