/* Operations as requests see them: of running jobs from memory, of ended ones from the database. */
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include "agent/job/job_private.h"
#include "agent/db/operation.h"
#include "base/clock.h"

/* Under the lock. */
static struct job *find(const struct job_table *t, const char *id)
{
	struct job *j = t->first;

	while (j && strcmp(j->op->id, id) != 0)
		j = j->next;
	return j;
}

Davit__Operation *job_get(struct agent *a, const char *id, struct err *e)
{
	const struct job *j;
	Davit__Operation *op = NULL;

	pthread_mutex_lock(&a->jobs.lock);
	j = find(&a->jobs, id);
	if (j)
		op = pb_dup(&j->op->base, e);
	pthread_mutex_unlock(&a->jobs.lock);
	return j ? op : db_operation_get(a->db, id, e);
}

Davit__Operation *job_wait(struct agent *a, const char *id, int wait_ms, struct err *e)
{
	struct timespec until = clock_timespec_of_ns(clock_now_ns(CLOCK_MONOTONIC) + wait_ms * NSEC_PER_MSEC);
	int r = 0;

	pthread_mutex_lock(&a->jobs.lock);
	while (r == 0 && !a->stopping && find(&a->jobs, id))
		r = pthread_cond_timedwait(&a->jobs.changed, &a->jobs.lock, &until);
	pthread_mutex_unlock(&a->jobs.lock);
	return job_get(a, id, e);
}

int job_cancel(struct agent *a, const char *id, struct err *e)
{
	auto_pb(Davit__Operation) *ended = NULL;
	struct job *j;

	pthread_mutex_lock(&a->jobs.lock);
	j = find(&a->jobs, id);
	if (j) {
		j->cancelled = true;
		eventfd_write(j->cancel_fd, 1);
		eventfd_write(j->wake_fd, 1);
	}
	pthread_mutex_unlock(&a->jobs.lock);
	if (j)
		return 0;
	ended = db_operation_get(a->db, id, e);
	return ended ? err_set(e, ERR_STATE, 0, "operation %s has ended: %s", id, ended->state) : -1;
}

int job_wake(struct agent *a, const char *id, struct err *e)
{
	const struct job *j;

	pthread_mutex_lock(&a->jobs.lock);
	j = find(&a->jobs, id);
	if (j)
		eventfd_write(j->wake_fd, 1);
	pthread_mutex_unlock(&a->jobs.lock);
	return j ? 0 : err_set(e, ERR_NOT_FOUND, 0, "operation %s does not run", id);
}

int job_refresh(struct agent *a, Davit__OperationList *list, struct err *e)
{
	int r = 0;

	pthread_mutex_lock(&a->jobs.lock);
	for (size_t i = 0; i < list->n_operations && r == 0; i++) {
		const struct job *j = find(&a->jobs, list->operations[i]->id);
		Davit__Operation *now = j ? pb_dup(&j->op->base, e) : NULL;

		if (j && !now)
			r = -1;
		if (now) {
			pb_freep(&list->operations[i]);
			list->operations[i] = now;
		}
	}
	pthread_mutex_unlock(&a->jobs.lock);
	return r;
}

void job_stop_all(struct agent *a, int wait_ms)
{
	struct timespec until = clock_timespec_of_ns(clock_now_ns(CLOCK_MONOTONIC) + wait_ms * NSEC_PER_MSEC);
	int r = 0;

	pthread_mutex_lock(&a->jobs.lock);
	pthread_cond_broadcast(&a->jobs.changed);
	for (struct job *j = a->jobs.first; j; j = j->next) {
		j->cancelled = true;
		eventfd_write(j->cancel_fd, 1);
	}
	while (r == 0 && a->jobs.first)
		r = pthread_cond_timedwait(&a->jobs.changed, &a->jobs.lock, &until);
	pthread_mutex_unlock(&a->jobs.lock);
}
