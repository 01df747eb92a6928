/* The handover's table and the names of its parts. See handover.h for what the columns mean.
 *
 * What a source does after an event depends on nothing but its state, and the same holds for a target, so the table is the whole protocol. */
#include "migrate/handover.h"
#include <string.h>
#include "base/mem.h"
#include "base/str.h"

static const struct handover_rule rules[] = {
	/* A source before COMMITTED: any failure lets its own container go on. Its first entry precedes the offer: a target that asks finds the move
	 * known. ACCEPTED is on disk before the freeze, and ABORTING before the container goes on, so that a reboot of the host, which ends the
	 * container here, may leave it to a target that holds a frozen copy of it: the copy cannot be older than what ran. If the target has none
	 * it answers that it never ran. A copy that lacks memory is worth nothing after the reboot: then the move is given up, and the container has
	 * ended here as by any reboot. */
	{ SOURCE_OFFERED, EVENT_ACCEPTED, SOURCE_ACCEPTED, ACTION_PAUSE, ORDER_SYNC },
	{ SOURCE_OFFERED, EVENT_ABORTED, SOURCE_ABORTING, ACTION_RESUME, ORDER_WRITE },
	{ SOURCE_OFFERED, EVENT_FAILED, SOURCE_ABORTING, ACTION_RESUME, ORDER_WRITE },
	{ SOURCE_OFFERED, EVENT_LOST, SOURCE_ABORTING, ACTION_RESUME, ORDER_WRITE },
	{ SOURCE_OFFERED, EVENT_RESTARTED, SOURCE_ABORTING, ACTION_RESUME, ORDER_WRITE },
	{ SOURCE_OFFERED, EVENT_REBOOTED, SOURCE_ABORTING, ACTION_RESUME, ORDER_WRITE },
	{ SOURCE_OFFERED, EVENT_MEMORY_LOST, SOURCE_ABORTING, ACTION_RESUME, ORDER_WRITE },
	{ SOURCE_ACCEPTED, EVENT_PAUSED, SOURCE_FROZEN, ACTION_DUMP, ORDER_WRITE },
	{ SOURCE_ACCEPTED, EVENT_ABORTED, SOURCE_ABORTING, ACTION_RESUME, ORDER_SYNC },
	{ SOURCE_ACCEPTED, EVENT_FAILED, SOURCE_ABORTING, ACTION_RESUME, ORDER_SYNC },
	{ SOURCE_ACCEPTED, EVENT_LOST, SOURCE_ABORTING, ACTION_RESUME, ORDER_SYNC },
	{ SOURCE_ACCEPTED, EVENT_RESTARTED, SOURCE_ABORTING, ACTION_RESUME, ORDER_SYNC },
	{ SOURCE_ACCEPTED, EVENT_REBOOTED, SOURCE_COMMITTED, ACTION_ASK_STATE, ORDER_SYNC },
	{ SOURCE_ACCEPTED, EVENT_MEMORY_LOST, SOURCE_ABORTING, ACTION_RESUME, ORDER_SYNC },
	{ SOURCE_FROZEN, EVENT_READY, SOURCE_READY, ACTION_DECIDE, ORDER_WRITE },
	{ SOURCE_FROZEN, EVENT_ABORTED, SOURCE_ABORTING, ACTION_RESUME, ORDER_SYNC },
	{ SOURCE_FROZEN, EVENT_FAILED, SOURCE_ABORTING, ACTION_RESUME, ORDER_SYNC },
	{ SOURCE_FROZEN, EVENT_LOST, SOURCE_ABORTING, ACTION_RESUME, ORDER_SYNC },
	{ SOURCE_FROZEN, EVENT_RESTARTED, SOURCE_ABORTING, ACTION_RESUME, ORDER_SYNC },
	{ SOURCE_FROZEN, EVENT_REBOOTED, SOURCE_COMMITTED, ACTION_ASK_STATE, ORDER_SYNC },
	{ SOURCE_FROZEN, EVENT_MEMORY_LOST, SOURCE_ABORTING, ACTION_RESUME, ORDER_SYNC },
	{ SOURCE_READY, EVENT_COMMIT, SOURCE_COMMITTED, ACTION_SEND_COMMIT, ORDER_SYNC },
	{ SOURCE_READY, EVENT_ABORTED, SOURCE_ABORTING, ACTION_RESUME, ORDER_SYNC },
	{ SOURCE_READY, EVENT_FAILED, SOURCE_ABORTING, ACTION_RESUME, ORDER_SYNC },
	{ SOURCE_READY, EVENT_LOST, SOURCE_ABORTING, ACTION_RESUME, ORDER_SYNC },
	{ SOURCE_READY, EVENT_RESTARTED, SOURCE_ABORTING, ACTION_RESUME, ORDER_SYNC },
	{ SOURCE_READY, EVENT_REBOOTED, SOURCE_COMMITTED, ACTION_ASK_STATE, ORDER_SYNC },
	{ SOURCE_READY, EVENT_MEMORY_LOST, SOURCE_ABORTING, ACTION_RESUME, ORDER_SYNC },
	/* Committed: only the target's word moves it. Its abort on the stream is not its word yet: only an answer that it never ran is. */
	{ SOURCE_COMMITTED, EVENT_RUNS, SOURCE_COMMITTED, ACTION_DELETE, ORDER_WRITE },
	{ SOURCE_COMMITTED, EVENT_FILLS, SOURCE_SERVING, ACTION_SERVE, ORDER_WRITE },
	{ SOURCE_COMMITTED, EVENT_DELETED, SOURCE_DONE, ACTION_SEND_DONE, ORDER_SYNC },
	{ SOURCE_COMMITTED, EVENT_NEVER_RAN, SOURCE_ABORTING, ACTION_RESUME, ORDER_SYNC },
	{ SOURCE_COMMITTED, EVENT_ABORTED, SOURCE_COMMITTED, ACTION_ASK_STATE, ORDER_WRITE },
	{ SOURCE_COMMITTED, EVENT_FAILED, SOURCE_COMMITTED, ACTION_ASK_STATE, ORDER_WRITE },
	{ SOURCE_COMMITTED, EVENT_LOST, SOURCE_COMMITTED, ACTION_ASK_STATE, ORDER_WRITE },
	{ SOURCE_COMMITTED, EVENT_RESTARTED, SOURCE_COMMITTED, ACTION_ASK_STATE, ORDER_WRITE },
	{ SOURCE_COMMITTED, EVENT_REBOOTED, SOURCE_COMMITTED, ACTION_ASK_STATE, ORDER_WRITE },
	{ SOURCE_COMMITTED, EVENT_MEMORY_LOST, SOURCE_GONE, ACTION_ASK_STATE, ORDER_SYNC },
	{ SOURCE_COMMITTED, EVENT_FORCED_SOURCE, SOURCE_ABORTING, ACTION_RESUME, ORDER_SYNC },
	{ SOURCE_COMMITTED, EVENT_FORCED_TARGET, SOURCE_COMMITTED, ACTION_DELETE, ORDER_WRITE },
	/* Serving: the target runs. Whatever happens to the connection, to the mover or to the agent, the copy is kept and the target asked: while it
	 * fills it is served again, over another connection. */
	{ SOURCE_SERVING, EVENT_FILLS, SOURCE_SERVING, ACTION_SERVE, ORDER_WRITE },
	{ SOURCE_SERVING, EVENT_RUNS, SOURCE_SERVING, ACTION_DELETE, ORDER_WRITE },
	{ SOURCE_SERVING, EVENT_DELETED, SOURCE_DONE, ACTION_SEND_DONE, ORDER_SYNC },
	{ SOURCE_SERVING, EVENT_NEVER_RAN, SOURCE_ABORTING, ACTION_RESUME, ORDER_SYNC },
	{ SOURCE_SERVING, EVENT_ABORTED, SOURCE_SERVING, ACTION_ASK_STATE, ORDER_WRITE },
	{ SOURCE_SERVING, EVENT_FAILED, SOURCE_SERVING, ACTION_ASK_STATE, ORDER_WRITE },
	{ SOURCE_SERVING, EVENT_LOST, SOURCE_SERVING, ACTION_ASK_STATE, ORDER_WRITE },
	{ SOURCE_SERVING, EVENT_RESTARTED, SOURCE_SERVING, ACTION_ASK_STATE, ORDER_WRITE },
	{ SOURCE_SERVING, EVENT_REBOOTED, SOURCE_GONE, ACTION_ASK_STATE, ORDER_SYNC },
	{ SOURCE_SERVING, EVENT_MEMORY_LOST, SOURCE_GONE, ACTION_ASK_STATE, ORDER_SYNC },
	{ SOURCE_SERVING, EVENT_FORCED_SOURCE, SOURCE_ABORTING, ACTION_RESUME, ORDER_SYNC },
	{ SOURCE_SERVING, EVENT_FORCED_TARGET, SOURCE_SERVING, ACTION_DELETE, ORDER_WRITE },
	/* Gone: a target that had not thawed drops its copy on this verdict, one that had may still become whole of what had arrived. */
	{ SOURCE_GONE, EVENT_RUNS, SOURCE_GONE, ACTION_DELETE, ORDER_WRITE },
	{ SOURCE_GONE, EVENT_DELETED, SOURCE_DONE, ACTION_SEND_DONE, ORDER_SYNC },
	{ SOURCE_GONE, EVENT_NEVER_RAN, SOURCE_ABORTING, ACTION_RESUME, ORDER_SYNC },
	{ SOURCE_GONE, EVENT_RESTARTED, SOURCE_GONE, ACTION_ASK_STATE, ORDER_WRITE },
	{ SOURCE_GONE, EVENT_REBOOTED, SOURCE_GONE, ACTION_ASK_STATE, ORDER_WRITE },
	{ SOURCE_GONE, EVENT_MEMORY_LOST, SOURCE_GONE, ACTION_ASK_STATE, ORDER_WRITE },
	{ SOURCE_GONE, EVENT_FORCED_SOURCE, SOURCE_ABORTING, ACTION_RESUME, ORDER_SYNC },
	{ SOURCE_GONE, EVENT_FORCED_TARGET, SOURCE_GONE, ACTION_DELETE, ORDER_WRITE },
	{ SOURCE_ABORTING, EVENT_RESUMED, SOURCE_ABORTED, ACTION_NONE, ORDER_SYNC },
	{ SOURCE_ABORTING, EVENT_FAILED, SOURCE_ABORTING, ACTION_RESUME, ORDER_WRITE },
	{ SOURCE_ABORTING, EVENT_RESTARTED, SOURCE_ABORTING, ACTION_RESUME, ORDER_WRITE },
	{ SOURCE_ABORTING, EVENT_REBOOTED, SOURCE_ABORTING, ACTION_RESUME, ORDER_WRITE },
	{ SOURCE_ABORTING, EVENT_MEMORY_LOST, SOURCE_ABORTING, ACTION_RESUME, ORDER_WRITE },

	/* A target before READY: the source cannot have committed, so any failure drops. */
	{ TARGET_OFFERED, EVENT_CHECKED, TARGET_PREPARING, ACTION_PREPARE, ORDER_WRITE },
	{ TARGET_OFFERED, EVENT_ABORTED, TARGET_DROPPING, ACTION_DROP, ORDER_SYNC },
	{ TARGET_OFFERED, EVENT_FAILED, TARGET_DROPPING, ACTION_DROP, ORDER_SYNC },
	{ TARGET_OFFERED, EVENT_LOST, TARGET_DROPPING, ACTION_DROP, ORDER_SYNC },
	{ TARGET_OFFERED, EVENT_RESTARTED, TARGET_DROPPING, ACTION_DROP, ORDER_SYNC },
	{ TARGET_OFFERED, EVENT_REBOOTED, TARGET_DROPPING, ACTION_DROP, ORDER_SYNC },
	{ TARGET_PREPARING, EVENT_RESTORED, TARGET_READY, ACTION_SEND_READY, ORDER_WRITE },
	{ TARGET_PREPARING, EVENT_ABORTED, TARGET_DROPPING, ACTION_DROP, ORDER_SYNC },
	{ TARGET_PREPARING, EVENT_FAILED, TARGET_DROPPING, ACTION_DROP, ORDER_SYNC },
	{ TARGET_PREPARING, EVENT_LOST, TARGET_DROPPING, ACTION_DROP, ORDER_SYNC },
	{ TARGET_PREPARING, EVENT_RESTARTED, TARGET_DROPPING, ACTION_DROP, ORDER_SYNC },
	{ TARGET_PREPARING, EVENT_REBOOTED, TARGET_DROPPING, ACTION_DROP, ORDER_SYNC },
	/* Ready: the source may have committed. Losing it is doubt. A READY entry that a crash of the host lost is no harm: the copy went too. */
	{ TARGET_READY, EVENT_COMMITTED, TARGET_THAWING, ACTION_THAW, ORDER_SYNC },
	{ TARGET_READY, EVENT_ABORTED, TARGET_DROPPING, ACTION_DROP, ORDER_SYNC },
	{ TARGET_READY, EVENT_FAILED, TARGET_DROPPING, ACTION_DROP, ORDER_SYNC },
	{ TARGET_READY, EVENT_LOST, TARGET_IN_DOUBT, ACTION_ASK_VERDICT, ORDER_WRITE },
	{ TARGET_READY, EVENT_RESTARTED, TARGET_IN_DOUBT, ACTION_ASK_VERDICT, ORDER_WRITE },
	{ TARGET_READY, EVENT_REBOOTED, TARGET_DROPPING, ACTION_DROP, ORDER_SYNC },
	{ TARGET_IN_DOUBT, EVENT_COMMITTED, TARGET_THAWING, ACTION_THAW, ORDER_SYNC },
	{ TARGET_IN_DOUBT, EVENT_ABORTED, TARGET_DROPPING, ACTION_DROP, ORDER_SYNC },
	{ TARGET_IN_DOUBT, EVENT_UNDECIDED, TARGET_IN_DOUBT, ACTION_ASK_VERDICT, ORDER_WRITE },
	{ TARGET_IN_DOUBT, EVENT_FAILED, TARGET_DROPPING, ACTION_DROP, ORDER_SYNC },
	{ TARGET_IN_DOUBT, EVENT_RESTARTED, TARGET_IN_DOUBT, ACTION_ASK_VERDICT, ORDER_WRITE },
	{ TARGET_IN_DOUBT, EVENT_REBOOTED, TARGET_DROPPING, ACTION_DROP, ORDER_SYNC },
	{ TARGET_IN_DOUBT, EVENT_GONE, TARGET_DROPPING, ACTION_DROP, ORDER_SYNC },
	{ TARGET_IN_DOUBT, EVENT_FORCED_SOURCE, TARGET_DROPPING, ACTION_DROP, ORDER_SYNC },
	{ TARGET_IN_DOUBT, EVENT_FORCED_TARGET, TARGET_THAWING, ACTION_THAW, ORDER_SYNC },
	/* Thawing: it may have run already, so there is no way back, not even over a reboot, which then ended it as it ends any container. */
	{ TARGET_THAWING, EVENT_THAWED, TARGET_RUNNING, ACTION_SEND_RUNNING, ORDER_WRITE },
	{ TARGET_THAWING, EVENT_FILLS, TARGET_FILLING, ACTION_SEND_RUNNING, ORDER_WRITE },
	{ TARGET_THAWING, EVENT_FAILED, TARGET_THAWING, ACTION_THAW, ORDER_WRITE },
	{ TARGET_THAWING, EVENT_RESTARTED, TARGET_THAWING, ACTION_THAW, ORDER_WRITE },
	{ TARGET_THAWING, EVENT_REBOOTED, TARGET_RUNNING, ACTION_NONE, ORDER_WRITE },
	/* Filling: it runs, so there is no way back either, but an operator's, here or (its verdict then being "aborted") at the source. */
	{ TARGET_FILLING, EVENT_FILLED, TARGET_RUNNING, ACTION_SEND_RUNNING, ORDER_WRITE },
	{ TARGET_FILLING, EVENT_GONE, TARGET_STRANDED, ACTION_FILL, ORDER_WRITE },
	{ TARGET_FILLING, EVENT_ABORTED, TARGET_DROPPING, ACTION_DROP, ORDER_SYNC },
	{ TARGET_FILLING, EVENT_UNDECIDED, TARGET_FILLING, ACTION_FILL, ORDER_WRITE },
	{ TARGET_FILLING, EVENT_FAILED, TARGET_FILLING, ACTION_FILL, ORDER_WRITE },
	{ TARGET_FILLING, EVENT_LOST, TARGET_FILLING, ACTION_FILL, ORDER_WRITE },
	{ TARGET_FILLING, EVENT_RESTARTED, TARGET_FILLING, ACTION_FILL, ORDER_WRITE },
	{ TARGET_FILLING, EVENT_REBOOTED, TARGET_RUNNING, ACTION_NONE, ORDER_WRITE },
	{ TARGET_FILLING, EVENT_FORCED_SOURCE, TARGET_DROPPING, ACTION_DROP, ORDER_SYNC },
	{ TARGET_FILLING, EVENT_FORCED_TARGET, TARGET_RUNNING, ACTION_GIVE_UP, ORDER_WRITE },
	{ TARGET_STRANDED, EVENT_FILLED, TARGET_RUNNING, ACTION_SEND_RUNNING, ORDER_WRITE },
	{ TARGET_STRANDED, EVENT_UNDECIDED, TARGET_STRANDED, ACTION_FILL, ORDER_WRITE },
	{ TARGET_STRANDED, EVENT_FAILED, TARGET_STRANDED, ACTION_FILL, ORDER_WRITE },
	{ TARGET_STRANDED, EVENT_ABORTED, TARGET_DROPPING, ACTION_DROP, ORDER_SYNC },
	{ TARGET_STRANDED, EVENT_RESTARTED, TARGET_STRANDED, ACTION_FILL, ORDER_WRITE },
	{ TARGET_STRANDED, EVENT_REBOOTED, TARGET_RUNNING, ACTION_NONE, ORDER_WRITE },
	{ TARGET_STRANDED, EVENT_FORCED_SOURCE, TARGET_DROPPING, ACTION_DROP, ORDER_SYNC },
	{ TARGET_STRANDED, EVENT_FORCED_TARGET, TARGET_RUNNING, ACTION_GIVE_UP, ORDER_WRITE },
	{ TARGET_RUNNING, EVENT_DONE, TARGET_DONE, ACTION_NONE, ORDER_WRITE },
	{ TARGET_DROPPING, EVENT_DROPPED, TARGET_DROPPED, ACTION_NONE, ORDER_WRITE },
	{ TARGET_DROPPING, EVENT_FAILED, TARGET_DROPPING, ACTION_DROP, ORDER_WRITE },
	{ TARGET_DROPPING, EVENT_RESTARTED, TARGET_DROPPING, ACTION_DROP, ORDER_WRITE },
	{ TARGET_DROPPING, EVENT_REBOOTED, TARGET_DROPPING, ACTION_DROP, ORDER_WRITE },
};

static const char *const state_names[HANDOVER_STATE_COUNT] = {
	[SOURCE_OFFERED] = "offered",	  [SOURCE_ACCEPTED] = "accepted", [SOURCE_FROZEN] = "frozen",	[SOURCE_READY] = "ready",
	[SOURCE_COMMITTED] = "committed", [SOURCE_SERVING] = "serving",	  [SOURCE_GONE] = "gone",	[SOURCE_DONE] = "done",
	[SOURCE_ABORTING] = "aborting",	  [SOURCE_ABORTED] = "aborted",	  [TARGET_OFFERED] = "offered", [TARGET_PREPARING] = "preparing",
	[TARGET_READY] = "ready",	  [TARGET_IN_DOUBT] = "in_doubt", [TARGET_THAWING] = "thawing", [TARGET_FILLING] = "filling",
	[TARGET_STRANDED] = "stranded",	  [TARGET_RUNNING] = "running",	  [TARGET_DONE] = "done",	[TARGET_DROPPING] = "dropping",
	[TARGET_DROPPED] = "dropped",
};

static const char *const event_names[HANDOVER_EVENT_COUNT] = {
	[EVENT_ACCEPTED] = "accepted",
	[EVENT_PAUSED] = "paused",
	[EVENT_READY] = "ready",
	[EVENT_COMMIT] = "commit",
	[EVENT_RUNS] = "runs",
	[EVENT_NEVER_RAN] = "never_ran",
	[EVENT_DELETED] = "deleted",
	[EVENT_RESUMED] = "resumed",
	[EVENT_CHECKED] = "checked",
	[EVENT_RESTORED] = "restored",
	[EVENT_COMMITTED] = "committed",
	[EVENT_UNDECIDED] = "undecided",
	[EVENT_THAWED] = "thawed",
	[EVENT_DONE] = "done",
	[EVENT_DROPPED] = "dropped",
	[EVENT_REBOOTED] = "rebooted",
	[EVENT_FILLS] = "fills",
	[EVENT_FILLED] = "filled",
	[EVENT_GONE] = "gone",
	[EVENT_MEMORY_LOST] = "memory_lost",
	[EVENT_FORCED_SOURCE] = "forced_source",
	[EVENT_FORCED_TARGET] = "forced_target",
	[EVENT_ABORTED] = "aborted",
	[EVENT_FAILED] = "failed",
	[EVENT_LOST] = "lost",
	[EVENT_RESTARTED] = "restarted",
};

static const char *const action_names[HANDOVER_ACTION_COUNT] = {
	[ACTION_NONE] = "none",
	[ACTION_PAUSE] = "pause",
	[ACTION_DUMP] = "dump",
	[ACTION_DECIDE] = "decide",
	[ACTION_SEND_COMMIT] = "send_commit",
	[ACTION_DELETE] = "delete",
	[ACTION_SEND_DONE] = "send_done",
	[ACTION_RESUME] = "resume",
	[ACTION_ASK_STATE] = "ask_state",
	[ACTION_SERVE] = "serve",
	[ACTION_PREPARE] = "prepare",
	[ACTION_SEND_READY] = "send_ready",
	[ACTION_ASK_VERDICT] = "ask_verdict",
	[ACTION_THAW] = "thaw",
	[ACTION_SEND_RUNNING] = "send_running",
	[ACTION_FILL] = "fill",
	[ACTION_GIVE_UP] = "give_up",
	[ACTION_DROP] = "drop",
};

static const char *const verdict_names[] = {
	[VERDICT_UNKNOWN] = "unknown", [VERDICT_UNDECIDED] = "undecided", [VERDICT_COMMITTED] = "committed",
	[VERDICT_DONE] = "done",       [VERDICT_GONE] = "gone",		  [VERDICT_ABORTED] = "aborted",
};

static const char *const answer_names[] = {
	[ANSWER_UNKNOWN] = "unknown", [ANSWER_NEVER_RAN] = "never_ran", [ANSWER_READY] = "ready",
	[ANSWER_FILLING] = "filling", [ANSWER_RUNNING] = "running",
};

const struct handover_rule *handover_rules(size_t *n)
{
	*n = ARRAY_LEN(rules);
	return rules;
}

const struct handover_rule *handover_next(enum handover_state s, enum handover_event ev)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (rules[i].state == s && rules[i].event == ev)
			return &rules[i];
	return NULL;
}

enum handover_side handover_side_of(enum handover_state s)
{
	return s <= SOURCE_ABORTED ? HANDOVER_SOURCE : HANDOVER_TARGET;
}

bool handover_is_settled(enum handover_state s)
{
	return s == SOURCE_DONE || s == SOURCE_ABORTED || s == TARGET_RUNNING || s == TARGET_DONE || s == TARGET_DROPPED;
}

const char *handover_state_name(enum handover_state s)
{
	return state_names[s];
}

const char *handover_event_name(enum handover_event ev)
{
	return event_names[ev];
}

const char *handover_action_name(enum handover_action a)
{
	return action_names[a];
}

static int find(const char *const *names, size_t from, size_t to, const char *name, const char *what, size_t *out, struct err *e)
{
	for (size_t i = from; i < to; i++) {
		if (str_eq(names[i], name)) {
			*out = i;
			return 0;
		}
	}
	return err_set(e, ERR_INVALID, 0, "unknown %s '%s'", what, name ? name : "");
}

int handover_state_of(enum handover_side side, const char *name, enum handover_state *out, struct err *e)
{
	size_t from = side == HANDOVER_SOURCE ? 0 : SOURCE_ABORTED + 1, i = 0;
	size_t to = side == HANDOVER_SOURCE ? SOURCE_ABORTED + 1 : HANDOVER_STATE_COUNT;
	if (find(state_names, from, to, name, "state of a move", &i, e) < 0)
		return -1;
	*out = (enum handover_state)i;
	return 0;
}

enum handover_verdict handover_verdict_in(enum handover_state s)
{
	switch (s) {
	case SOURCE_COMMITTED:
	case SOURCE_SERVING:
		return VERDICT_COMMITTED;
	case SOURCE_DONE:
		return VERDICT_DONE;
	case SOURCE_GONE:
		return VERDICT_GONE;
	case SOURCE_ABORTING:
	case SOURCE_ABORTED:
		return VERDICT_ABORTED;
	default:
		return handover_side_of(s) == HANDOVER_SOURCE ? VERDICT_UNDECIDED : VERDICT_UNKNOWN;
	}
}

/* THAWING answers "ready": the thaw may still be under way, and the source's copy has to stand still either way. */
enum handover_answer handover_answer_in(enum handover_state s)
{
	switch (s) {
	case TARGET_OFFERED:
	case TARGET_PREPARING:
	case TARGET_READY:
	case TARGET_IN_DOUBT:
	case TARGET_THAWING:
		return ANSWER_READY;
	case TARGET_FILLING:
	case TARGET_STRANDED:
		return ANSWER_FILLING;
	case TARGET_RUNNING:
	case TARGET_DONE:
		return ANSWER_RUNNING;
	case TARGET_DROPPING:
	case TARGET_DROPPED:
		return ANSWER_NEVER_RAN;
	default:
		return ANSWER_UNKNOWN;
	}
}

/* A source that is done deleted its copy at this target's word, or at an operator's: a target that lacks memory will not get it there. */
bool handover_verdict_event(enum handover_verdict v, enum handover_state s, enum handover_event *out)
{
	bool fills = s == TARGET_FILLING || s == TARGET_STRANDED;
	if (v == VERDICT_ABORTED)
		*out = EVENT_ABORTED;
	else if (v == VERDICT_GONE || (v == VERDICT_DONE && fills))
		*out = EVENT_GONE;
	else if (!fills && (v == VERDICT_COMMITTED || v == VERDICT_DONE))
		*out = EVENT_COMMITTED;
	else
		return false;
	return true;
}

bool handover_answer_event(enum handover_answer a, enum handover_event *out)
{
	if (a == ANSWER_RUNNING)
		*out = EVENT_RUNS;
	else if (a == ANSWER_FILLING)
		*out = EVENT_FILLS;
	else if (a == ANSWER_NEVER_RAN)
		*out = EVENT_NEVER_RAN;
	else
		return false;
	return true;
}

const char *handover_verdict_name(enum handover_verdict v)
{
	return verdict_names[v];
}

const char *handover_answer_name(enum handover_answer a)
{
	return answer_names[a];
}

int handover_verdict_of(const char *name, enum handover_verdict *out, struct err *e)
{
	size_t i = 0;
	if (find(verdict_names, 0, ARRAY_LEN(verdict_names), name, "verdict", &i, e) < 0)
		return -1;
	*out = (enum handover_verdict)i;
	return 0;
}

int handover_answer_of(const char *name, enum handover_answer *out, struct err *e)
{
	size_t i = 0;
	if (find(answer_names, 0, ARRAY_LEN(answer_names), name, "state of a target", &i, e) < 0)
		return -1;
	*out = (enum handover_answer)i;
	return 0;
}
