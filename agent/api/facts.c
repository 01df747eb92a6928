/* What a container is doing: counters, processes, clocks, and what would keep it from moving. */
#include "agent/api/api.h"
#include "agent/db/container.h"
#include "agent/mobility.h"

/* Asks the core about the container in the path. Owned reply, or NULL. */
static Davit__CoreReply *ask(struct request *r, Davit__CoreRequest__OpCase op, struct err *e)
{
	Davit__CoreName name = DAVIT__CORE_NAME__INIT;
	Davit__CoreRequest q = DAVIT__CORE_REQUEST__INIT;
	Davit__CoreReply *reply = NULL;
	auto_pb(Davit__Container) *known = db_container_get(r->agent->db, r->params[0], NULL, e);

	if (!known)
		return NULL;
	name.name = r->params[0];
	q.op_case = op;
	q.get = &name; /* all of these requests are a CoreName in the union */
	return api_call(r, &q, CORE_TIMEOUT_MS, &reply, e) < 0 ? NULL : reply;
}

/* Takes the wanted message out of a reply. */
static int answer(struct request *r, Davit__CoreRequest__OpCase op, Davit__CoreReply__ResultCase want, struct err *e)
{
	auto_pb(Davit__CoreReply) *reply = ask(r, op, e);

	if (!reply)
		return -1;
	if (reply->result_case != want)
		return err_set(e, ERR_PROTOCOL, 0, "the runtime core answered something else");
	r->answer = reply->stats;
	reply->stats = NULL;
	reply->result_case = DAVIT__CORE_REPLY__RESULT__NOT_SET;
	return 0;
}

int container_stats(struct request *r, struct err *e)
{
	return answer(r, DAVIT__CORE_REQUEST__OP_STATS, DAVIT__CORE_REPLY__RESULT_STATS, e);
}

int container_processes(struct request *r, struct err *e)
{
	return answer(r, DAVIT__CORE_REQUEST__OP_PROCESSES, DAVIT__CORE_REPLY__RESULT_PROCESSES, e);
}

int container_clock(struct request *r, struct err *e)
{
	return answer(r, DAVIT__CORE_REQUEST__OP_CLOCK, DAVIT__CORE_REPLY__RESULT_CLOCK, e);
}

int container_mobility(struct request *r, struct err *e)
{
	auto_pb(Davit__Container) *known = db_container_get(r->agent->db, r->params[0], NULL, e);
	auto_api_core struct api_core c = { 0 };

	if (!known || api_core_open(r, &c, e) < 0)
		return -1;
	r->answer = mobility_of(r->agent, &c.core, r->params[0], e);
	return r->answer ? 0 : -1;
}
