/* The handover: who may run the container, when, as one table (docs/ARCHITECTURE.md tells the story).
 *
 * A move has a source and a target; each is a state machine over its own journal (migrate/journal.h). handover_next() looks up (state, event)
 * and gives the next state and the action to take. The code, the recovery after a restart, the tests and the model all use this one table.
 *
 * A rule's `order` says how the journal and the action stand to each other:
 *   WRITE   the entry is written, then the action is taken (a restart before the action finds the entry and takes the action again)
 *   SYNC    the entry is on disk before the action is taken: the other side will rely on it
 * Every action may be repeated (resume of a running container, drop of a dropped one); that is why a decision (aborting, dropping) and its
 * completion (aborted, dropped) are two states: after the second, a restart touches nothing.
 *
 * Never two: a source that is COMMITTED has no rule that thaws, but the target's word that it never ran; a target thaws only by COMMIT or by
 * the source's verdict "committed", and says "never ran" only with DROPPING on disk, out of which no rule leads to a thaw.
 * Never none: every state that is not an end has a rule for RESTARTED, and ASK is repeated until both can speak. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

enum handover_side { HANDOVER_SOURCE, HANDOVER_TARGET };

enum handover_state {
	/* of a source */
	SOURCE_OFFERED,	  /* asked; the container is untouched */
	SOURCE_ACCEPTED,  /* the target is prepared; the container is about to be, or is being, frozen */
	SOURCE_FROZEN,	  /* frozen and on its way */
	SOURCE_READY,	  /* the target holds a frozen copy */
	SOURCE_COMMITTED, /* the target may thaw; this side may not */
	SOURCE_DONE,	  /* the target runs, this copy is gone */
	SOURCE_ABORTING,  /* decided: this copy goes on */
	SOURCE_ABORTED,	  /* it does */
	/* of a target */
	TARGET_OFFERED,
	TARGET_PREPARING, /* a place is made; data arrives; the restore runs */
	TARGET_READY,	  /* restored and frozen, and said so */
	TARGET_IN_DOUBT,  /* frozen; the source is lost; its verdict is asked for */
	TARGET_THAWING,	  /* the right to run is here */
	TARGET_RUNNING,
	TARGET_DONE,	 /* the source knows */
	TARGET_DROPPING, /* decided: it never ran here and never will */
	TARGET_DROPPED,
	HANDOVER_STATE_COUNT
};

enum handover_event {
	/* at a source */
	EVENT_ACCEPTED,	 /* the target's accept */
	EVENT_PAUSED,	 /* the container stands still */
	EVENT_READY,	 /* the target's ready */
	EVENT_COMMIT,	 /* time to commit (the ready was examined) */
	EVENT_RUNS,	 /* the target runs it: its word by stream or by asking */
	EVENT_NEVER_RAN, /* the target's word that it never did and never will */
	EVENT_DELETED,	 /* the frozen copy is gone */
	EVENT_RESUMED,	 /* the container runs on here */
	/* at a target */
	EVENT_CHECKED,	 /* nothing speaks against the offer */
	EVENT_RESTORED,	 /* the copy is there, frozen */
	EVENT_COMMITTED, /* the source's commit, or its verdict "committed" */
	EVENT_UNDECIDED, /* the source could not be asked or has not decided */
	EVENT_THAWED,
	EVENT_DONE,
	EVENT_DROPPED, /* nothing is left of it here */
	/* at both */
	EVENT_ABORTED, /* the other side's abort, or its verdict "aborted" */
	EVENT_FAILED,  /* something failed or was cancelled here */
	EVENT_LOST,    /* the connection broke */
	EVENT_RESTARTED,
	EVENT_REBOOTED, /* restarted, and the container here is gone with the boot it lived in */
	HANDOVER_EVENT_COUNT
};

enum handover_action {
	ACTION_NONE,
	ACTION_PAUSE,  /* source: freeze, network held */
	ACTION_DUMP,   /* source: send everything */
	ACTION_DECIDE, /* source: examine the ready, then EVENT_COMMIT or EVENT_FAILED */
	ACTION_SEND_COMMIT,
	ACTION_DELETE, /* source: destroy the frozen copy, then EVENT_DELETED */
	ACTION_SEND_DONE,
	ACTION_RESUME,	  /* source: let the container go on (a no-op if it never stood), then EVENT_RESUMED */
	ACTION_ASK_STATE, /* source: ask the target what became of it */
	ACTION_PREPARE,	  /* target: make the place, then accept */
	ACTION_SEND_READY,
	ACTION_ASK_VERDICT, /* target: ask the source */
	ACTION_THAW,	    /* target: resume, announce, then EVENT_THAWED */
	ACTION_SEND_RUNNING,
	ACTION_DROP, /* target: remove what was made, then EVENT_DROPPED */
	HANDOVER_ACTION_COUNT
};

enum handover_order { ORDER_WRITE, ORDER_SYNC };

struct handover_rule {
	enum handover_state state;
	enum handover_event event;
	enum handover_state next;
	enum handover_action action;
	enum handover_order order;
};

/* The table, for tests and for the model's generator. */
const struct handover_rule *handover_rules(size_t *n);
/* The rule for an event, or NULL: the event means nothing in this state (and is ignored or, from the other side, a breach of the protocol). */
const struct handover_rule *handover_next(enum handover_state s, enum handover_event ev);
enum handover_side handover_side_of(enum handover_state s);
/* Nothing is left to do: done, aborted, dropped; a running target too (only its source may have). */
bool handover_is_settled(enum handover_state s);
/* Stable names: "offered", "accepted", … unique within a side. */
const char *handover_state_name(enum handover_state s);
const char *handover_event_name(enum handover_event ev);
const char *handover_action_name(enum handover_action a);
int handover_state_of(enum handover_side side, const char *name, enum handover_state *out, struct err *e);

/* What a source answers about a move (MoveVerdict), and what a target does (MoveState). */
enum handover_verdict { VERDICT_UNKNOWN, VERDICT_UNDECIDED, VERDICT_COMMITTED, VERDICT_ABORTED };
enum handover_answer { ANSWER_UNKNOWN, ANSWER_NEVER_RAN, ANSWER_READY, ANSWER_RUNNING };
enum handover_verdict handover_verdict_in(enum handover_state s);
enum handover_answer handover_answer_in(enum handover_state s);
const char *handover_verdict_name(enum handover_verdict v);
const char *handover_answer_name(enum handover_answer a);
int handover_verdict_of(const char *name, enum handover_verdict *out, struct err *e);
int handover_answer_of(const char *name, enum handover_answer *out, struct err *e);
