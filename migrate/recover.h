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

/* Brings an outgoing move towards its end: 1: settled, *record (owned; state "done" or "aborted") tells how; 0: in doubt, *record says so and
 * the container stays frozen: call again later. -1: ERR_BUSY: its mover lives; ERR_NOT_FOUND: no journal; ERR_STATE: a target's journal;
 * others: the core failed, call again. */
int recover_source(const struct recover *r, const char *id, Davit__MoveRecord **record, struct err *e);
/* What this host answers to GET /v1/peer/moves/{id}/verdict: by the journal, made durable before it is told. */
enum handover_verdict recover_verdict(const char *folder, const char *id, struct err *e);
