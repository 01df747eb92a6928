/* What a container is doing: counters, processes, clocks, and what would keep it from moving. */
#include <errno.h>
#include "agent/api/api.h"
#include "agent/db/container.h"
#include "agent/mobility.h"
#include "agent/db/operation.h"

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

/* How its clocks came through the move that brought it here, if one did and its record is still kept. */
static int add_last_move(const struct request *r, Davit__ContainerClock *c, struct err *e)
{
	auto_pb(Davit__Container) *known = db_container_get(r->agent->db, r->params[0], NULL, e);
	auto_pb(Davit__MoveRecord) *move = known && known->last_move ? db_move_get(r->agent->db, known->last_move, NULL) : NULL;

	if (!move || !str_eq(move->role, "target") || !move->clock)
		return known ? 0 : -1;
	c->moved = steal_ptr(&move->clock);
	return pb_set_str(&c->last_move, move->id, e);
}

/* A ClockSample and more, under the same numbers. */
int container_clock(struct request *r, struct err *e)
{
	auto_pb(Davit__CoreReply) *reply = ask(r, DAVIT__CORE_REQUEST__OP_CLOCK, e);
	auto_buf struct buf bytes = { 0 };

	if (!reply)
		return -1;
	if (reply->result_case != DAVIT__CORE_REPLY__RESULT_CLOCK)
		return err_set(e, ERR_PROTOCOL, 0, "the runtime core answered something else");
	if (pb_pack(&reply->clock->base, &bytes, e) < 0)
		return -1;
	auto_pb(Davit__ContainerClock) *c = davit__container_clock__unpack(NULL, bytes.len, (const uint8_t *)bytes.data);
	if (!c)
		return err_set(e, ERR_RESOURCE, ENOMEM, "clocks");
	if (add_last_move(r, c, e) < 0)
		return -1;
	r->answer = steal_ptr(&c);
	return 0;
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
