/* Snapshots and checkpoints. */
#include <string.h>
#include "agent/api/api.h"
#include "agent/db/container.h"
#include "agent/job/snapshot.h"
#include "migrate/store.h"

static int create(struct request *r, bool stop, struct err *e)
{
	struct snapshot_args args = { .unique = r->unique, .request = r->message, .stop = stop };

	r->message = NULL;
	r->answer = snapshot_job_create(r->agent, r->params[0], args, e);
	return r->answer ? 0 : -1;
}

int snapshot_create(struct request *r, struct err *e)
{
	return create(r, false, e);
}

int container_checkpoint(struct request *r, struct err *e)
{
	return create(r, true, e);
}

/* Of the container in the path, in the query, or of all. */
int snapshot_list(struct request *r, struct err *e)
{
	const char *container = r->params[0][0] ? r->params[0] : request_query(r, "container");

	if (container && str_check_name(container, "container", e) < 0)
		return -1;
	r->answer = store_list(r->agent->store, container, e);
	return r->answer ? 0 : -1;
}

int snapshot_get(struct request *r, struct err *e)
{
	r->answer = store_get(r->agent->store, r->params[0], e);
	return r->answer ? 0 : -1;
}

/* A checkpoint is all that is left of its container. */
static int refuse_if_needed(struct request *r, const Davit__Snapshot *s, struct err *e)
{
	auto_free char *needed = NULL;
	auto_pb(Davit__Container) *c = db_container_get(r->agent->db, s->container, &needed, &(struct err){ 0 });

	if (!c || !str_eq(needed, s->id))
		return 0;
	err_set(e, ERR_STATE, 0, "container %s is checkpointed in snapshot %s", s->container, s->id);
	return err_remedy(e, "restore the container, or remove it first");
}

int snapshot_delete(struct request *r, struct err *e)
{
	auto_pb(Davit__Snapshot) *s = store_get(r->agent->store, r->params[0], e);
	Davit__Event ev = DAVIT__EVENT__INIT;

	if (!s || refuse_if_needed(r, s, e) < 0 || store_remove(r->agent->store, s->id, NULL, e) < 0)
		return -1;
	ev.type = (char *)(uintptr_t) "snapshot.removed";
	ev.container = s->container;
	event_publish(&r->agent->events, &ev);
	return 0;
}

static int restore(struct request *r, const char *snapshot, const char *name, bool checkpoint, struct err *e)
{
	struct restore_args args = { .unique = r->unique, .snapshot = mem_strdup(snapshot, e), .checkpoint = checkpoint };

	if (!args.snapshot)
		return -1;
	args.request = r->message;
	r->message = NULL;
	r->answer = snapshot_job_restore(r->agent, name, args, e);
	return r->answer ? 0 : -1;
}

int snapshot_restore(struct request *r, struct err *e)
{
	auto_pb(Davit__Snapshot) *s = store_get(r->agent->store, r->params[0], e);
	auto_free char *name = NULL;
	const Davit__SnapshotRestore *m = r->message;

	if (!s || (m->new_name && str_check_name(m->new_name, "newName", e) < 0))
		return -1;
	name = mem_strdup(m->new_name ? m->new_name : s->container, e);
	return name ? restore(r, s->id, name, false, e) : -1;
}

/* A checkpointed container, from the snapshot that holds it. */
int container_restore(struct request *r, struct err *e)
{
	auto_free char *snapshot = NULL;
	auto_pb(Davit__Container) *c = db_container_get(r->agent->db, r->params[0], &snapshot, e);
	const Davit__SnapshotRestore *m = r->message;

	if (!c)
		return -1;
	if (m->new_name)
		return err_field(e, "newName", "is for snapshots: POST /v1/snapshots/{id}/restore");
	if (!snapshot) {
		err_set(e, ERR_STATE, 0, "container %s is not checkpointed", c->name);
		return err_remedy(e, "restore one of its snapshots under another name");
	}
	return restore(r, snapshot, c->name, true, e);
}

/* What a checkpointed container needs is kept: a prune that would remove it is refused as a whole. */
static int check_prune(struct request *r, const Davit__SnapshotPrune *m, struct err *e)
{
	Davit__SnapshotPrune rules = *m;
	auto_pb(Davit__PruneResult) *plan = NULL;

	rules.has_dry_run = 1;
	rules.dry_run = 1;
	plan = store_prune(r->agent->store, &rules, e);
	for (size_t i = 0; plan && i < plan->n_removed; i++) {
		auto_pb(Davit__Snapshot) *s = store_get(r->agent->store, plan->removed[i], &(struct err){ 0 });

		if (s && refuse_if_needed(r, s, e) < 0)
			return -1;
	}
	if (!plan)
		return -1;
	if (m->has_dry_run && m->dry_run)
		r->answer = steal_ptr(&plan);
	return 0;
}

int snapshot_prune(struct request *r, struct err *e)
{
	const Davit__SnapshotPrune *m = r->message;

	if ((m->container && str_check_name(m->container, "container", e) < 0) || check_prune(r, m, e) < 0)
		return -1;
	if (!r->answer)
		r->answer = store_prune(r->agent->store, m, e);
	return r->answer ? 0 : -1;
}
