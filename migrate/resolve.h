/* What an operator risks who decides a move that waits for its other side (handover.h: EVENT_FORCED_SOURCE, EVENT_FORCED_TARGET). Said before it is
 * done. */
#pragma once
#include "migrate/handover.h"

#define RESOLVE_TEXTS 4

/* Sentences, ended by NULL; NULL itself where there is nothing to resolve. Static. */
const char *const *resolve_consequences(enum handover_state s, enum handover_event forced);
/* "source" or "target". 0 or -1 (ERR_INVALID, field "side"). */
int resolve_event_of(const char *side, enum handover_event *out, struct err *e);
/* The rule, or NULL with ERR_STATE: a move in this state needs no decision. */
const struct handover_rule *resolve_rule(const char *id, enum handover_state s, enum handover_event forced, struct err *e);
