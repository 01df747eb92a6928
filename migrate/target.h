/* The target's side of one move.
 *
 * The agent makes one object for each move id, feeds it the bytes of the upload (POST /v1/peer/moves/{id}/up) and pulls the bytes of the
 * download (GET /v1/peer/moves/{id}/down) from it. Both may block (backpressure, waiting), so each connection wants a thread of its own. A
 * third thread, the object's own, runs the handover (migrate/handover.h): it checks the offer, prepares, restores, says ready, and thaws on
 * commit; it goes on alone when both connections are gone and the outcome is in doubt: it then asks the source until it knows.
 *
 * The journal is FOLDER/ID/journal. What is answered to a source (target_state) is read from there, so it survives the process. */
#pragma once
#include <stdbool.h>
#include "base/str.h"
#include "core.pb-c.h"
#include "migrate/core.h"
#include "migrate/handover.h"
#include "stream.pb-c.h"

struct target;

/* What the agent gives to every incoming move. All callbacks may be called from any thread and may block for seconds. */
struct target_host {
	const char *folder; /* of the moves' journals, writable by the agent (STATE/agent/moves) */
	const char *peer;   /* who sends: the name in the client certificate; for the record */
	int timeout_ms;	    /* silence of the source before READY after which the move is dropped; 0: 30 s */
	/* A core socket of the move's own (core_channel(main, NULL, out, e)). 0 or -1. */
	int (*open_core)(void *arg, struct core *out, struct err *e);
	/* This host's facts, fresh. Owned, or NULL. */
	Davit__HostFacts *(*facts)(void *arg, struct err *e);
	/* Takes name, ids and addresses for the container, so that nobody else takes them meanwhile; ERR_EXISTS, … are reasons to refuse. *ids comes
	 * as the source's and goes as the range that it gets here (CRIU's images are fitted to it). Called before prepare; must outlive the process.
	 * `release` undoes it if the move is dropped, also by target_recover; it is repeated until it is done (0). Both may be NULL. */
	int (*reserve)(void *arg, const Davit__StreamOffer *offer, Davit__IdRange *ids, struct err *e);
	int (*release)(void *arg, const Davit__StreamOffer *offer, struct err *e);
	/* Asks source_url/v1/peer/moves/{move_id}/verdict (migrate/mover.h: mover_ask). 0 or -1 (not reached: asked again later). */
	int (*ask_verdict)(void *arg, const char *source_url, const char *move_id, enum handover_verdict *out, struct err *e);
	/* The record changed (state, phase); r->state "running" means that the container is this host's from now on. The last time, with finishedAt,
	 * it returns only when the end is stored, or the agent ends. May be NULL. */
	void (*changed)(void *arg, const Davit__MoveRecord *r, const Davit__StreamOffer *offer);
	void *arg;
};

/* A new incoming move, with one reference. id: 32 hex digits; *host is copied (its strings too). ERR_EXISTS: a journal of that id is there. */
struct target *target_new(const struct target_host *host, const char *id, struct err *e);
/* After a restart: takes up an unfinished move from its journal and settles it in a thread of its own (drop, ask, thaw). NULL with
 * e->code ERR_NONE: nothing was left to do. */
struct target *target_recover(const struct target_host *host, const char *id, struct err *e);
struct target *target_ref(struct target *t);
/* The last reference waits for the object's thread; drop it only once target_settled() says so or to end the process. */
void target_unref(struct target *t);

/* Bytes of the upload, in order. Blocks while the core takes them. -1: the stream is broken or the move was dropped; answer the upload and
 * call target_lost(). */
int target_feed(struct target *t, const void *p, size_t n, struct err *e);
/* A new connection of the source of a container that runs here and lacks memory (mover kind "resume"): before its first byte is fed. 0; -1: ERR_BUSY,
 * the old connection is not over yet; ERR_STATE, it lacks none. */
int target_reopen(struct target *t, struct err *e);
/* Whether they are of a connection that was lost, and was not reopened since. */
bool target_is_lost(struct target *t);
/* The upload ended or either connection broke. Safe to call more than once and after the end. */
void target_lost(struct target *t);
/* Bytes for the download: waits up to timeout_ms for at least one. Returns bytes, 0 at the end of the stream, -1 (ERR_TIMEOUT: nothing yet). */
ssize_t target_pull(struct target *t, void *buf, size_t cap, int timeout_ms, struct err *e);
/* An operator's cancel: drops the move if the source cannot have committed yet, else ERR_IN_DOUBT. */
int target_cancel(struct target *t, struct err *e);
/* An operator's decision (EVENT_FORCED_SOURCE, EVENT_FORCED_TARGET) where the move waits for its source; carried out by the object's thread. 0 or -1
 * (ERR_STATE: there is nothing to decide). */
int target_force(struct target *t, enum handover_event forced, struct err *e);
/* Asks the source now, if the move waits for it. */
void target_hurry(struct target *t);
/* True once the container runs here for good or was dropped. */
bool target_settled(struct target *t);
/* Waits for that. False on timeout. */
bool target_wait(struct target *t, int timeout_ms);
/* The record as it is now. Owned. */
Davit__MoveRecord *target_record(struct target *t, struct err *e);

/* What this host answers to GET /v1/peer/moves/{id}/state: the state by the journal, made durable before it is told.
 * Only to the move's own source: as recover_verdict() for `peer`. */
enum handover_answer target_state(const char *folder, const char *id, const char *peer, struct err *e);
