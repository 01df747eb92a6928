/* What may differ after a crash, and which side is right:
 *   in the database only       never made, or gone: forgotten (unless a move or a checkpoint accounts for it)
 *   in the core only           made, but not written down, or the database was lost: adopted
 *   checkpointed, in the core  the crash came between the two: the snapshot counts, the frozen container goes
 *   half restored, no move     a restore that was interrupted: dropped */
#include "agent/reconcile.h"
#include <string.h>
#include "agent/db/container.h"
#include "agent/db/operation.h"
#include "agent/view.h"
#include "base/log.h"

static const Davit__ContainerStatus *find(const Davit__ContainerStatusList *list, const char *name)
{
	for (size_t i = 0; i < list->n_containers; i++)
		if (strcmp(list->containers[i]->name, name) == 0)
			return list->containers[i];
	return NULL;
}

static bool is_settled(const Davit__MoveRecord *m)
{
	static const char *const ends[] = { "done", "aborted", "running", "dropped" };

	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		if (str_eq(m->state, ends[i]))
			return true;
	return false;
}

static bool is_moving(const Davit__MigrationList *moves, const char *name)
{
	for (size_t i = 0; i < moves->n_migrations; i++)
		if (strcmp(moves->migrations[i]->container, name) == 0 && !is_settled(moves->migrations[i]))
			return true;
	return false;
}

static int settle_known(struct agent *a, const Davit__Container *c, const Davit__ContainerStatus *s, struct err *e)
{
	struct err inner = { 0 };

	if (str_eq(c->state, "checkpointed")) {
		if (s && core_delete(&a->core, c->name, true, &inner) < 0)
			log_err(LOG_LEVEL_WARN, c->name, &inner);
		return 0;
	}
	if (s && str_eq(s->state, "restoring")) {
		if (core_restore_drop(&a->core, c->name, &inner) < 0)
			log_err(LOG_LEVEL_WARN, c->name, &inner);
		s = NULL;
	}
	if (s)
		return 0;
	log_warn("container %s: the runtime does not have it: forgotten", c->name);
	if (db_container_delete(a->db, c->name, e) < 0)
		return -1;
	view_tell(a, "container.removed", c->name);
	return 0;
}

static int adopt(struct agent *a, const Davit__ContainerStatus *s, struct err *e)
{
	auto_pb(Davit__Container) *c = pb_new(&davit__container__descriptor, e);
	struct err inner = { 0 };
	char id[33];

	if (!s->spec || !s->ids)
		return 0;
	if (!c || str_random_hex(id, 16, e) < 0 || pb_set_str(&c->name, s->name, e) < 0 || pb_set_str(&c->id, id, e) < 0 ||
	    pb_set_str(&c->state, "created", e) < 0 || pb_set_str(&c->created_at, s->created_at ? s->created_at : "", e) < 0)
		return -1;
	c->spec = pb_dup(&s->spec->base, e);
	c->ids = pb_dup(&s->ids->base, e);
	if (!c->spec || !c->ids)
		return -1;
	log_warn("container %s: not in the database: adopted", s->name);
	if (db_container_insert(a->db, c, &inner) < 0)
		log_err(LOG_LEVEL_WARN, s->name, &inner);
	return 0;
}

static void ensure_networks(struct agent *a)
{
	for (size_t i = 0; i < a->config->n_networks; i++) {
		Davit__CoreRequest q = DAVIT__CORE_REQUEST__INIT;
		auto_pb(Davit__CoreReply) *reply = NULL;
		struct err e = { 0 };

		q.op_case = DAVIT__CORE_REQUEST__OP_NETWORK_ENSURE;
		q.network_ensure = a->config->networks[i];
		reply = core_call(&a->core, &q, CORE_TIMEOUT_MS, NULL, &e);
		if (!reply)
			log_err(LOG_LEVEL_ERROR, a->config->networks[i]->name, &e);
	}
}

static bool is_known(const Davit__ContainerList *known, const char *name)
{
	for (size_t i = 0; i < known->n_containers; i++)
		if (strcmp(known->containers[i]->name, name) == 0)
			return true;
	return false;
}

int reconcile(struct agent *a, struct err *e)
{
	auto_pb(Davit__ContainerStatusList) *core = core_list(&a->core, e);
	auto_pb(Davit__ContainerList) *known = pb_new(&davit__container_list__descriptor, e);
	auto_pb(Davit__MigrationList) *moves = pb_new(&davit__migration_list__descriptor, e);

	if (!core)
		return err_prefix(e, "the runtime core does not answer");
	if (!known || !moves || db_container_list(a->db, known, e) < 0 || db_move_list(a->db, NULL, moves, e) < 0)
		return -1;
	ensure_networks(a);
	for (size_t i = 0; i < known->n_containers; i++) {
		const Davit__Container *c = known->containers[i];

		if (!is_moving(moves, c->name) && settle_known(a, c, find(core, c->name), e) < 0)
			return -1;
	}
	for (size_t i = 0; i < core->n_containers; i++) {
		const char *name = core->containers[i]->name;

		if (!is_known(known, name) && !is_moving(moves, name) && adopt(a, core->containers[i], e) < 0)
			return -1;
	}
	return 0;
}
