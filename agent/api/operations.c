/* /v1/operations. */
#include "agent/api/api.h"
#include "agent/db/operation.h"

int operation_list(struct request *r, struct err *e)
{
	auto_pb(Davit__OperationList) *list = pb_new(&davit__operation_list__descriptor, e);

	if (!list || db_operation_list(r->agent->db, request_query(r, "container"), list, e) < 0 || job_refresh(r->agent, list, e) < 0)
		return -1;
	r->answer = steal_ptr(&list);
	return 0;
}

int operation_get(struct request *r, struct err *e)
{
	uint64_t seconds;

	if (api_query_seconds(r, "wait", 3600, 0, &seconds, e) < 0)
		return -1;
	r->answer = job_wait(r->agent, r->params[0], (int)seconds * 1000, e);
	return r->answer ? 0 : -1;
}

int operation_cancel(struct request *r, struct err *e)
{
	if (job_cancel(r->agent, r->params[0], e) < 0)
		return -1;
	r->answer = job_get(r->agent, r->params[0], e);
	return r->answer ? 0 : -1;
}
