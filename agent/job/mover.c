/* The source's side of a move as davitd sees it: the mover does the work and reports; here the record is kept and its end is drawn.
 *
 * A mover that ends without a settled record (killed, or the connection lost after the commit) leaves the question to migrate/recover.h, which is
 * asked until it answers: until then the container stays frozen and held. */
#include "agent/job/mover.h"
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include "agent/agent.h"
#include "agent/db/container.h"
#include "agent/db/operation.h"
#include "agent/job/mover_args.h"
#include "agent/view.h"
#include "base/clock.h"
#include "base/log.h"
#include "migrate/mover.h"
#include "migrate/recover.h"

#define ASK_TIMEOUT_MS 5000
#define FORCE_WAIT_MS 8000
#define STORE_RETRY_MS 500

static void set_bytes(ProtobufCBinaryData *to, protobuf_c_boolean *has, const char *text)
{
	*has = text != NULL;
	to->data = (uint8_t *)(uintptr_t)text;
	to->len = text ? strlen(text) : 0;
}

void mover_question(const struct agent *a, const char *url, const char *id, Davit__MoverJob *m)
{
	davit__mover_job__init(m);
	m->kind = (char *)(uintptr_t) "state";
	m->url = (char *)(uintptr_t)url;
	m->move_id = (char *)(uintptr_t)id;
	m->has_timeout_ms = 1;
	m->timeout_ms = ASK_TIMEOUT_MS;
	set_bytes(&m->tls_ca, &m->has_tls_ca, a->tls.ca);
	set_bytes(&m->tls_cert, &m->has_tls_cert, a->tls.cert);
	set_bytes(&m->tls_key, &m->has_tls_key, a->tls.key);
}

static void put_record(Davit__Operation *op, void *arg)
{
	pb_freep(&op->move);
	op->move = arg;
}

static void copy_record(Davit__Operation *op, void *arg)
{
	*(Davit__MoveRecord **)arg = op->move ? pb_dup(&op->move->base, NULL) : NULL;
}

static void tell(struct agent *a, const char *type, Davit__MoveRecord *m)
{
	Davit__Event ev = DAVIT__EVENT__INIT;

	ev.type = (char *)(uintptr_t)type;
	ev.container = m->container;
	ev.move = m;
	event_publish(&a->events, &ev);
}

struct outcome {
	bool check; /* no move, so nothing of it is kept */
	bool last;  /* the mover told how it ended */
	bool failed;
	bool late;     /* its time was over */
	bool given_up; /* its group was: `others` tells why */
	struct err err, others;
	char state[64];
};

/* Keeps a new record; a change of state is told. Takes it over. */
static void take_record(struct job *j, Davit__MoveRecord *m, struct outcome *o)
{
	struct agent *a = job_agent(j);
	struct err e = { 0 };

	if (m->state && !o->check && strncmp(o->state, m->state, 63) != 0) {
		snprintf(o->state, sizeof(o->state), "%s", m->state);
		if (db_move_put(a->db, m, &e) < 0)
			log_err(LOG_LEVEL_WARN, "move not stored", &e);
		tell(a, "migration.state", m);
	}
	job_update(j, put_record, m);
}

static void take_report(struct job *j, Davit__MoverReport *r, struct outcome *o)
{
	uint64_t bytes = r->record && r->record->has_bytes ? r->record->bytes : 0;

	if (r->phase)
		job_phase(j, r->phase);
	if (bytes)
		job_bytes(j, bytes, r->has_bytes_total ? r->bytes_total : 0);
	if (r->record)
		take_record(j, steal_ptr(&r->record), o);
	if (!r->has_last || !r->last)
		return;
	o->last = true;
	if (r->error) {
		o->failed = true;
		pb_error_get(r->error, &o->err);
		job_details(j, steal_ptr(&r->error));
	}
}

/* A group's member that waits for the others, as its mover tells: before the freeze, then before the commit. */
static void look_for_waits(struct group_member *member, const struct mover *m, const Davit__MoverReport *r)
{
	if (member && r->phase && (str_eq(r->phase, "gather") || str_eq(r->phase, "agree")))
		group_arrive(member, m, str_eq(r->phase, "gather") ? 1 : 2);
}

/* Whether the mover is to be told to take the move back. */
static bool is_to_end(struct job *j, struct group_member *member, int64_t end, struct outcome *o)
{
	o->given_up = member && group_failed(member, &o->others);
	o->late = !o->given_up && !job_cancelled(j) && clock_now_ns(CLOCK_MONOTONIC) > end;
	if (o->given_up || o->late || job_cancelled(j))
		log_info("move %s: %s", job_id(j), o->given_up ? "its group was given up" : o->late ? "over its time limit" : "cancelled");
	return o->given_up || o->late || job_cancelled(j);
}

/* Reads reports until the mover ends. A cancel, the time limit or its group's end is passed on; the mover heeds it unless it has committed. */
static int follow(struct job *j, struct mover *m, struct group_member *member, int64_t timeout_ns, struct outcome *o, struct err *e)
{
	int64_t end = timeout_ns ? clock_now_ns(CLOCK_MONOTONIC) + timeout_ns : INT64_MAX;
	bool cancelled = false;

	for (;;) {
		auto_pb(Davit__MoverReport) *r = NULL;
		struct err inner = { 0 };
		int got = mover_next(m, 200, &r, &inner);

		if (got == 0)
			return 0;
		if (got < 0 && inner.code != ERR_TIMEOUT) {
			*e = inner;
			return -1;
		}
		if (got > 0) {
			look_for_waits(member, m, r);
			take_report(j, r, o);
		}
		if (!cancelled && is_to_end(j, member, end, o)) {
			cancelled = true;
			mover_cancel(m, o->late, NULL);
		}
	}
}

/* Before the mover may touch anything: so that a restart finds the move and holds its container. */
static int begin_record(struct agent *a, const struct move_args *args, struct err *e)
{
	Davit__MoveRecord m = DAVIT__MOVE_RECORD__INIT;
	char now[32];

	if (args->job.check_only)
		return 0;
	m.id = args->job.move_id;
	m.container = args->job.container;
	m.role = (char *)(uintptr_t) "source";
	m.state = (char *)(uintptr_t) "offered";
	m.peer = args->peer;
	m.target_url = args->url;
	m.started_at = clock_rfc3339(clock_now_ns(CLOCK_REALTIME), now);
	return db_move_put(a->db, &m, e);
}

static int start_mover(struct job *j, struct move_args *args, struct mover *m, struct err *e)
{
	struct agent *a = job_agent(j);
	auto_pb(Davit__HostFacts) *facts = NULL;
	struct core channel;
	auto_close int fd = -1;
	int r;

	job_phase(j, "start");
	if (core_channel(&a->core, NULL, &channel, e) < 0)
		return -1;
	facts = core_facts(&channel, e);
	core_close(&channel);
	fd = facts ? core_channel_fd(&a->core, job_container(j), e) : -1;
	if (fd < 0)
		return -1;
	args->job.facts = facts;
	args->job.container = (char *)(uintptr_t)job_container(j);
	r = begin_record(a, args, e) < 0 ? -1 : mover_start(a->mover, &args->job, fd, m, e);
	args->job.facts = NULL;
	return r;
}

static int ask_state(void *arg, const Davit__MoveRecord *r, enum handover_answer *out, struct err *e)
{
	const struct agent *a = arg;
	Davit__MoverJob q;

	mover_question(a, r->target_url, r->id, &q);
	return mover_ask_state(a->mover, &q, out, e);
}

/* A move that never got so far as to write a journal: nothing was touched, and a restart is not to take it for one under way. */
static int settle_untouched(struct job *j, struct outcome *o, struct err *e)
{
	auto_pb(Davit__MoveRecord) *m = db_move_get(job_agent(j)->db, job_id(j), e);
	char now[32];

	if (!m || pb_set_str(&m->state, "aborted", e) < 0 || pb_set_str(&m->finished_at, clock_rfc3339(clock_now_ns(CLOCK_REALTIME), now), e) < 0)
		return -1;
	take_record(j, steal_ptr(&m), o);
	return 0;
}

/* The target runs and lacks memory that is here: a mover serves it over a new connection. How it goes is asked afterwards. */
static void serve_again(struct job *j, const char *target_url, struct outcome *o)
{
	struct agent *a = job_agent(j);
	struct err e = { 0 };
	struct mover m;
	Davit__MoverJob q;
	auto_close int fd = core_channel_fd(&a->core, job_container(j), &e);

	mover_question(a, target_url, job_id(j), &q);
	q.kind = (char *)(uintptr_t) "resume";
	q.has_timeout_ms = 0;
	q.moves_folder = a->moves_dir;
	q.container = (char *)(uintptr_t)job_container(j);
	if (fd < 0 || mover_start(a->mover, &q, fd, &m, &e) < 0) {
		log_err(LOG_LEVEL_WARN, job_id(j), &e);
		return;
	}
	if (follow(j, &m, NULL, 0, o, &e) < 0)
		log_err(LOG_LEVEL_WARN, job_id(j), &e);
	mover_close(&m);
}

/* Asks the journal (and through it the target) until the outcome is known. */
static int settle(struct job *j, struct outcome *o, struct err *e)
{
	struct agent *a = job_agent(j);
	struct recover r = { .folder = a->moves_dir, .core = &a->core, .ask_state = ask_state, .arg = a };

	job_phase(j, "settle");
	for (int64_t wait = 200; !a->stopping; wait = MIN(wait * 2, 5000)) {
		Davit__MoveRecord *record = NULL;
		struct err inner = { 0 };
		int done = recover_source(&r, job_id(j), &record, &inner);

		auto_free char *url = record && record->target_url ? mem_strdup(record->target_url, NULL) : NULL;
		if (record)
			take_record(j, record, o);
		if (done == RECOVER_SETTLED)
			return 0;
		if (done == RECOVER_SERVE && url) {
			serve_again(j, url, o);
			job_phase(j, "settle");
		}
		if (done < 0 && inner.code == ERR_NOT_FOUND)
			return settle_untouched(j, o, e);
		if (done < 0)
			log_err(LOG_LEVEL_WARN, job_id(j), &inner);
		job_sleep(j, (int)wait);
	}
	return err_set(e, ERR_IN_DOUBT, 0, "davitd ends before the outcome of move %s is known; the next one goes on with it", job_id(j));
}

/* The end of a move is written down however long the disk is full: else it would look like one under way, and its container like one that is here,
 * until davitd starts again. */
static int store_end(struct job *j, bool moved, struct err *e)
{
	struct agent *a = job_agent(j);
	auto_pb(Davit__MoveRecord) *m = NULL;

	job_update(j, copy_record, &m);
	while ((m && db_move_put(a->db, m, e) < 0) || (moved && db_container_delete(a->db, job_container(j), e) < 0)) {
		if (a->stopping)
			return -1;
		log_err(LOG_LEVEL_ERROR, "the end of a move is not stored", e);
		err_clear(e);
		job_sleep(j, STORE_RETRY_MS);
	}
	return 0;
}

/* What the end of a move means for this host. */
static int conclude(struct job *j, const struct move_args *args, struct outcome *o, struct err *e)
{
	struct agent *a = job_agent(j);
	bool moved = str_eq(o->state, "done") && !args->job.check_only;

	if (!args->job.check_only && store_end(j, moved, e) < 0)
		return -1;
	if (moved) {
		view_tell(a, "container.moved", job_container(j));
		return 0;
	}
	if (!o->failed && args->job.check_only && o->last)
		return 0;
	if (o->given_up)
		*e = o->others;
	else if (o->failed)
		*e = o->err;
	else if (o->late)
		err_set(e, ERR_TIMEOUT, 0, "move %s took longer than its time limit and was taken back; the container goes on here", job_id(j));
	else if (job_cancelled(j))
		err_set(e, ERR_CANCELLED, 0, "move %s was cancelled", job_id(j));
	else
		err_set(e, ERR_INTERNAL, 0, "the mover of %s ended without a word; the container goes on here", job_container(j));
	return -1;
}

/* Before the mover is closed, to whom the others' last arrival may write just now. */
static void leave_group(struct job *j, struct move_args *args, const struct outcome *o)
{
	struct err why = o->err;

	if (!o->failed)
		err_set(&why, job_cancelled(j) ? ERR_CANCELLED : ERR_INTERNAL, 0, "its move %s", job_cancelled(j) ? "was cancelled" : "ended");
	group_leave(&args->member, str_eq(o->state, "done") ? NULL : &why);
}

static int run(struct job *j, void *arg, struct err *e)
{
	struct move_args *args = arg;
	struct outcome o = { .check = args->job.check_only };
	struct mover m;

	if (!args->recover) {
		if (start_mover(j, args, &m, e) < 0) {
			group_leave(&args->member, e);
			if (!o.check && settle_untouched(j, &o, &o.err) == 0)
				store_end(j, false, &o.err);
			return -1;
		}
		if (follow(j, &m, args->member, args->timeout_ns, &o, &o.err) < 0)
			o.failed = true;
		leave_group(j, args, &o);
		mover_close(&m);
	}
	if (!args->job.check_only && !str_eq(o.state, "done") && !str_eq(o.state, "aborted") && settle(j, &o, e) < 0)
		return -1;
	return conclude(j, args, &o, e);
}

static const struct job_kind migrate_kind = { "migrate", "migrating", run, move_args_free };
static const struct job_kind check_kind = { "migrate.check", "a check for a move", run, move_args_free };

Davit__Operation *mover_job_start(struct agent *a, const char *container, const Davit__MigrateRequest *m, const char *unique, struct err *e)
{
	auto_pb(Davit__Container) *known = db_container_get(a->db, container, NULL, e);
	bool check = m->has_check_only && m->check_only;
	struct move_args *args;
	char id[33];

	if (!known || move_args_check(a, m, e) < 0 || str_random_hex(id, 16, e) < 0)
		return NULL;
	if (*unique)
		snprintf(id, sizeof(id), "%s", unique);
	args = mem_new(1, sizeof(*args), e);
	if (!args)
		return NULL;
	if (move_args_fill(a, args, m, known, id, e) < 0) {
		move_args_free(args);
		return NULL;
	}
	return job_start(a, check ? &check_kind : &migrate_kind, container, id, args, e);
}

/* The job that waits for the target holds the journal only while it looks; a mover that lives holds it for as long. */
int mover_job_force(struct agent *a, const char *id, enum handover_event forced, struct err *e)
{
	const struct recover r = { .folder = a->moves_dir, .core = &a->core, .ask_state = ask_state, .arg = a };
	auto_pb(Davit__MoveRecord) *record = NULL;
	int64_t end = clock_now_ns(CLOCK_MONOTONIC) + FORCE_WAIT_MS * NSEC_PER_MSEC;

	while (recover_force(&r, id, forced, &record, e) < 0) {
		if (e->code != ERR_BUSY || clock_now_ns(CLOCK_MONOTONIC) > end)
			return -1;
		err_clear(e);
		poll(NULL, 0, 50);
	}
	return job_wake(a, id, &(struct err){ 0 }) < 0 ? mover_job_recover(a, id, record->container, e) : 0;
}

int mover_job_recover(struct agent *a, const char *id, const char *container, struct err *e)
{
	struct move_args *args = mem_new(1, sizeof(*args), e);
	auto_pb(Davit__Operation) *op = NULL;

	if (!args)
		return -1;
	args->recover = true;
	op = job_start(a, &migrate_kind, container, id, args, e);
	return op ? 0 : -1;
}
