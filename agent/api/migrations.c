/* Migrations: POST /v1/containers/{name}/migrate starts one; /v1/migrations tells of all that this host took part in, as source or as target. */
#include "agent/api/api.h"
#include "agent/db/operation.h"
#include "agent/job/mover.h"
#include "agent/move.h"
#include "base/log.h"
#include "migrate/resolve.h"

int container_migrate(struct request *r, struct err *e)
{
	r->answer = mover_job_start(r->agent, r->params[0], r->message, r->unique, e);
	return r->answer ? 0 : -1;
}

int migration_list(struct request *r, struct err *e)
{
	auto_pb(Davit__MigrationList) *list = pb_new(&davit__migration_list__descriptor, e);

	if (!list || db_move_list(r->agent->db, request_query(r, "container"), list, e) < 0)
		return -1;
	r->answer = steal_ptr(&list);
	return 0;
}

int migration_get(struct request *r, struct err *e)
{
	r->answer = db_move_get(r->agent->db, r->params[0], e);
	return r->answer ? 0 : -1;
}

/* How a record stands in the handover's table. */
static int state_of(const Davit__MoveRecord *m, enum handover_state *out, struct err *e)
{
	return handover_state_of(str_eq(m->role, "target") ? HANDOVER_TARGET : HANDOVER_SOURCE, m->state, out, e);
}

static int refuse_committed(const Davit__MoveRecord *m, struct err *e)
{
	enum handover_state s;

	if (state_of(m, &s, e) < 0)
		return -1;
	if (s != SOURCE_COMMITTED && s != SOURCE_SERVING && s != SOURCE_GONE)
		return 0;
	err_set(e, ERR_STATE, 0, "move %s is %s: the target has the right to run it, and it cannot be taken back", m->id, m->state);
	return err_remedy(e, "it ends by itself once the target answers; davit migrate resolve decides by force");
}

/* An outgoing move is its operation; an incoming one is asked itself. */
int migration_cancel(struct request *r, struct err *e)
{
	auto_pb(Davit__MoveRecord) *m = db_move_get(r->agent->db, r->params[0], e);

	if (!m || refuse_committed(m, e) < 0)
		return -1;
	if (str_eq(m->role, "target") ? move_cancel(r->agent, m->id, e) < 0 : job_cancel(r->agent, m->id, e) < 0)
		return -1;
	r->answer = steal_ptr(&m);
	return 0;
}

int migration_resume(struct request *r, struct err *e)
{
	auto_pb(Davit__MoveRecord) *m = db_move_get(r->agent->db, r->params[0], e);
	enum handover_state s;

	if (!m || state_of(m, &s, e) < 0)
		return -1;
	if (handover_is_settled(s))
		return err_set(e, ERR_STATE, 0, "move %s has ended: %s", m->id, m->state);
	if (str_eq(m->role, "target") ? move_hurry(r->agent, m->id, e) < 0 : job_wake(r->agent, m->id, e) < 0)
		return -1;
	r->answer = steal_ptr(&m);
	return 0;
}

static Davit__MoveResolution *resolution_of(const Davit__MoveRecord *m, const char *side, const char *const *texts, struct err *e)
{
	auto_pb(Davit__MoveResolution) *a = pb_new(&davit__move_resolution__descriptor, e);

	if (!a || pb_set_str(&a->id, m->id, e) < 0 || pb_set_str(&a->container, m->container, e) < 0 || pb_set_str(&a->role, m->role, e) < 0 ||
	    pb_set_str(&a->state, m->state, e) < 0 || pb_set_str(&a->side, side, e) < 0)
		return NULL;
	for (; texts && *texts; texts++)
		if (pb_push_str(&a->n_consequences, &a->consequences, *texts, e) < 0)
			return NULL;
	return steal_ptr(&a);
}

int migration_resolve(struct request *r, struct err *e)
{
	const Davit__MoveResolve *q = r->message;
	auto_pb(Davit__MoveRecord) *m = db_move_get(r->agent->db, r->params[0], e);
	auto_pb(Davit__MoveResolution) *answer = NULL;
	enum handover_event forced;
	enum handover_state s;

	if (!m || resolve_event_of(q->side, &forced, e) < 0 || state_of(m, &s, e) < 0 || !resolve_rule(m->id, s, forced, e))
		return -1;
	answer = resolution_of(m, q->side, resolve_consequences(s, forced), e);
	if (!answer)
		return -1;
	answer->has_done = 1;
	answer->done = q->has_confirm && q->confirm;
	if (answer->done) {
		log_warn("move %s of %s (%s, %s): %s decides for the %s", m->id, m->container, m->role, m->state, r->caller.name, q->side);
		if (str_eq(m->role, "target") ? move_force(r->agent, m->id, forced, e) < 0 : mover_job_force(r->agent, m->id, forced, e) < 0)
			return -1;
	}
	r->answer = steal_ptr(&answer);
	return 0;
}
