/* The table of incoming moves and what the agent gives to each (struct target_host). */
#include "agent/move.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "agent/db/address.h"
#include "agent/db/container.h"
#include "agent/db/operation.h"
#include "agent/job/mover.h"
#include "agent/view.h"
#include "base/clock.h"
#include "base/log.h"
#include "migrate/mover.h"
#include "migrate/target.h"

#define MOVES_MAX 16

struct move {
	char id[33];
	struct target *target;
	int connections;
};
struct move_table {
	struct agent *agent;
	pthread_mutex_t lock;
	struct move *all[MOVES_MAX];
};

struct move_table *move_table_new(struct agent *a, struct err *e)
{
	struct move_table *t = mem_new(1, sizeof(*t), e);

	if (!t)
		return NULL;
	t->agent = a;
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

static int host_open_core(void *arg, struct core *out, struct err *e)
{
	return core_channel(&((struct agent *)arg)->core, NULL, out, e);
}

static Davit__HostFacts *host_facts(void *arg, struct err *e)
{
	struct core channel;
	Davit__HostFacts *facts;

	if (host_open_core(arg, &channel, e) < 0)
		return NULL;
	facts = core_facts(&channel, e);
	core_close(&channel);
	return facts;
}

static Davit__Container *describe(const Davit__StreamOffer *offer, struct err *e)
{
	auto_pb(Davit__Container) *c = pb_new(&davit__container__descriptor, e);
	char id[33], now[32];

	if (!c || str_random_hex(id, 16, e) < 0 || pb_set_str(&c->name, offer->spec->name, e) < 0 ||
	    pb_set_str(&c->id, offer->container_id ? offer->container_id : id, e) < 0 || pb_set_str(&c->state, "restoring", e) < 0 ||
	    pb_set_str(&c->created_at, clock_rfc3339(clock_now_ns(CLOCK_REALTIME), now), e) < 0 || pb_set_str(&c->last_move, offer->move_id, e) < 0)
		return NULL;
	c->has_generation = 1;
	c->generation = 1;
	c->spec = pb_dup(&offer->spec->base, e);
	c->ids = pb_dup(&offer->ids->base, e);
	return c->spec && c->ids ? steal_ptr(&c) : NULL;
}

/* Identity is taken as it comes, or the move is refused. */
static int promise(struct agent *a, const Davit__StreamOffer *offer, struct err *e)
{
	auto_pb(Davit__Container) *c = describe(offer, e);

	if (!c || db_begin(a->db, true, e) < 0)
		return -1;
	if (db_address_check_networks(a->config->networks, a->config->n_networks, c->spec, e) < 0 || db_container_check_ids(a->db, c->ids, e) < 0 ||
	    db_container_insert(a->db, c, e) < 0) {
		db_rollback(a->db);
		return -1;
	}
	return db_commit(a->db, e);
}

static int host_reserve(void *arg, const Davit__StreamOffer *offer, struct err *e)
{
	struct agent *a = arg;
	const char *name = offer->spec->name;

	if (str_check_name(name, "spec.name", e) < 0 || hold_take(&a->holds, name, "migrating", e) < 0)
		return -1;
	if (promise(a, offer, e) == 0)
		return 0;
	hold_drop(&a->holds, name);
	return -1;
}

static void host_release(void *arg, const Davit__StreamOffer *offer)
{
	struct agent *a = arg;
	struct err e = { 0 };

	if (db_container_delete(a->db, offer->spec->name, &e) < 0)
		log_err(LOG_LEVEL_ERROR, "release an incoming container", &e);
	hold_drop(&a->holds, offer->spec->name);
}

static int host_ask_verdict(void *arg, const char *url, const char *id, enum handover_verdict *out, struct err *e)
{
	const struct agent *a = arg;
	Davit__MoverJob q;

	mover_question(a, url, id, &q);
	return mover_ask_verdict(a->mover, &q, out, e);
}

static void host_changed(void *arg, const Davit__MoveRecord *r, const Davit__StreamOffer *offer)
{
	struct agent *a = arg;
	Davit__Event ev = DAVIT__EVENT__INIT;
	auto_pb(Davit__MoveRecord) *before = db_move_get(a->db, r->id, &(struct err){ 0 });
	struct err e = { 0 };

	if (db_move_put(a->db, r, &e) < 0)
		log_err(LOG_LEVEL_WARN, "move not stored", &e);
	if (before && str_eq(before->state, r->state))
		return;
	ev.type = (char *)(uintptr_t) "migration.state";
	ev.container = r->container;
	ev.move = (Davit__MoveRecord *)(uintptr_t)r;
	event_publish(&a->events, &ev);
	if (!str_eq(r->state, "running") || !offer)
		return;
	hold_drop(&a->holds, offer->spec->name);
	view_tell(a, "container.arrived", offer->spec->name);
}

static struct target_host host_of(struct agent *a, const char *peer)
{
	return (struct target_host){
		.folder = a->moves_dir,
		.peer = peer,
		.open_core = host_open_core,
		.facts = host_facts,
		.reserve = host_reserve,
		.release = host_release,
		.ask_verdict = host_ask_verdict,
		.changed = host_changed,
		.arg = a,
	};
}

/* Under the lock: settled moves without connections are done with. */
static void sweep(struct move_table *t)
{
	for (size_t i = 0; i < MOVES_MAX; i++) {
		struct move *m = t->all[i];

		if (!m || m->connections > 0 || !target_settled(m->target))
			continue;
		target_unref(m->target);
		free(m);
		t->all[i] = NULL;
	}
}

static struct move **find(struct move_table *t, const char *id)
{
	for (size_t i = 0; i < MOVES_MAX; i++)
		if (t->all[i] && strcmp(t->all[i]->id, id) == 0)
			return &t->all[i];
	return NULL;
}

/* Takes a target into the table. Under the lock. */
static struct move *add(struct move_table *t, const char *id, struct target *target, struct err *e)
{
	struct move *m = mem_new(1, sizeof(*m), e);
	size_t i = 0;

	while (i < MOVES_MAX && t->all[i])
		i++;
	if (m && i == MOVES_MAX) {
		err_set(e, ERR_LIMIT, 0, "%d moves come in already", MOVES_MAX);
		free(m);
		m = NULL;
	}
	if (!m)
		return NULL;
	snprintf(m->id, sizeof(m->id), "%s", id);
	m->target = target;
	t->all[i] = m;
	return m;
}

static struct move *make(struct move_table *t, const char *id, const char *peer, struct err *e)
{
	struct target_host host = host_of(t->agent, peer);
	struct target *target = target_new(&host, id, e);
	struct move *m = target ? add(t, id, target, e) : NULL;

	if (target && !m) {
		target_lost(target);
		target_unref(target);
	}
	return m;
}

static bool is_move_id(const char *id)
{
	return strlen(id) == 32 && strspn(id, "0123456789abcdef") == 32;
}

struct move *move_open(struct agent *a, const char *id, const char *peer, struct err *e)
{
	struct move_table *t = a->moves;
	struct move **found, *m;

	if (!is_move_id(id)) {
		err_field(e, "id", "a move's id has 32 hex digits");
		return NULL;
	}
	pthread_mutex_lock(&t->lock);
	sweep(t);
	found = find(t, id);
	m = found ? *found : make(t, id, peer, e);
	if (m)
		m->connections++;
	pthread_mutex_unlock(&t->lock);
	return m;
}

void move_close(struct agent *a, struct move *m)
{
	struct move_table *t = a->moves;

	target_lost(m->target);
	pthread_mutex_lock(&t->lock);
	m->connections--;
	sweep(t);
	pthread_mutex_unlock(&t->lock);
}

struct target *move_target(const struct move *m)
{
	return m->target;
}

int move_cancel(struct agent *a, const char *id, struct err *e)
{
	struct move_table *t = a->moves;
	struct target *target = NULL;
	struct move **found;
	int r;

	pthread_mutex_lock(&t->lock);
	found = find(t, id);
	if (found)
		target = target_ref((*found)->target);
	pthread_mutex_unlock(&t->lock);
	if (!target)
		return err_set(e, ERR_STATE, 0, "move %s has ended", id);
	r = target_cancel(target, e);
	/* The table's reference, or a settled object: neither makes this the one that waits. */
	target_unref(target);
	return r;
}

int move_take_up(struct agent *a, const char *id, const char *container, struct err *e)
{
	struct target_host host = host_of(a, NULL);
	struct err inner = { 0 };
	struct target *target;
	struct move *m;

	if (hold_take(&a->holds, container, "migrating", e) < 0)
		return -1;
	target = target_recover(&host, id, &inner);
	if (!target) {
		hold_drop(&a->holds, container);
		if (inner.code != ERR_NONE)
			*e = inner;
		return inner.code == ERR_NONE ? 0 : -1;
	}
	pthread_mutex_lock(&a->moves->lock);
	m = add(a->moves, id, target, e);
	pthread_mutex_unlock(&a->moves->lock);
	return m ? 0 : -1;
}
