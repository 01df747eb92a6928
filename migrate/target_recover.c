/* Taking up an incoming move after a restart of the agent or of the host, and answering for one by its journal. */
#include "base/clock.h"
#include "base/log.h"
#include "migrate/target_private.h"

#define RETRY_MS 1000

/* Whether the restored copy is still there. The core is asked until it answers. -1: the agent ends. */
static int copy_lives(struct target *t)
{
	for (;;) {
		struct err e = { 0 };
		auto_pb(Davit__ContainerStatus) *s = target_open_core(t, &e) < 0 ? NULL : core_get(&t->core, t->offer->spec->name, &e);
		if (s)
			return !str_eq(s->state, "stopped");
		if (e.code == ERR_NOT_FOUND)
			return 0;
		log_err(LOG_LEVEL_WARN, "take up a move", &e);
		if (t->has_core)
			core_close(&t->core);
		t->has_core = false;
		if (!target_sleep(t, RETRY_MS))
			return -1;
	}
}

static void *recover(void *arg)
{
	struct target *t = arg;
	int lives = copy_lives(t);
	if (lives < 0)
		return NULL;
	target_event(t, lives ? EVENT_RESTARTED : EVENT_REBOOTED);
	return target_work(t);
}

static int take_over(struct target *t, struct journal_view *v, struct err *e)
{
	t->offer = v->first->offer ? pb_dup(&v->first->offer->base, e) : NULL;
	t->record.m = steal_ptr(&v->record);
	t->record.started = clock_now_ns(CLOCK_BOOTTIME);
	t->state = v->state;
	t->prepared = t->reserved = true; /* the agent's records kept what it reserved */
	t->lost = t->ends = t->out_ended = true;
	t->told_running = v->state == TARGET_FILLING || v->state == TARGET_STRANDED;
	t->apart = true; /* the core knows whether there is a page store */
	if (t->record.m->mode && mode_of(t->record.m->mode, &t->mode, e) < 0)
		return -1;
	if (!t->offer)
		return err_set(e, ERR_CORRUPT, 0, "the journal of move %s has no offer", t->id);
	return clock_policy_of(t->offer->clock_policy ? t->offer->clock_policy : "continue", &t->policy, e);
}

struct target *target_recover(const struct target_host *host, const char *id, struct err *e)
{
	auto_journal_view struct journal_view v = { 0 };
	struct target *t = target_make(host, id, e);
	err_clear(e);
	if (!t)
		return NULL;
	if (journal_open(host->folder, id, &t->journal, &v, e) < 0)
		goto none;
	if (v.side != HANDOVER_TARGET || handover_is_settled(v.state))
		goto none;
	if (take_over(t, &v, e) < 0)
		goto none;
	int r = pthread_create(&t->worker, NULL, recover, t);
	if (r == 0) {
		t->has_worker = true;
		return t;
	}
	err_sys(e, r, "start a thread");
none:
	target_unref(t);
	return NULL;
}

enum handover_answer target_state(const char *folder, const char *id, const char *peer, struct err *e)
{
	auto_journal_view struct journal_view v = { 0 };
	struct err why = { 0 };
	if (journal_read(folder, id, true, &v, &why) == 0) {
		if (!peer || str_eq(v.record->peer_name, peer))
			return handover_answer_in(v.state);
		err_set(&why, ERR_DENIED, 0, "move %s is not from %s", id, peer);
	}
	if (why.code != ERR_NOT_FOUND && e)
		*e = why;
	return ANSWER_UNKNOWN;
}
