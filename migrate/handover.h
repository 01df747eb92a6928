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
 * Never none: every state that is not an end has a rule for RESTARTED, and ASK is repeated until both can speak.
 *
 * Memory that follows the container (modes hybrid and post-copy) adds a time after the thaw in which the target runs and the source keeps its
 * frozen copy for the pages that the target lacks: the source SERVES, the target FILLS. The copy is deleted only at the target's word that
 * everything is there (RUNS). Losing the connection changes nothing: what the container touches waits, the source keeps its memory, and
 * SERVE makes a new connection. Only a reboot of the source, which takes the memory (MEMORY_LOST), leaves a container that can never be
 * whole: the source is then GONE and the target STRANDED until an operator decides.
 *
 * An operator's force (FORCED_SOURCE: the source's copy is to go on, FORCED_TARGET: the target's) is an event like any other. It is the one way
 * to break the promises above, and the agent says so before it takes it (migrate/resolve.h). */
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
	SOURCE_SERVING,	  /* the target runs, and this frozen copy holds memory that it lacks */
	SOURCE_GONE,	  /* committed, and memory that the target may lack went with a reboot here */
	SOURCE_DONE,	  /* the target runs, this copy is gone */
	SOURCE_ABORTING,  /* decided: this copy goes on */
	SOURCE_ABORTED,	  /* it does */
	/* of a target */
	TARGET_OFFERED,
	TARGET_PREPARING, /* a place is made; data arrives; the restore runs */
	TARGET_READY,	  /* restored and frozen, and said so */
	TARGET_IN_DOUBT,  /* frozen; the source is lost; its verdict is asked for */
	TARGET_THAWING,	  /* the right to run is here */
	TARGET_FILLING,	  /* it runs; memory still follows */
	TARGET_STRANDED,  /* it runs until it touches memory that will never come */
	TARGET_RUNNING,	  /* whole */
	TARGET_DONE,	  /* the source knows */
	TARGET_DROPPING,  /* decided: it never ran here and never will */
	TARGET_DROPPED,
	HANDOVER_STATE_COUNT
};

enum handover_event {
	/* at a source */
	EVENT_ACCEPTED,	 /* the target's accept */
	EVENT_PAUSED,	 /* the container stands still */
	EVENT_READY,	 /* the target's ready */
	EVENT_COMMIT,	 /* time to commit (the ready was examined) */
	EVENT_RUNS,	 /* the target runs it and lacks nothing: its word by stream or by asking */
	EVENT_FILLS,	 /* the target runs it, memory follows; at a target: it was thawed so */
	EVENT_NEVER_RAN, /* the target's word that it never did and never will */
	EVENT_DELETED,	 /* the frozen copy is gone */
	EVENT_RESUMED,	 /* the container runs on here */
	/* at a target */
	EVENT_CHECKED,	 /* nothing speaks against the offer */
	EVENT_RESTORED,	 /* the copy is there, frozen */
	EVENT_COMMITTED, /* the source's commit, or its verdict "committed" */
	EVENT_UNDECIDED, /* the source could not be asked or has not decided */
	EVENT_THAWED,	 /* it runs, with all its memory */
	EVENT_FILLED,	 /* all memory is here, or the container has ended and needs none */
	EVENT_GONE,	 /* the source's word that it has no memory any more */
	EVENT_DONE,
	EVENT_DROPPED, /* nothing is left of it here */
	/* at both */
	EVENT_ABORTED, /* the other side's abort, or its verdict "aborted" */
	EVENT_FAILED,  /* something failed or was cancelled here */
	EVENT_LOST,    /* the connection broke */
	EVENT_RESTARTED,
	EVENT_REBOOTED,	   /* restarted, and the container here is gone with the boot it lived in */
	EVENT_MEMORY_LOST, /* at a source: as REBOOTED, and the target may lack memory that was only here */
	EVENT_FORCED_SOURCE,
	EVENT_FORCED_TARGET,
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
	ACTION_SERVE,	  /* source: send what the target lacks, over a new connection where there is none, until EVENT_RUNS */
	ACTION_PREPARE,	  /* target: make the place, then accept */
	ACTION_SEND_READY,
	ACTION_ASK_VERDICT,  /* target: ask the source */
	ACTION_THAW,	     /* target: resume, announce, then EVENT_THAWED */
	ACTION_SEND_RUNNING, /* target: and that memory follows, or all is here */
	ACTION_FILL,	     /* target: take what the source sends until EVENT_FILLED; without a connection ask for its verdict now and then */
	ACTION_GIVE_UP,	     /* target: kill the container, whose memory will not come; it stays here, stopped */
	ACTION_DROP,	     /* target: remove what was made, then EVENT_DROPPED */
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
enum handover_verdict {
	VERDICT_UNKNOWN,
	VERDICT_UNDECIDED,
	VERDICT_COMMITTED, /* thaw; memory, if any is lacking, can be had */
	VERDICT_DONE,	   /* thaw; nothing of it is left here */
	VERDICT_GONE,	   /* it went with a reboot here: a copy that lacks memory is of no use */
	VERDICT_ABORTED,
};
enum handover_answer { ANSWER_UNKNOWN, ANSWER_NEVER_RAN, ANSWER_READY, ANSWER_FILLING, ANSWER_RUNNING };
enum handover_verdict handover_verdict_in(enum handover_state s);
enum handover_answer handover_answer_in(enum handover_state s);
const char *handover_verdict_name(enum handover_verdict v);
const char *handover_answer_name(enum handover_answer a);
/* What the verdict means to a target in this state. False: nothing yet. */
bool handover_verdict_event(enum handover_verdict v, enum handover_state s, enum handover_event *out);
/* What the answer means to a source. False: nothing yet. */
bool handover_answer_event(enum handover_answer a, enum handover_event *out);
int handover_verdict_of(const char *name, enum handover_verdict *out, struct err *e);
int handover_answer_of(const char *name, enum handover_answer *out, struct err *e);
