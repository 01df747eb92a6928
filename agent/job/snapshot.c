/* Making a snapshot: freeze, dump into the store, let go on, then make it durable.
 *
 * The container stands still from the pause until the dump's last byte was read; syncing to disk comes after it goes on. A checkpoint is deleted
 * only after its snapshot is on disk, and the database knows it before that, so that no crash in between loses the container. */
#include "agent/job/snapshot.h"
#include <string.h>
#include <unistd.h>
#include "agent/agent.h"
#include "agent/db/container.h"
#include "agent/job/channels.h"
#include "agent/view.h"
#include "base/clock.h"
#include "base/log.h"

#define DUMP_TIMEOUT_MS 600000
#define MEMORY_TIMEOUT_MS 600000
#define MEMORY_LOOK_MS 200

struct making {
	struct job *job;
	struct agent *agent;
	const char *name;
	const struct snapshot_args *args;
	struct core core;
	Davit__SnapshotManifest *manifest;
	struct store_writer *writer;
	int64_t paused; /* CLOCK_MONOTONIC; 0: it was paused before */
};

static void free_args(void *arg)
{
	struct snapshot_args *args = arg;

	pb_freep(&args->request);
	free(args);
}

/* What is known before the freeze. */
static int describe(struct making *m, struct err *e)
{
	auto_pb(Davit__Container) *c = db_container_get(m->agent->db, m->name, NULL, e);
	auto_pb(Davit__ContainerStatus) *s = c ? core_get(&m->core, m->name, e) : NULL;
	Davit__SnapshotManifest *man = m->manifest;

	if (!s)
		return -1;
	if (!str_eq(s->state, "running") && !str_eq(s->state, "paused")) {
		err_set(e, ERR_STATE, 0, "container %s is %s: only a running or paused one has a state to keep", m->name, s->state);
		return err_remedy(e, "davit start %s", m->name);
	}
	m->paused = str_eq(s->state, "paused") ? 0 : 1;
	man->facts = core_facts(&m->core, e);
	if (!man->facts || pb_set_str(&man->image_digest, s->image_digest ? s->image_digest : "", e) < 0 ||
	    pb_set_str(&man->reason, m->args->stop ? "checkpoint" : "snapshot", e) < 0)
		return -1;
	man->spec = steal_ptr(&c->spec);
	man->ids = steal_ptr(&c->ids);
	for (size_t i = 0; m->args->request && i < m->args->request->n_labels; i++) {
		void *label = pb_dup(&m->args->request->labels[i]->base, e);

		if (!label || pb_push(&man->n_labels, &man->labels, label, e) < 0)
			return -1;
	}
	return 0;
}

/* A container whose last move has not brought all of its memory yet is given the time for it before it is frozen. */
static int wait_until_whole(struct making *m, struct err *e)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	int64_t end = clock_now_ns(CLOCK_MONOTONIC) + MEMORY_TIMEOUT_MS * NSEC_PER_MSEC;

	for (;;) {
		auto_pb(Davit__MemoryStatus) *s = NULL;
		struct core core;

		if (core_channel(&m->agent->core, NULL, &core, e) < 0)
			return -1;
		s = core_memory_status(&core, m->name, e);
		core_close(&core); /* ends the core's telling */
		if (!s || s->complete)
			return s ? 0 : -1;
		job_phase(m->job, "memory");
		job_bytes(m->job, s->delivered * page, (s->delivered + s->missing) * page);
		if (job_cancelled(m->job))
			return err_set(e, ERR_CANCELLED, 0, "snapshot of %s: cancelled", m->name);
		if (clock_now_ns(CLOCK_MONOTONIC) > end) {
			err_set(e, ERR_TIMEOUT, 0, "container %s still lacks %llu KiB of its memory after %d s", m->name,
				(unsigned long long)(s->missing * page / 1024), MEMORY_TIMEOUT_MS / 1000);
			return err_remedy(e, "see whether the move that brought it here goes on: davit migrate ls");
		}
		job_sleep(m->job, MEMORY_LOOK_MS);
	}
}

/* The dump's last reply; meanwhile progress is told and a cancel is heard. */
static Davit__CoreReply *wait_for_dump(struct making *m, uint64_t request, struct channels *ch, struct err *e)
{
	int64_t end = clock_now_ns(CLOCK_MONOTONIC) + DUMP_TIMEOUT_MS * NSEC_PER_MSEC;

	while (clock_now_ns(CLOCK_MONOTONIC) < end) {
		struct err inner = { 0 };
		Davit__CoreReply *reply = core_recv(&m->core, request, 200, NULL, &inner);

		job_bytes(m->job, ch->bytes, 0);
		if (reply)
			return reply;
		if (inner.code != ERR_TIMEOUT) {
			*e = inner;
			return NULL;
		}
		if (job_cancelled(m->job)) {
			err_set(e, ERR_CANCELLED, 0, "snapshot of %s: cancelled", m->name);
			return NULL;
		}
	}
	err_set(e, ERR_TIMEOUT, 0, "the dump of %s takes longer than %d s", m->name, DUMP_TIMEOUT_MS / 1000);
	return NULL;
}

static int dump(struct making *m, struct err *e)
{
	Davit__CoreDump d = DAVIT__CORE_DUMP__INIT;
	Davit__CoreRequest q = DAVIT__CORE_REQUEST__INIT;
	auto_core_fds struct core_fds fds = CORE_FDS_INIT;
	auto_pb(Davit__CoreReply) *first = NULL, *last = NULL;
	struct channels ch = { 0 };
	struct err streams = { 0 };
	int joined;

	d.name = (char *)(uintptr_t)m->name;
	q.op_case = DAVIT__CORE_REQUEST__OP_DUMP;
	q.dump = &d;
	first = core_call(&m->core, &q, CORE_TIMEOUT_MS, &fds, e);
	if (!first)
		return -1;
	if (channels_store(&ch, &fds, m->writer, e) == 0)
		last = wait_for_dump(m, q.id, &ch, e);
	if (!last) {
		job_details(m->job, steal_ptr(&m->core.error));
		channels_break(&ch);
		/* Ends the dump in the core; a new channel is for what follows. */
		core_close(&m->core);
		channels_join(&ch, NULL);
		if (core_channel(&m->agent->core, NULL, &m->core, &streams) < 0)
			log_err(LOG_LEVEL_ERROR, m->name, &streams);
		return -1;
	}
	joined = channels_join(&ch, &streams);
	if (joined < 0) {
		*e = streams;
		return -1;
	}
	if (last->result_case != DAVIT__CORE_REPLY__RESULT_DUMP)
		return err_set(e, ERR_PROTOCOL, 0, "the runtime core answered something else");
	m->manifest->dump = steal_ptr(&last->dump);
	last->result_case = DAVIT__CORE_REPLY__RESULT__NOT_SET;
	return 0;
}

/* Lets it go on, if it was not paused before. */
static int let_go(struct making *m, struct err *e)
{
	if (!m->paused)
		return 0;
	if (core_resume(&m->core, m->name, e) < 0)
		return err_prefix(e, "resume %s after its dump", m->name);
	m->manifest->has_frozen_us = 1;
	m->manifest->frozen_us = (uint32_t)((clock_now_ns(CLOCK_MONOTONIC) - m->paused) / NSEC_PER_USEC);
	return 0;
}

static int freeze_and_dump(struct making *m, struct err *e)
{
	struct err resume = { 0 };

	job_phase(m->job, "dump");
	if (m->paused) {
		m->paused = clock_now_ns(CLOCK_MONOTONIC);
		if (core_pause(&m->core, m->name, true, e) < 0)
			return -1;
	}
	if (dump(m, e) < 0) {
		if (let_go(m, &resume) < 0)
			log_err(LOG_LEVEL_ERROR, m->name, &resume);
		return -1;
	}
	return m->args->stop ? 0 : let_go(m, e);
}

static void put_snapshot(Davit__Operation *op, void *arg)
{
	op->snapshot = arg;
}

static int tell(struct making *m, struct err *e)
{
	Davit__Event ev = DAVIT__EVENT__INIT;
	Davit__Snapshot *s = store_get(m->agent->store, m->manifest->id, e);

	if (!s)
		return -1;
	job_update(m->job, put_snapshot, s);
	ev.type = (char *)(uintptr_t) "snapshot.created";
	ev.container = (char *)(uintptr_t)m->name;
	event_publish(&m->agent->events, &ev);
	return 0;
}

static int keep(struct making *m, struct err *e)
{
	struct err resume = { 0 };

	job_phase(m->job, "store");
	if (store_writer_finish(m->writer, m->manifest, e) < 0) {
		if (m->args->stop && let_go(m, &resume) < 0)
			log_err(LOG_LEVEL_ERROR, m->name, &resume);
		return -1;
	}
	if (!m->args->stop)
		return tell(m, e);
	if (db_container_set_snapshot(m->agent->db, m->name, m->manifest->id, e) < 0 || core_delete(&m->core, m->name, true, e) < 0)
		return -1;
	view_tell(m->agent, "container.checkpointed", m->name);
	return tell(m, e);
}

static int run(struct job *j, void *arg, struct err *e)
{
	struct agent *a = job_agent(j);
	auto_pb(Davit__SnapshotManifest) *manifest = pb_new(&davit__snapshot_manifest__descriptor, e);
	auto_store_writer struct store_writer *writer = NULL;
	struct making m = { .job = j, .agent = a, .name = job_container(j), .args = arg, .manifest = manifest };
	int r = -1;

	if (!manifest || core_channel(&a->core, NULL, &m.core, e) < 0)
		return -1;
	if (describe(&m, e) == 0 && wait_until_whole(&m, e) == 0 && (writer = store_writer_new(a->store, m.name, e))) {
		m.writer = writer;
		r = freeze_and_dump(&m, e) < 0 ? -1 : keep(&m, e);
	}
	core_close(&m.core);
	return r;
}

static const struct job_kind create_kind = { "snapshot.create", "a snapshot", run, free_args };
static const struct job_kind checkpoint_kind = { "checkpoint", "a checkpoint", run, free_args };

Davit__Operation *snapshot_job_create(struct agent *a, const char *container, struct snapshot_args args, struct err *e)
{
	auto_free char *snapshot = NULL;
	auto_pb(Davit__Container) *known = db_container_get(a->db, container, &snapshot, e);
	struct snapshot_args *kept = known ? mem_new(1, sizeof(*kept), e) : NULL;

	if (kept && snapshot) {
		err_set(e, ERR_STATE, 0, "container %s is checkpointed already (snapshot %s)", container, snapshot);
		free(kept);
		kept = NULL;
	}
	if (!kept) {
		pb_freep(&args.request);
		return NULL;
	}
	*kept = args;
	return job_start(a, args.stop ? &checkpoint_kind : &create_kind, container, *args.unique ? args.unique : NULL, kept, e);
}
