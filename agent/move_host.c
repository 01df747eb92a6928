/* What the agent gives to each incoming move: a core, facts, a reservation of identity, the source's verdict; and what it does when a record
 * changes. The container of an incoming move is held ("migrating") from its reservation until it runs here or was dropped. */
#include "agent/move_host.h"
#include <poll.h>
#include <string.h>
#include "agent/db/address.h"
#include "agent/db/container.h"
#include "agent/db/operation.h"
#include "agent/job/mover.h"
#include "agent/view.h"
#include "base/clock.h"
#include "base/log.h"
#include "migrate/mover.h"

#define STORE_RETRY_MS 500

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
	/* Under the name that people know it by. */
	if (facts && pb_set_str(&facts->hostname, ((struct agent *)arg)->config->name, e) < 0)
		pb_freep(&facts);
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

/* Name and addresses are taken as they come, or the move is refused. */
static int promise(struct agent *a, const Davit__StreamOffer *offer, Davit__IdRange *ids, struct err *e)
{
	const Davit__AgentConfig *config = a->config;
	auto_pb(Davit__Container) *c = NULL;
	Davit__MoveRecord m = DAVIT__MOVE_RECORD__INIT;

	if (db_begin(a->db, true, e) < 0)
		return -1;
	/* Those that adapt_offer() took out; the others are looked at as in a request. */
	if (db_address_choose(a->db, config->networks, config->n_networks, offer->spec, offer->move_id, e) < 0 || !(c = describe(offer, e))) {
		db_rollback(a->db);
		return -1;
	}
	m.id = offer->move_id;
	m.container = c->name;
	m.role = (char *)(uintptr_t) "target";
	m.state = (char *)(uintptr_t) "offered";
	m.source_url = offer->source_url;
	m.started_at = c->created_at;
	if (db_address_check_networks(a->config->networks, a->config->n_networks, c->spec, e) < 0 ||
	    db_container_keep_ids(a->db, a->config->ids_start, a->config->ids_count, c->id, c->ids, e) < 0 || db_container_insert(a->db, c, e) < 0 ||
	    (!offer->check_only && db_move_put(a->db, &m, e) < 0)) {
		db_rollback(a->db);
		return -1;
	}
	ids->host_start = c->ids->host_start;
	ids->size = c->ids->size;
	return db_commit(a->db, e);
}

static int host_reserve(void *arg, const Davit__StreamOffer *offer, Davit__IdRange *ids, struct err *e)
{
	struct agent *a = arg;
	const char *name = offer->spec->name;

	if (str_check_name(name, "spec.name", e) < 0 || hold_take(&a->holds, name, "migrating", e) < 0)
		return -1;
	if (promise(a, offer, ids, e) == 0)
		return 0;
	hold_drop(&a->holds, name);
	return -1;
}

static int host_release(void *arg, const Davit__StreamOffer *offer, struct err *e)
{
	struct agent *a = arg;

	if (db_container_delete(a->db, offer->spec->name, e) < 0)
		return -1;
	hold_drop(&a->holds, offer->spec->name);
	return 0;
}

static int host_ask_verdict(void *arg, const char *url, const char *id, enum handover_verdict *out, struct err *e)
{
	const struct agent *a = arg;
	Davit__MoverJob q;

	mover_question(a, url, id, &q);
	return mover_ask_verdict(a->mover, &q, out, e);
}

bool move_host_runs(const Davit__MoveRecord *r)
{
	return str_eq(r->state, "running") || str_eq(r->state, "filling") || str_eq(r->state, "stranded");
}

/* How a move ended is written down however long its disk is full: else it would look like one under way until davitd starts again. */
static void store(const struct agent *a, const Davit__MoveRecord *r)
{
	struct err e = { 0 };

	while (db_move_put(a->db, r, &e) < 0) {
		log_err(LOG_LEVEL_WARN, "move not stored", &e);
		err_clear(&e);
		if (!r->finished_at || a->stopping)
			return;
		poll(NULL, 0, STORE_RETRY_MS);
	}
}

static void host_changed(void *arg, const Davit__MoveRecord *r, const Davit__StreamOffer *offer)
{
	struct agent *a = arg;
	Davit__Event ev = DAVIT__EVENT__INIT;
	auto_pb(Davit__MoveRecord) *before = db_move_get(a->db, r->id, &(struct err){ 0 });

	store(a, r);
	if (before && str_eq(before->state, r->state))
		return;
	ev.type = (char *)(uintptr_t) "migration.state";
	ev.container = r->container;
	ev.move = (Davit__MoveRecord *)(uintptr_t)r;
	event_publish(&a->events, &ev);
	/* From the thaw on it is this host's, also while its memory follows. */
	if (!offer || !move_host_runs(r) || (before && move_host_runs(before)))
		return;
	hold_drop(&a->holds, offer->spec->name);
	view_tell(a, "container.arrived", offer->spec->name);
}

struct target_host move_host(struct agent *a, const char *peer)
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
