/* davit-mover, as the agent starts it: one process for each outgoing move, so that a move's client code and its memory are no part of davitd.
 *
 * It gets its job on stdin, a core socket (core_channel_fd, named after the container) as fd 3, and writes reports to stdout until the last
 * one. SIGTERM cancels a move that has not committed; SIGALRM too: its time is over. It inherits the agent's user and its lack of privileges; its
 * logs go to stderr. A mover that was killed leaves a journal: migrate/recover.h. */
#pragma once
#include "base/str.h"
#include "migrate/handover.h"
#include "stream.pb-c.h"

struct mover {
	pid_t pid;
	int pidfd;     /* owned */
	int report_fd; /* owned; readable when a report is there */
	int go_fd;     /* owned; of a group's member: mover_go(); -1 */
	struct buf partial;
};

/* Starts `program` (…/davit-mover) on a job. core_fd is borrowed, -1 for a question. 0 or -1. */
int mover_start(const char *program, const Davit__MoverJob *job, int core_fd, struct mover *out, struct err *e);
/* The next report, owned in *out. 1; 0: the mover ended (after its last report, or killed); -1 (ERR_TIMEOUT). */
int mover_next(struct mover *m, int timeout_ms, Davit__MoverReport **out, struct err *e);
/* To a group's member that waits for the others: all are as far. 0 or -1. */
int mover_go(const struct mover *m, struct err *e);
/* late: not because someone asked for it, but because its time is over. */
int mover_cancel(struct mover *m, bool late, struct err *e);
/* Waits for the process, after mover_next gave 0, and frees. Kills it if it does not end. */
void mover_close(struct mover *m);

/* Asks a peer how a move stands; url, TLS and move id from `job`, whose kind is set here. Blocks up to the job's timeout. 0 or -1. */
int mover_ask_verdict(const char *program, Davit__MoverJob *job, enum handover_verdict *out, struct err *e);
int mover_ask_state(const char *program, Davit__MoverJob *job, enum handover_answer *out, struct err *e);
