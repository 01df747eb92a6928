/* Migrations: POST /v1/containers/{name}/migrate starts one; /v1/migrations tells of all that this host took part in, as source or as target. */
#include "agent/api/api.h"
#include "agent/db/operation.h"
#include "agent/job/mover.h"
#include "agent/move.h"

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

/* An outgoing move is its operation; an incoming one is asked itself. */
int migration_cancel(struct request *r, struct err *e)
{
	auto_pb(Davit__MoveRecord) *m = db_move_get(r->agent->db, r->params[0], e);

	if (!m)
		return -1;
	if (str_eq(m->role, "target") ? move_cancel(r->agent, m->id, e) < 0 : job_cancel(r->agent, m->id, e) < 0)
		return -1;
	r->answer = steal_ptr(&m);
	return 0;
}
