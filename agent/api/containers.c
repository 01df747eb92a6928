/* /v1/containers: list, create, get, delete. */
#include <string.h>
#include "agent/api/api.h"
#include "agent/db/address.h"
#include "agent/db/container.h"
#include "agent/view.h"
#include "base/clock.h"

int container_list(struct request *r, struct err *e)
{
	r->answer = view_containers(r->agent, e);
	return r->answer ? 0 : -1;
}

int container_get(struct request *r, struct err *e)
{
	return api_answer_container(r, r->params[0], e);
}

/* What the agent itself has to know of a spec before it promises anything; the rest is checked by the core against the host's policy. */
static int check_spec(const struct agent *a, Davit__ContainerSpec *s, struct err *e)
{
	if (str_check_name(s->name, "spec.name", e) < 0)
		return -1;
	if (!s->image)
		return err_field(e, "spec.image", "is needed: see GET /v1/images");
	if (str_check_name(s->image, "spec.image", e) < 0)
		return -1;
	if (!s->process || s->process->n_args == 0)
		return err_field(e, "spec.process.args", "is needed: what shall run?");
	if (s->n_attachments && !s->network_mode)
		return pb_set_str(&s->network_mode, "bridge", e);
	if (s->n_attachments && !str_eq(s->network_mode, "bridge"))
		return err_field(e, "spec.attachments", "go with networkMode \"bridge\" only, not \"%s\"", s->network_mode);
	if (str_eq(s->network_mode, "bridge") && !s->n_attachments) {
		Davit__NetworkAttachment *at;

		if (!a->config->n_networks)
			return err_field(e, "spec.networkMode", "this host has no bridge network");
		at = pb_new(&davit__network_attachment__descriptor, e);
		if (!at || pb_push(&s->n_attachments, &s->attachments, at, e) < 0)
			return -1;
		return pb_set_str(&at->network, a->config->networks[0]->name, e);
	}
	return 0;
}

/* The database's part: identity chosen and kept in one transaction. */
static int promise(struct agent *a, Davit__Container *c, struct err *e)
{
	const Davit__AgentConfig *conf = a->config;

	if (db_begin(a->db, true, e) < 0)
		return -1;
	if (db_address_choose(a->db, conf->networks, conf->n_networks, c->spec, c->id, e) < 0 ||
	    db_container_choose_ids(a->db, conf->ids_start, conf->ids_count, c->id, c->ids, e) < 0 || db_container_insert(a->db, c, e) < 0) {
		db_rollback(a->db);
		return -1;
	}
	return db_commit(a->db, e);
}

/* Takes over spec (leaves NULL). unique: its id, if not empty. */
static Davit__Container *new_container(Davit__ContainerSpec **spec, const char *unique, struct err *e)
{
	auto_pb(Davit__Container) *c = pb_new(&davit__container__descriptor, e);
	char id[33], now[32];

	if (!c || str_random_hex(id, 16, e) < 0 || pb_set_str(&c->name, (*spec)->name, e) < 0 || pb_set_str(&c->id, *unique ? unique : id, e) < 0 ||
	    pb_set_str(&c->state, "creating", e) < 0 || pb_set_str(&c->created_at, clock_rfc3339(clock_now_ns(CLOCK_REALTIME), now), e) < 0)
		return NULL;
	c->ids = pb_new(&davit__id_range__descriptor, e);
	if (!c->ids)
		return NULL;
	c->has_generation = 1;
	c->generation = 1;
	c->spec = steal_ptr(spec);
	return steal_ptr(&c);
}

/* *made: it was told as made, and is gone again. */
static int make(struct request *r, struct core *core, const Davit__Container *c, bool start, bool *made, struct err *e)
{
	Davit__CoreCreate create = DAVIT__CORE_CREATE__INIT;
	Davit__CoreRequest q = DAVIT__CORE_REQUEST__INIT;
	auto_pb(Davit__CoreReply) *reply = NULL;

	create.spec = c->spec;
	create.ids = c->ids;
	q.op_case = DAVIT__CORE_REQUEST__OP_CREATE;
	q.create = &create;
	reply = core_call(core, &q, CORE_TIMEOUT_MS, NULL, e);
	if (!reply) {
		/* The core names fields of the spec, which is a part of the body here. */
		if (e->field[0] && !str_prefix(e->field, "ids."))
			err_prefix_field(e, "spec");
		return -1;
	}
	view_tell(r->agent, "container.created", c->name);
	if (!start)
		return 0;
	if (core_start(core, c->name, e) == 0)
		return 0;
	/* Asked for as one thing: a container that cannot start is not left behind. The start's error is the one to tell. */
	r->details = steal_ptr(&core->error);
	core_delete(core, c->name, true, NULL);
	*made = true;
	return -1;
}

static int create(struct request *r, Davit__Container *c, bool start, struct err *e)
{
	auto_api_core struct api_core core = { 0 };
	bool made = false;

	if (api_core_open(r, &core, e) < 0 || promise(r->agent, c, e) < 0)
		return -1;
	if (make(r, &core.core, c, start, &made, e) == 0)
		return 0;
	db_container_delete(r->agent->db, c->name, NULL);
	if (made)
		view_tell(r->agent, "container.removed", c->name);
	return -1;
}

int container_create(struct request *r, struct err *e)
{
	Davit__ContainerCreate *m = r->message;
	auto_pb(Davit__Container) *c = NULL;
	int made;

	if (check_spec(r->agent, m->spec, e) < 0)
		return -1;
	c = new_container(&m->spec, r->unique, e);
	if (!c || hold_take(&r->agent->holds, c->name, "creating", e) < 0)
		return -1;
	made = create(r, c, m->has_start && m->start, e);
	hold_drop(&r->agent->holds, c->name);
	return made < 0 ? -1 : api_answer_container(r, c->name, e);
}

static int remove_container(struct request *r, const char *name, bool force, struct err *e)
{
	auto_pb(Davit__Container) *c = db_container_get(r->agent->db, name, NULL, e);
	auto_api_core struct api_core core = { 0 };
	struct err inner = { 0 };

	if (!c || api_core_open(r, &core, e) < 0)
		return -1;
	if (core_delete(&core.core, name, force, &inner) < 0 && inner.code != ERR_NOT_FOUND) {
		*e = inner;
		return -1;
	}
	return db_container_delete(r->agent->db, name, e);
}

int container_delete(struct request *r, struct err *e)
{
	const char *name = r->params[0];
	bool force;
	int removed;

	if (request_query_bool(r, "force", &force, e) < 0 || hold_take(&r->agent->holds, name, "deleting", e) < 0)
		return -1;
	removed = remove_container(r, name, force, e);
	hold_drop(&r->agent->holds, name);
	if (removed == 0)
		view_tell(r->agent, "container.removed", name);
	return removed;
}
