/* Jobs: long work in a thread of its own, told to clients as an Operation.
 *
 * A job holds its container (hold.h) until it ends. Its operation is on disk before the answer to who asked for it, and again when it ended;
 * between, its progress is kept in memory only. An operation that a dead agent left running is told as interrupted (db/operation.h). */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include "api.pb-c.h"
#include "base/err.h"

struct agent;
struct job;

struct job_table {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct job *first;
	unsigned running;
};

struct job_kind {
	const char *name; /* as Operation.kind */
	const char *hold; /* as hold_take's `what` */
	/* Does the work; 0 or -1. Looks at job_cancelled() between steps. */
	int (*run)(struct job *j, void *arg, struct err *e);
	/* Frees arg; called once, also if the job could not be started. */
	void (*free_arg)(void *arg);
};

void job_table_init(struct job_table *t);
/* Starts a job and gives its operation as it stands (owned). id: 32 hex digits to use, or NULL. Owns arg in any case. NULL: ERR_BUSY (the
 * container), ERR_LIMIT (too many operations), … */
Davit__Operation *job_start(struct agent *a, const struct job_kind *kind, const char *container, const char *id, void *arg, struct err *e);

/* For the job's own thread. */
struct agent *job_agent(const struct job *j);
const char *job_id(const struct job *j);
const char *job_container(const struct job *j);
void job_phase(struct job *j, const char *phase);
/* total 0: not known. Rate and ETA are made from the pace of the last seconds. */
void job_bytes(struct job *j, uint64_t done, uint64_t total);
/* Changes the operation under its lock. */
void job_update(struct job *j, void (*change)(Davit__Operation *op, void *arg), void *arg);
/* Details of an error (obstacles, reasons) for the operation. Takes over. */
void job_details(struct job *j, Davit__Error *details);
bool job_cancelled(const struct job *j);
/* Readable once the job was cancelled. Borrowed. */
int job_cancel_fd(const struct job *j);

/* Waits up to ms, less if someone wakes the job or it is cancelled or the agent ends. */
void job_sleep(struct job *j, int ms);

/* For requests. Operations of running jobs as they stand, others from the database. Owned. */
Davit__Operation *job_get(struct agent *a, const char *id, struct err *e);
/* As job_get, after the job ended or wait_ms passed, or the agent stops. */
Davit__Operation *job_wait(struct agent *a, const char *id, int wait_ms, struct err *e);
/* 0 or -1 (ERR_NOT_FOUND, ERR_STATE: ended already). */
int job_cancel(struct agent *a, const char *id, struct err *e);
/* Ends a job's sleep. 0 or -1 (ERR_NOT_FOUND: no such job runs). */
int job_wake(struct agent *a, const char *id, struct err *e);
/* Puts what running jobs know into a list read from the database. */
int job_refresh(struct agent *a, Davit__OperationList *list, struct err *e);
/* Cancels all and waits up to wait_ms for them to end. */
void job_stop_all(struct agent *a, int wait_ms);
