/* What the target does until the thaw: check and prepare on the offer, restore on `frozen`, drop on failure. All on the worker's thread.
 *
 * The offsets of the clocks are chosen last, right before the restore, since a clock that is to stand still stands until then. */
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "migrate/adapt.h"
#include "migrate/compat.h"
#include "migrate/group.h"
#include "migrate/target_private.h"

/* A restore of a large container reads all of its memory: this many times the silence that the source tolerates, with a sign of life in between. */
#define RESTORE_PATIENCE 20
#define SIGN_OF_LIFE_MS 2000
#define RETRY_MS 500
#define SOURCE_URL_MAX 512

int target_open_core(struct target *t, struct err *e)
{
	if (t->has_core)
		return 0;
	if (t->host.open_core(t->host.arg, &t->core, e) < 0)
		return -1;
	t->has_core = true;
	return 0;
}

void target_drop_core(struct target *t)
{
	if (t->has_core)
		core_close(&t->core);
	t->has_core = false;
	t->prepare_id = 0;
}

int target_send_accept(struct target *t, Davit__HostFacts *facts, Davit__Error *refusal, struct err *e)
{
	Davit__StreamAccept a = DAVIT__STREAM_ACCEPT__INIT;
	Davit__StreamFrame f = DAVIT__STREAM_FRAME__INIT;
	a.facts = facts;
	a.refusal = refusal;
	a.mode = (char *)mode_name(t->mode);
	a.mode_why = (char *)t->mode_why;
	a.has_memory_apart = 1;
	a.memory_apart = t->apart;
	a.has_tcp_reset = a.tcp_reset = t->tcp_reset;
	f.body_case = DAVIT__STREAM_FRAME__BODY_ACCEPT;
	f.accept = &a;
	return target_put(t, &f, e);
}

void target_refuse(struct target *t, const struct err *why, Davit__Error *detail)
{
	auto_pb(Davit__Error) *made = detail ? NULL : pb_error(why);
	target_send_accept(t, NULL, detail ? detail : made, NULL);
	t->ends = true;
}

static int check_offer(struct target *t, const Davit__StreamOffer *o, struct err *e)
{
	if (!str_eq(o->move_id, t->id))
		return err_field(e, "offer.moveId", "the offer is of move %s, its address of %s", o->move_id, t->id);
	if (str_check_name(o->spec->name, "offer.spec.name", e) < 0)
		return -1;
	if (o->container_id && (strlen(o->container_id) != 32 || strspn(o->container_id, "0123456789abcdef") != 32))
		return err_field(e, "offer.containerId", "a container's id has 32 hex digits");
	if (o->source_url && (!str_prefix(o->source_url, "https://") || strlen(o->source_url) > SOURCE_URL_MAX))
		return err_field(e, "offer.sourceUrl", "must begin with https:// and have at most %d bytes", SOURCE_URL_MAX);
	if (o->group && group_check_id(o->group, e) < 0)
		return -1;
	return clock_policy_of(o->clock_policy ? o->clock_policy : "continue", &t->policy, e);
}

/* The core refuses that as well, but only when it prepares the place, and at the first. */
static int check_policy(struct target *t, const Davit__HostFacts *here, Davit__Error **refusal, struct err *e)
{
	auto_pb(Davit__CoreVetted) *vetted = core_vet(&t->core, t->offer->spec, e);
	return vetted ? compat_add_policy(t->offer, here, vetted, refusal, e) : -1;
}

/* Everything that could speak against it. *facts: this host's, owned by the caller. 0; -1: refused, with *refusal (owned) or *e. */
static int check_host(struct target *t, Davit__HostFacts **facts, Davit__Error **refusal, struct err *e)
{
	auto_pb(Davit__ContainerStatusList) *list = NULL;
	if (check_offer(t, t->offer, e) < 0 || target_open_core(t, e) < 0)
		return -1;
	if (!(*facts = t->host.facts(t->host.arg, e)) || !(list = core_list(&t->core, e)))
		return -1;
	*refusal = compat_check(t->offer, *facts, list, e);
	if (e->code || check_policy(t, *facts, refusal, e) < 0 || *refusal)
		return -1;
	if (mode_choose(t->offer->mode, t->offer->facts, *facts, &t->mode, &t->mode_why, e) < 0)
		return -1;
	t->apart = mode_can_be_apart(t->offer->facts, *facts);
	/* Last, since it starts a criu. */
	const Davit__HostFacts *there = t->offer->facts;
	return there && there->has_cpuinfo ? core_check_cpu(&t->core, &there->cpuinfo, e) : 0;
}

static int open_journal(struct target *t, struct err *e)
{
	if (record_init(&t->record, t->id, t->offer->spec->name, "target", t->host.peer, e) < 0 ||
	    (t->host.peer && pb_set_str(&t->record.m->peer_name, t->host.peer, e) < 0) ||
	    pb_set_str(&t->record.m->source_url, t->offer->source_url ? t->offer->source_url : "", e) < 0 ||
	    pb_set_str(&t->record.m->mode, mode_name(t->mode), e) < 0 || pb_set_str(&t->record.m->mode_why, t->mode_why, e) < 0 ||
	    record_state(&t->record, handover_state_name(TARGET_OFFERED), e) < 0)
		return -1;
	t->record.m->has_tcp_reset = t->record.m->tcp_reset = t->tcp_reset;
	if (t->offer->group && pb_set_str(&t->record.m->group, t->offer->group, e) < 0)
		return -1;
	if (journal_create(t->host.folder, t->id, &t->journal, e) < 0)
		return -1;
	return journal_append(&t->journal, TARGET_OFFERED, NULL, t->offer, t->record.m, true, e);
}

static int reserve(struct target *t, struct err *e)
{
	davit__id_range__init(&t->ids);
	t->ids.host_start = t->offer->ids->host_start;
	t->ids.size = t->offer->ids->size;
	if (!t->host.reserve)
		return 0;
	if (t->host.reserve(t->host.arg, t->offer, &t->ids, e) < 0)
		return -1;
	t->reserved = true;
	return 0;
}

static void release(struct target *t)
{
	struct err e = { 0 };
	while (t->reserved && t->host.release && t->host.release(t->host.arg, t->offer, &e) < 0) {
		log_err(LOG_LEVEL_ERROR, "give back what was reserved for a move", &e);
		err_clear(&e);
		if (!target_sleep(t, RETRY_MS))
			return;
	}
	t->reserved = false;
}

/* The disk did not take a journal: nothing of the move stays here, and what was reserved for it was written down, so its end is too. */
static void refuse_reserved(struct target *t, const struct err *why)
{
	if (!t->error.code)
		t->error = *why;
	target_refuse(t, why, NULL);
	target_end_stream(t);
	journal_close(&t->journal);
	journal_remove(t->host.folder, t->id, NULL);
	release(t);
	if (!t->record.m)
		return;
	pthread_mutex_lock(&t->lock);
	record_state(&t->record, handover_state_name(TARGET_DROPPED), NULL);
	pthread_mutex_unlock(&t->lock);
}

/* Takes the offer over. */
void target_on_offer(struct target *t, Davit__StreamOffer *offer)
{
	auto_pb(Davit__HostFacts) *facts = NULL;
	auto_pb(Davit__Error) *refusal = NULL;
	struct err e = { 0 };

	t->offer = offer;
	if (check_host(t, &facts, &refusal, &e) < 0 || adapt_offer(offer, facts, &t->tcp_reset, &e) < 0) {
		target_refuse(t, &e, refusal);
		return;
	}
	if (offer->check_only) {
		target_send_accept(t, facts, NULL, NULL);
		t->ends = true;
		return;
	}
	if (reserve(t, &e) < 0) {
		target_refuse(t, &e, NULL);
		return;
	}
	if (open_journal(t, &e) < 0) {
		refuse_reserved(t, &e);
		return;
	}
	target_phase(t, "offer", true);
	target_event(t, EVENT_CHECKED);
	if (t->state == TARGET_PREPARING && target_send_accept(t, facts, NULL, &e) < 0)
		target_fail(t, EVENT_FAILED, &e, NULL);
	target_phase(t, "offer", false);
}

static int prepare(struct target *t, struct err *e)
{
	Davit__CoreRestorePrepare p = DAVIT__CORE_RESTORE_PREPARE__INIT;
	Davit__CoreRequest r = DAVIT__CORE_REQUEST__INIT;
	auto_core_fds struct core_fds fds = CORE_FDS_INIT;

	p.spec = t->offer->spec;
	p.ids = &t->ids;
	p.has_cpuinfo = t->offer->facts->has_cpuinfo;
	p.cpuinfo = t->offer->facts->cpuinfo;
	p.image_digest = t->offer->image_digest;
	p.has_memory = 1;
	p.memory = t->apart;
	r.op_case = DAVIT__CORE_REQUEST__OP_RESTORE_PREPARE;
	r.restore_prepare = &p;
	t->prepared = true;
	auto_pb(Davit__CoreReply) *reply = core_call(&t->core, &r, CORE_TIMEOUT_MS, &fds, e);
	if (!reply)
		return -1;
	t->prepare_id = r.id;
	return target_channels_open(t, &fds, e);
}

/* The place is made before the accept, so that what the core refuses is refused before the container is touched. */
static void act_prepare(struct target *t)
{
	struct err e = { 0 };
	if (prepare(t, &e) == 0) {
		target_phase(t, "transfer", true);
		return;
	}
	target_refuse(t, &e, t->core.error);
	target_fail(t, EVENT_FAILED, &e, t->core.error);
}

/* A restore that needs pages of a source that is lost fails once the store knows; one that has all it needs goes on. */
static void tell_loss(struct target *t)
{
	pthread_mutex_lock(&t->lock);
	bool silent = clock_now_ns(CLOCK_MONOTONIC) > t->heard + t->host.timeout_ms * NSEC_PER_MSEC;
	bool lost = t->lost || silent;
	pthread_mutex_unlock(&t->lock);
	if (lost)
		target_channels_close(t);
}

/* A reply of the core that takes its time: the source hears from us meanwhile. Owned, or NULL. */
static Davit__CoreReply *patient(struct target *t, uint64_t id, struct err *e)
{
	int64_t limit = clock_now_ns(CLOCK_MONOTONIC) + (int64_t)t->host.timeout_ms * RESTORE_PATIENCE * NSEC_PER_MSEC;
	for (;;) {
		tell_loss(t);
		Davit__StreamProgress progress = DAVIT__STREAM_PROGRESS__INIT;
		Davit__StreamFrame f = DAVIT__STREAM_FRAME__INIT;
		Davit__CoreReply *r = core_recv(&t->core, id, SIGN_OF_LIFE_MS, NULL, e);
		/* An answered timeout is an error of the core's own, ours leaves no detail. */
		if (r || e->code != ERR_TIMEOUT || t->core.error || clock_now_ns(CLOCK_MONOTONIC) > limit)
			return r;
		err_clear(e);
		progress.phase = "restore";
		f.body_case = DAVIT__STREAM_FRAME__BODY_PROGRESS;
		f.progress = &progress;
		target_put(t, &f, NULL);
	}
}

/* What the core still has to say about the prepared place: everything is stored. */
static int finish_prepare(struct target *t, struct err *e)
{
	uint64_t id = t->prepare_id;
	t->prepare_id = 0;
	auto_pb(Davit__CoreReply) *r = patient(t, id, e);
	return r ? 0 : -1;
}

static int choose_clocks(struct target *t, const Davit__StreamFrozen *frozen, Davit__CoreRestoreRun *run, struct err *e)
{
	Davit__ClockResult *c = pb_new(&davit__clock_result__descriptor, e);
	t->clock = c;
	if (!c || clock_map_check(frozen->map, e) < 0 || pb_set_str(&c->policy, clock_policy_name(t->policy), e) < 0 ||
	    !(c->before = pb_dup(&frozen->dump->clock->base, e)))
		return -1;
	t->delta = frozen->map->delta_boottime;
	struct clock_reading now = clock_read();
	int64_t elapsed = clock_elapsed(frozen->dump->clock, t->delta, &now);
	if (clock_policy_offsets(t->policy, frozen->dump->clock, elapsed, &now, &run->offset_monotonic, &run->offset_boottime, e) < 0)
		return -1;
	c->has_offset_monotonic = c->has_offset_boottime = c->has_bound = 1;
	c->offset_monotonic = run->offset_monotonic;
	c->offset_boottime = run->offset_boottime;
	c->bound = frozen->map->bound;
	c->has_realtime_difference = frozen->map->has_realtime_difference;
	c->realtime_difference = frozen->map->realtime_difference;
	return 0;
}

static int restore(struct target *t, const Davit__StreamFrozen *frozen, struct err *e)
{
	Davit__CoreRestoreRun run = DAVIT__CORE_RESTORE_RUN__INIT;
	Davit__CoreRequest r = DAVIT__CORE_REQUEST__INIT;

	if (finish_prepare(t, e) < 0)
		return -1;
	target_channels_finish(t);
	run.name = t->offer->spec->name;
	run.descriptors = frozen->dump->descriptors;
	run.n_descriptors = frozen->dump->n_descriptors;
	run.neighbours = frozen->dump->neighbours;
	run.n_neighbours = t->tcp_reset ? 0 : frozen->dump->n_neighbours;
	run.connections = frozen->dump->connections;
	run.n_connections = t->tcp_reset ? 0 : frozen->dump->n_connections;
	run.has_tcp_close = run.tcp_close = t->tcp_reset;
	run.has_memory = 1;
	run.memory = t->apart;
	run.has_hold_network = 1;
	run.hold_network = true;
	r.op_case = DAVIT__CORE_REQUEST__OP_RESTORE_RUN;
	r.restore_run = &run;
	if (choose_clocks(t, frozen, &run, e) < 0 || core_send(&t->core, &r, e) < 0)
		return -1;
	auto_pb(Davit__CoreReply) *reply = patient(t, r.id, e);
	return reply ? 0 : -1;
}

void target_on_frozen(struct target *t, const Davit__StreamFrozen *frozen)
{
	struct err e = { 0 };
	pthread_mutex_lock(&t->lock);
	bool whole = t->ended == TARGET_MEMORY;
	pthread_mutex_unlock(&t->lock);
	if (t->state != TARGET_PREPARING || !whole) {
		err_set(&e, ERR_PROTOCOL, 0, "frozen before everything was sent");
		target_fail(t, EVENT_FAILED, &e, NULL);
		return;
	}
	target_phase(t, "transfer", false);
	target_phase(t, "restore", true);
	int r = restore(t, frozen, &e);
	target_phase(t, "restore", false);
	if (r < 0)
		target_fail(t, EVENT_FAILED, &e, t->has_core ? t->core.error : NULL);
	else
		target_event(t, EVENT_RESTORED);
}

static void act_send_ready(struct target *t)
{
	Davit__StreamReady ready = DAVIT__STREAM_READY__INIT;
	Davit__RestoreDone done = DAVIT__RESTORE_DONE__INIT;
	Davit__StreamFrame f = DAVIT__STREAM_FRAME__INIT;
	struct err e = { 0 };

	ready.restore = &done;
	ready.clock = t->clock;
	f.body_case = DAVIT__STREAM_FRAME__BODY_READY;
	f.ready = &ready;
	target_phase(t, "commit", true);
	if (target_put(t, &f, &e) < 0)
		target_fail(t, EVENT_LOST, &e, NULL);
}

/* The source is told why, unless it was its own wish. */
static void send_abort(struct target *t)
{
	auto_buf struct buf b = { 0 };
	struct err none = { 0 };
	if (!t->error.code || t->ends)
		return;
	if (stream_put_abort(&b, &t->error, t->detail, &none) < 0)
		return;
	pthread_mutex_lock(&t->lock);
	buf_append(&t->out, b.data, b.len, NULL);
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

static void act_drop(struct target *t)
{
	struct err e = { 0 };
	send_abort(t);
	t->ends = true;
	target_end_stream(t);
	target_channels_close(t);
	while (t->prepared &&
	       (target_open_core(t, &e) < 0 || (core_restore_drop(&t->core, t->offer->spec->name, &e) < 0 && e.code != ERR_NOT_FOUND))) {
		log_err(LOG_LEVEL_ERROR, "remove what was restored", &e);
		target_drop_core(t);
		err_clear(&e);
		if (!target_sleep(t, RETRY_MS))
			return;
	}
	release(t);
	if (!t->reserved)
		target_event(t, EVENT_DROPPED);
}

void target_ask_verdict(struct target *t)
{
	enum handover_verdict v = VERDICT_UNKNOWN;
	struct err e = { 0 };
	if (t->host.ask_verdict(t->host.arg, t->offer->source_url, t->id, &v, &e) < 0)
		log_err(LOG_LEVEL_WARN, "ask the source for its verdict", &e);
	enum handover_event ev;
	if (handover_verdict_event(v, t->state, &ev))
		target_event(t, ev);
	/* Else the worker asks again after a while (EVENT_UNDECIDED). */
}

void target_act(struct target *t, enum handover_action a)
{
	switch (a) {
	case ACTION_PREPARE:
		act_prepare(t);
		break;
	case ACTION_SEND_READY:
		act_send_ready(t);
		break;
	case ACTION_ASK_VERDICT:
		target_ask_verdict(t);
		break;
	case ACTION_THAW:
		target_thaw(t);
		break;
	case ACTION_SEND_RUNNING:
		target_send_running(t);
		break;
	case ACTION_FILL:
		target_fill(t);
		break;
	case ACTION_GIVE_UP:
		target_give_up(t);
		break;
	case ACTION_DROP:
		act_drop(t);
		break;
	default:
		break;
	}
}
