/* What becomes of an outgoing move whose mover has gone (killed, or the host restarted): the journal and the handover's table say.
 *
 * An incoming one is taken up by target_recover (migrate/target.h). */
#pragma once
#include "migrate/core.h"
#include "migrate/handover.h"
#include "stream.pb-c.h"

struct recover {
	const char *folder; /* of the journals: FOLDER/ID/journal */
	struct core *core;
	/* Asks r->target_url/v1/peer/moves/{r->id}/state. 0 or -1 (not reached). */
	int (*ask_state)(void *arg, const Davit__MoveRecord *r, enum handover_answer *out, struct err *e);
	void *arg;
};

enum recover_result {
	RECOVER_IN_DOUBT, /* the container stays frozen: call again later */
	RECOVER_SETTLED,  /* the record's state is "done" or "aborted" */
	RECOVER_SERVE,	  /* the target runs it and lacks memory that is here: a mover has to serve it (kind "resume"), then call again */
};

/* Brings an outgoing move towards its end: an enum recover_result, and *record (owned) tells of it. -1: ERR_BUSY: its mover lives; ERR_NOT_FOUND: no
 * journal; ERR_STATE: a target's journal; others: the core failed, call again. */
int recover_source(const struct recover *r, const char *id, Davit__MoveRecord **record, struct err *e);
/* An operator's decision (EVENT_FORCED_SOURCE, EVENT_FORCED_TARGET) about an outgoing move that is in doubt. As recover_source; ERR_STATE: there is
 * nothing to decide. */
int recover_force(const struct recover *r, const char *id, enum handover_event forced, Davit__MoveRecord **record, struct err *e);
/* What this host answers to GET /v1/peer/moves/{id}/verdict: by the journal, made durable before it is told. Only to the move's own target: `peer` is
 * the name in the certificate of who asks (NULL: this host itself), and has to be the one that the journal names. ERR_DENIED. */
enum handover_verdict recover_verdict(const char *folder, const char *id, const char *peer, struct err *e);
