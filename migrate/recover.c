/* Outgoing moves without their mover. See recover.h.
 *
 * The journal's last state and what the core says about the container give the event (restarted, or rebooted when the container is gone); the
 * table gives the rest. Each call takes at most one question to the target. */
#include "migrate/recover.h"
#include "base/log.h"
#include "migrate/group.h"
#include "migrate/journal.h"
#include "migrate/mode.h"
#include "migrate/resolve.h"
#include "proto/pb.h"

struct recovery {
	const struct recover *r;
	struct journal journal;
	Davit__MoveRecord *record; /* borrowed from the view */
	enum handover_state state;
	bool serve;
};

static int take(struct recovery *x, enum handover_event ev, struct err *e);

static int ask(struct recovery *x, struct err *e)
{
	enum handover_answer answer = ANSWER_UNKNOWN;
	struct err why = { 0 };
	if (x->r->ask_state(x->r->arg, x->record, &answer, &why) < 0)
		log_err(LOG_LEVEL_WARN, "ask the target what became of a move", &why);
	enum handover_event ev;
	/* Not reached, still at it, or it does not know: in doubt. */
	return handover_answer_event(answer, &ev) ? take(x, ev, e) : 0;
}

static int act(struct recovery *x, enum handover_action a, struct err *e)
{
	switch (a) {
	case ACTION_RESUME:
		if (core_let_run(x->r->core, x->record->container, e) < 0)
			return -1;
		return take(x, EVENT_RESUMED, e);
	case ACTION_DELETE:
		if (core_delete(x->r->core, x->record->container, true, e) < 0) {
			if (e->code != ERR_NOT_FOUND)
				return -1;
			err_clear(e);
		}
		return take(x, EVENT_DELETED, e);
	case ACTION_ASK_STATE:
		return ask(x, e);
	case ACTION_SERVE:
		x->serve = true;
		return 0;
	default:
		return 0;
	}
}

static int take(struct recovery *x, enum handover_event ev, struct err *e)
{
	if (group_event(x->r->folder, x->record->group, x->state, ev, &ev, e) < 0)
		return -1;
	const struct handover_rule *rule = handover_next(x->state, ev);
	if (!rule)
		return 0;
	if (rule->next != x->state) {
		if (pb_set_str(&x->record->state, handover_state_name(rule->next), e) < 0 ||
		    journal_append(&x->journal, rule->next, handover_event_name(ev), NULL, x->record, true, e) < 0)
			return -1;
	}
	x->state = rule->next;
	return act(x, rule->action, e);
}

/* Whether the container is still here, in whatever state: 1, 0, -1. */
static int lives(const struct recovery *x, struct err *e)
{
	auto_pb(Davit__ContainerStatus) *s = core_get(x->r->core, x->record->container, e);
	if (s)
		return !str_eq(s->state, "stopped");
	if (e->code != ERR_NOT_FOUND)
		return -1;
	err_clear(e);
	return 0;
}

/* Whether the target's copy may have been thawed without all its memory. */
static bool memory_follows(const Davit__MoveRecord *r)
{
	enum mode m;
	return r->mode && mode_of(r->mode, &m, NULL) == 0 && (m == MODE_HYBRID || m == MODE_POST_COPY);
}

static int recover_locked(struct recovery *x, struct err *e)
{
	if (handover_is_settled(x->state))
		return 0;
	int alive = lives(x, e);
	if (alive < 0)
		return -1;
	return take(x, alive ? EVENT_RESTARTED : memory_follows(x->record) ? EVENT_MEMORY_LOST : EVENT_REBOOTED, e);
}

static int force_locked(struct recovery *x, const char *id, enum handover_event forced, struct err *e)
{
	return resolve_rule(id, x->state, forced, e) ? take(x, forced, e) : -1;
}

static int recover(const struct recover *r, const char *id, const enum handover_event *forced, Davit__MoveRecord **record, struct err *e)
{
	auto_journal_view struct journal_view v = { 0 };
	struct recovery x = { .r = r };
	*record = NULL;
	if (journal_open(r->folder, id, &x.journal, &v, e) < 0)
		return -1;
	x.record = v.record;
	x.state = v.state;
	int rc = v.side != HANDOVER_SOURCE ? err_set(e, ERR_STATE, 0, "move %s is an incoming one", id)
		 : forced		   ? force_locked(&x, id, *forced, e)
					   : recover_locked(&x, e);
	journal_close(&x.journal);
	if (rc < 0 || !(*record = pb_dup(&v.record->base, e)))
		return -1;
	if (handover_is_settled(x.state))
		return RECOVER_SETTLED;
	return x.serve ? RECOVER_SERVE : RECOVER_IN_DOUBT;
}

int recover_source(const struct recover *r, const char *id, Davit__MoveRecord **record, struct err *e)
{
	return recover(r, id, NULL, record, e);
}

int recover_force(const struct recover *r, const char *id, enum handover_event forced, Davit__MoveRecord **record, struct err *e)
{
	return recover(r, id, &forced, record, e);
}

enum handover_verdict recover_verdict(const char *folder, const char *id, const char *peer, struct err *e)
{
	auto_journal_view struct journal_view v = { 0 };
	struct err why = { 0 };
	if (journal_read(folder, id, true, &v, &why) == 0) {
		if (!peer || str_eq(v.record->peer_name, peer))
			return handover_verdict_in(v.state);
		err_set(&why, ERR_DENIED, 0, "move %s is not to %s", id, peer);
	}
	if (why.code != ERR_NOT_FOUND && e)
		*e = why;
	return VERDICT_UNKNOWN;
}
