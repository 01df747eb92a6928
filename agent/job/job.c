/* Threads, their operations, and who waits for them. */
#include "agent/job/job_private.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include "agent/db/operation.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#define JOB_STACK ((size_t)512 << 10)
#define STORE_RETRY_MS 500
#define RATE_WINDOW_NS (2 * NSEC_PER_SEC)

void job_table_init(struct job_table *t)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->changed, &attr);
	pthread_condattr_destroy(&attr);
}

static void lock(const struct job *j)
{
	pthread_mutex_lock(&j->agent->jobs.lock);
}

static void unlock(const struct job *j)
{
	pthread_mutex_unlock(&j->agent->jobs.lock);
}

static void job_free(struct job *j)
{
	if (j->kind->free_arg)
		j->kind->free_arg(j->arg);
	pb_freep(&j->op);
	pb_freep(&j->details);
	if (j->cancel_fd >= 0)
		close(j->cancel_fd);
	if (j->wake_fd >= 0)
		close(j->wake_fd);
	free(j);
}

/* Tells the operation as an event. */
static void tell(const struct job *j, const char *type)
{
	Davit__Event ev = DAVIT__EVENT__INIT;
	auto_pb(Davit__Operation) *op = NULL;

	lock(j);
	op = pb_dup(&j->op->base, NULL);
	unlock(j);
	if (!op)
		return;
	ev.type = (char *)(uintptr_t)type;
	ev.container = op->container;
	ev.operation = op;
	event_publish(&j->agent->events, &ev);
}

static void set_ended(struct job *j, Davit__Operation *op, int result, const struct err *e)
{
	char now[32];

	pb_set_str(&op->state, result == 0 ? "succeeded" : e->code == ERR_CANCELLED ? "cancelled" : "failed", NULL);
	pb_set_str(&op->finished_at, clock_rfc3339(clock_now_ns(CLOCK_REALTIME), now), NULL);
	op->has_eta_ms = 0;
	if (result == 0)
		return;
	op->error = pb_error(e);
	if (op->error && j->details) {
		op->error->n_obstacles = j->details->n_obstacles;
		op->error->obstacles = steal_ptr(&j->details->obstacles);
		j->details->n_obstacles = 0;
		op->error->n_reasons = j->details->n_reasons;
		op->error->reasons = steal_ptr(&j->details->reasons);
		j->details->n_reasons = 0;
	}
}

static void leave(struct job *j)
{
	struct job_table *t = &j->agent->jobs;

	pthread_mutex_lock(&t->lock);
	for (struct job **p = &t->first; *p; p = &(*p)->next)
		if (*p == j) {
			*p = j->next;
			t->running--;
			break;
		}
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

static bool store_end(const struct job *j, const Davit__Operation *op)
{
	struct err e = { 0 };

	if (op && db_operation_put(j->agent->db, op, true, &e) == 0)
		return true;
	log_err(LOG_LEVEL_ERROR, "operation not stored", &e);
	return false;
}

/* Writes the end down, frees the container, then lets those who wait see it, in this order. If the disk does not take it now, they see it from memory
 * until the disk does. */
static void finish(struct job *j, int result, const struct err *e)
{
	auto_pb(Davit__Operation) *op = NULL;
	bool stored;

	lock(j);
	op = pb_dup(&j->op->base, NULL);
	unlock(j);
	if (op)
		set_ended(j, op, result, e);
	stored = store_end(j, op);
	if (j->op->container)
		hold_drop(&j->agent->holds, j->op->container);
	lock(j);
	if (op) {
		pb_freep(&j->op);
		j->op = steal_ptr(&op);
	} else { /* no memory for a copy: the state is short enough to be noted yet */
		set_ended(j, j->op, result, e);
	}
	unlock(j);
	tell(j, "operation.ended");
	while (!stored && !j->agent->stopping) {
		job_sleep(j, STORE_RETRY_MS);
		stored = store_end(j, j->op);
	}
	leave(j);
	job_free(j);
}

static void *run(void *arg)
{
	struct job *j = arg;
	struct err e = { 0 };
	int r = j->kind->run(j, j->arg, &e);

	if (r < 0)
		log_err(LOG_LEVEL_WARN, j->kind->name, &e);
	finish(j, r, &e);
	return NULL;
}

static Davit__Operation *new_operation(const struct job_kind *kind, const char *container, const char *id, struct err *e)
{
	auto_pb(Davit__Operation) *op = pb_new(&davit__operation__descriptor, e);
	char made[33], now[32];

	if (!op || (!id && str_random_hex(made, 16, e) < 0))
		return NULL;
	if (pb_set_str(&op->id, id ? id : made, e) < 0 || pb_set_str(&op->kind, kind->name, e) < 0 || pb_set_str(&op->state, "running", e) < 0 ||
	    (container && pb_set_str(&op->container, container, e) < 0) ||
	    pb_set_str(&op->created_at, clock_rfc3339(clock_now_ns(CLOCK_REALTIME), now), e) < 0)
		return NULL;
	return steal_ptr(&op);
}

static int enter(struct job *j, struct err *e)
{
	struct job_table *t = &j->agent->jobs;
	int r = 0;

	pthread_mutex_lock(&t->lock);
	if (j->agent->stopping)
		r = err_set(e, ERR_BUSY, 0, "davitd is ending");
	else if (t->running >= j->agent->config->max_operations)
		r = err_set(e, ERR_LIMIT, 0, "%u operations run already", t->running);
	if (r == 0) {
		t->running++;
		j->next = t->first;
		t->first = j;
	}
	pthread_mutex_unlock(&t->lock);
	return r < 0 ? err_remedy(e, "wait for one to end, or raise maxOperations") : 0;
}

Davit__Operation *job_start(struct agent *a, const struct job_kind *kind, const char *container, const char *id, void *arg, struct err *e)
{
	struct job *j = mem_new(1, sizeof(*j), e);
	auto_pb(Davit__Operation) *answer = NULL;
	bool held = false;

	if (!j) {
		if (kind->free_arg)
			kind->free_arg(arg);
		return NULL;
	}
	*j = (struct job){ .agent = a,
			   .kind = kind,
			   .arg = arg,
			   .cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
			   .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	j->op = new_operation(kind, container, id, e);
	answer = j->op ? pb_dup(&j->op->base, e) : NULL;
	if (!answer)
		goto fail;
	if (container && hold_take(&a->holds, container, kind->hold, e) < 0)
		goto fail;
	held = container != NULL;
	if (enter(j, e) < 0)
		goto fail;
	if (db_operation_put(a->db, j->op, true, e) < 0) {
		leave(j);
		goto fail;
	}
	tell(j, "operation.started");
	if (thread_detach(JOB_STACK, run, j, "a job", e) < 0) {
		finish(j, -1, e);
		return NULL;
	}
	return steal_ptr(&answer);
fail:
	if (held)
		hold_drop(&a->holds, container);
	job_free(j);
	return NULL;
}

struct agent *job_agent(const struct job *j)
{
	return j->agent;
}

const char *job_id(const struct job *j)
{
	return j->op->id;
}

const char *job_container(const struct job *j)
{
	return j->op->container;
}

void job_phase(struct job *j, const char *phase)
{
	bool same;

	lock(j);
	same = str_eq(j->op->phase, phase);
	if (!same)
		pb_set_str(&j->op->phase, phase, NULL);
	unlock(j);
	if (!same)
		tell(j, "operation.phase");
}

void job_bytes(struct job *j, uint64_t done, uint64_t total)
{
	int64_t now = clock_now_ns(CLOCK_MONOTONIC), span = now - j->window_start;

	lock(j);
	j->op->has_bytes_done = 1;
	j->op->bytes_done = done;
	j->op->has_bytes_total = total > 0;
	j->op->bytes_total = total;
	if (!j->window_start || done < j->window_bytes) {
		j->window_start = now;
		j->window_bytes = done;
	} else if (span > RATE_WINDOW_NS / 10) {
		j->op->has_rate = 1;
		j->op->rate = (uint64_t)((double)(done - j->window_bytes) * NSEC_PER_SEC / (double)span);
		j->op->has_eta_ms = total > done && j->op->rate > 0;
		if (j->op->has_eta_ms)
			j->op->eta_ms = (total - done) * 1000 / j->op->rate;
	}
	if (span > RATE_WINDOW_NS) {
		j->window_start = now;
		j->window_bytes = done;
	}
	unlock(j);
}

void job_update(struct job *j, void (*change)(Davit__Operation *op, void *arg), void *arg)
{
	lock(j);
	change(j->op, arg);
	unlock(j);
}

void job_details(struct job *j, Davit__Error *details)
{
	pb_freep(&j->details);
	j->details = details;
}

void job_sleep(struct job *j, int ms)
{
	struct pollfd p = { .fd = j->wake_fd, .events = POLLIN };
	eventfd_t n;

	if (poll(&p, 1, ms) > 0)
		eventfd_read(j->wake_fd, &n);
}

bool job_cancelled(const struct job *j)
{
	return j->cancelled;
}

int job_cancel_fd(const struct job *j)
{
	return j->cancel_fd;
}
