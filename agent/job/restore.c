/* Bringing a container back from a snapshot: under its own name, or as a clone.
 *
 * A clone gets an identity of its own: name, id, host ids, addresses; its connections are closed and it publishes no ports. Clocks by the
 * policy (migrate/clock_policy.h): `suspend` unless asked otherwise. Whatever fails, the host is as it was before. */
#include <string.h>
#include "agent/agent.h"
#include "agent/db/address.h"
#include "agent/db/container.h"
#include "agent/job/channels.h"
#include "agent/job/snapshot.h"
#include "agent/view.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/proc.h"
#include "migrate/clock_policy.h"

#define RESTORE_TIMEOUT_MS 600000

struct restoring {
	struct job *job;
	struct agent *agent;
	const char *name;
	const struct restore_args *args;
	enum clock_policy policy;
	struct core core;
	struct store_reader *reader;
	const Davit__SnapshotManifest *manifest;
	Davit__Container *container; /* owned: as the database has it */
	bool inserted;
};

static void free_args(void *arg)
{
	struct restore_args *args = arg;

	free(args->snapshot);
	pb_freep(&args->request);
	free(args);
}

static bool is_clone(const struct restoring *r)
{
	return !str_eq(r->name, r->manifest->container);
}

static Davit__Container *describe(const struct restoring *r, struct err *e)
{
	auto_pb(Davit__Container) *c = pb_new(&davit__container__descriptor, e);
	char id[33], now[32];

	if (!c || str_random_hex(id, 16, e) < 0 || pb_set_str(&c->name, r->name, e) < 0 || pb_set_str(&c->id, id, e) < 0 ||
	    pb_set_str(&c->state, "restoring", e) < 0 || pb_set_str(&c->created_at, clock_rfc3339(clock_now_ns(CLOCK_REALTIME), now), e) < 0)
		return NULL;
	c->has_generation = 1;
	c->generation = 1;
	c->spec = pb_dup(&r->manifest->spec->base, e);
	c->ids = pb_dup(&r->manifest->ids->base, e);
	if (!c->spec || !c->ids || pb_set_str(&c->spec->name, r->name, e) < 0)
		return NULL;
	if (is_clone(r))
		address_forget(c->spec);
	return steal_ptr(&c);
}

/* The database's part for a container that this host does not have: addresses are the snapshot's, a clone's are new; ids too if they are taken. */
static int promise(struct restoring *r, struct err *e)
{
	struct agent *a = r->agent;
	const Davit__AgentConfig *conf = a->config;

	r->container = describe(r, e);
	if (!r->container || db_begin(a->db, true, e) < 0)
		return -1;
	if (db_address_choose(a->db, conf->networks, conf->n_networks, r->container->spec, r->container->id, e) < 0 ||
	    db_container_keep_ids(a->db, conf->ids_start, conf->ids_count, r->container->id, r->container->ids, e) < 0 ||
	    db_container_insert(a->db, r->container, e) < 0) {
		db_rollback(a->db);
		return -1;
	}
	r->inserted = db_commit(a->db, e) == 0;
	return r->inserted ? 0 : -1;
}

/* Takes the name: a checkpointed container comes back to its own row. */
static int claim(struct restoring *r, struct err *e)
{
	auto_free char *snapshot = NULL;
	struct err inner = { 0 };

	r->container = db_container_get(r->agent->db, r->name, &snapshot, &inner);
	if (!r->container)
		return inner.code == ERR_NOT_FOUND ? promise(r, e) : (*e = inner, -1);
	if (snapshot)
		return 0;
	err_set(e, ERR_EXISTS, 0, "container %s is there already", r->name);
	return err_remedy(e, "remove it first, or restore under another name (newName)");
}

static int send_streams(struct restoring *r, uint64_t request, struct core_fds *fds, struct err *e)
{
	struct channels ch = { 0 };
	struct err streams = { 0 }, core = { 0 };
	auto_pb(Davit__CoreReply) *last = NULL;
	int sent = channels_send(&ch, fds, r->reader, &streams);

	if (channels_join(&ch, sent == 0 ? &streams : NULL) < 0)
		sent = -1;
	job_bytes(r->job, ch.bytes, 0);
	last = core_recv(&r->core, request, RESTORE_TIMEOUT_MS, NULL, &core);
	if (last && sent == 0)
		return 0;
	/* What the core says is the cause of what the streams say. */
	*e = last ? streams : core;
	return -1;
}

static int prepare(struct restoring *r, struct err *e)
{
	Davit__CoreRestorePrepare p = DAVIT__CORE_RESTORE_PREPARE__INIT;
	Davit__CoreRequest q = DAVIT__CORE_REQUEST__INIT;
	auto_core_fds struct core_fds fds = CORE_FDS_INIT;
	auto_pb(Davit__CoreReply) *first = NULL;

	p.spec = r->container->spec;
	p.ids = r->container->ids;
	p.image_digest = r->manifest->image_digest;
	if (r->manifest->facts) {
		p.has_cpuinfo = r->manifest->facts->has_cpuinfo;
		p.cpuinfo = r->manifest->facts->cpuinfo;
	}
	p.restored_from = is_clone(r) ? r->manifest->container : NULL;
	q.op_case = DAVIT__CORE_REQUEST__OP_RESTORE_PREPARE;
	q.restore_prepare = &p;
	job_phase(r->job, "read");
	first = core_call(&r->core, &q, CORE_TIMEOUT_MS, &fds, e);
	return first ? send_streams(r, q.id, &fds, e) : -1;
}

static int run_restore(struct restoring *r, struct err *e)
{
	const Davit__DumpDone *dump = r->manifest->dump;
	struct clock_reading now = clock_read();
	Davit__CoreRestoreRun run = DAVIT__CORE_RESTORE_RUN__INIT;
	Davit__CoreRequest q = DAVIT__CORE_REQUEST__INIT;
	auto_pb(Davit__CoreReply) *reply = NULL;
	char boot_id[37];

	job_phase(r->job, "restore");
	if (proc_boot_id(boot_id, e) < 0 || clock_policy_offsets(r->policy, dump->clock, clock_elapsed_local(dump->clock, boot_id, &now), &now,
								 &run.offset_monotonic, &run.offset_boottime, e) < 0)
		return -1;
	run.name = (char *)(uintptr_t)r->name;
	run.n_descriptors = dump->n_descriptors;
	run.descriptors = dump->descriptors;
	/* A clone has other addresses, so other links: it learns its peers anew. */
	run.n_neighbours = is_clone(r) ? 0 : dump->n_neighbours;
	run.neighbours = is_clone(r) ? NULL : dump->neighbours;
	run.has_tcp_close = 1;
	run.tcp_close = !r->args->checkpoint;
	q.op_case = DAVIT__CORE_REQUEST__OP_RESTORE_RUN;
	q.restore_run = &run;
	reply = core_call(&r->core, &q, RESTORE_TIMEOUT_MS, NULL, e);
	if (!reply)
		return -1;
	return r->args->request->leave_paused ? 0 : core_resume(&r->core, r->name, e);
}

static int bring_back(struct restoring *r, struct err *e)
{
	struct err inner = { 0 };

	if (prepare(r, e) == 0 && run_restore(r, e) == 0) {
		if (!r->args->request->leave_paused)
			core_announce(&r->core, r->name, NULL);
		return db_container_set_snapshot(r->agent->db, r->name, NULL, e);
	}
	job_details(r->job, steal_ptr(&r->core.error));
	if (core_restore_drop(&r->core, r->name, &inner) < 0 && inner.code != ERR_NOT_FOUND)
		log_err(LOG_LEVEL_WARN, r->name, &inner);
	return -1;
}

static int attempt(struct restoring *r, struct err *e)
{
	if (clock_policy_of(r->args->request->clock_policy ? r->args->request->clock_policy : "suspend", &r->policy, e) < 0 || claim(r, e) < 0)
		return -1;
	if (bring_back(r, e) == 0)
		return 0;
	if (r->inserted)
		db_container_delete(r->agent->db, r->name, NULL);
	return -1;
}

static void put_result(Davit__Operation *op, void *arg)
{
	op->result = arg;
}

static int run(struct job *j, void *arg, struct err *e)
{
	const struct restore_args *args = arg;
	struct agent *a = job_agent(j);
	auto_store_reader struct store_reader *reader = store_reader_open(a->store, args->snapshot, e);
	struct restoring r = { .job = j, .agent = a, .name = job_container(j), .args = args, .reader = reader };
	int result;

	if (!reader || core_channel(&a->core, NULL, &r.core, e) < 0)
		return -1;
	r.manifest = store_reader_manifest(reader);
	result = attempt(&r, e);
	core_close(&r.core);
	pb_freep(&r.container);
	if (result == 0) {
		view_tell(a, "container.restored", r.name);
		job_update(j, put_result, view_container(a, r.name, &(struct err){ 0 }));
	}
	return result;
}

static const struct job_kind restore_kind = { "snapshot.restore", "restoring", run, free_args };
static const struct job_kind checkpoint_kind = { "restore", "restoring", run, free_args };

Davit__Operation *snapshot_job_restore(struct agent *a, const char *container, struct restore_args args, struct err *e)
{
	struct restore_args *kept = mem_new(1, sizeof(*kept), e);

	if (!kept) {
		free(args.snapshot);
		pb_freep(&args.request);
		return NULL;
	}
	*kept = args;
	return job_start(a, args.checkpoint ? &checkpoint_kind : &restore_kind, container, *args.unique ? args.unique : NULL, kept, e);
}
