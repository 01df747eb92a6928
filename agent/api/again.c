/* A request that is repeated under its Idempotency-Key after a davitd that ended in the middle of the first: what the first did is found again by
 * the id that was written down with the key before it began, and is not done twice. */
#include "agent/api/api.h"
#include "agent/db/container.h"

/* The container that the first made, if it did: the id tells it from another of the name. */
static Davit__Container *made(struct request *r, const char *name)
{
	auto_pb(Davit__Container) *c = db_container_get(r->agent->db, name, NULL, &(struct err){ 0 });

	return c && str_eq(c->id, r->unique) ? steal_ptr(&c) : NULL;
}

int container_create_again(struct request *r, struct err *e)
{
	const Davit__ContainerCreate *m = r->message;
	auto_pb(Davit__Container) *c = made(r, m->spec->name);
	auto_pb(Davit__ContainerStatus) *s = NULL;

	if (!c)
		return container_create(r, e);
	s = core_get(&r->agent->core, c->name, e);
	if (!s || (m->has_start && m->start && str_eq(s->state, "created") && core_start(&r->agent->core, c->name, e) < 0))
		return -1;
	return api_answer_container(r, c->name, e);
}

int container_change_again(struct request *r, struct err *e)
{
	if (r->route->handle(r, e) == 0)
		return 0;
	/* It is no longer in the state that the first found it in: the first was carried out. */
	return e->code == ERR_STATE ? api_answer_container(r, r->params[0], e) : -1;
}

int operation_again(struct request *r, struct err *e)
{
	struct err none = { 0 };

	r->answer = job_get(r->agent, r->unique, &none);
	if (r->answer)
		return 0;
	if (none.code != ERR_NOT_FOUND) {
		*e = none;
		return -1;
	}
	return r->route->handle(r, e);
}
