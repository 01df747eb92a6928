/* Life of the target's object and the agent's calls on it. See target.h, and target_private.h for what each thread owns. */
#include "migrate/target.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include "base/clock.h"
#include "base/log.h"
#include "migrate/resolve.h"
#include "migrate/target_private.h"

static void target_free(struct target *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->queued; i++)
		pb_freep(&t->queue[i]);
	for (size_t i = 0; i < TARGET_CHANNELS; i++)
		fd_closep(&t->fd[i]);
	if (t->has_core)
		core_close(&t->core);
	XXH3_freeState(t->payload_sum);
	codec_reader_freep(&t->codec);
	buf_free(&t->coded);
	journal_close(&t->journal);
	record_free(&t->record);
	frame_reader_free(&t->in);
	buf_free(&t->out);
	fd_closep(&t->wake);
	pb_freep(&t->data);
	pb_freep(&t->offer);
	pb_freep(&t->clock);
	pb_freep(&t->detail);
	free((char *)t->host.folder);
	free((char *)t->host.peer);
	free(t->id);
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static void init_locks(struct target *t)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&t->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&t->lock, NULL);
}

static int fill(struct target *t, const struct target_host *host, const char *id, struct err *e)
{
	t->host = *host;
	t->host.folder = t->host.peer = NULL;
	if (!t->host.timeout_ms)
		t->host.timeout_ms = TARGET_TIMEOUT_MS;
	if (!(t->id = mem_strdup(id, e)) || !(t->host.folder = mem_strdup(host->folder, e)) ||
	    (host->peer && !(t->host.peer = mem_strdup(host->peer, e))))
		return -1;
	if (!(t->payload_sum = XXH3_createState()))
		return err_set(e, ERR_RESOURCE, 0, "no memory for a checksum");
	if ((t->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
		return err_sys(e, errno, "eventfd");
	return 0;
}

struct target *target_make(const struct target_host *host, const char *id, struct err *e)
{
	struct target *t = mem_new(1, sizeof(*t), e);
	if (!t)
		return NULL;
	init_locks(t);
	t->refs = 1;
	t->wake = t->journal.fd = -1;
	for (size_t i = 0; i < TARGET_CHANNELS; i++)
		t->fd[i] = -1;
	t->state = TARGET_OFFERED;
	t->heard = t->spoke = clock_now_ns(CLOCK_MONOTONIC);
	if (fill(t, host, id, e) == 0)
		return t;
	target_free(t);
	return NULL;
}

int target_start(struct target *t, struct err *e)
{
	int r = pthread_create(&t->worker, NULL, target_work, t);
	if (r)
		return err_sys(e, r, "start a thread");
	t->has_worker = true;
	return 0;
}

struct target *target_new(const struct target_host *host, const char *id, struct err *e)
{
	auto_journal_view struct journal_view v = { 0 };
	struct err none = { 0 };
	if (journal_read(host->folder, id, false, &v, &none) == 0) {
		err_set(e, ERR_EXISTS, 0, "move %s is known here already", id);
		return NULL;
	}
	if (none.code != ERR_NOT_FOUND) {
		*e = none;
		return NULL;
	}
	struct target *t = target_make(host, id, e);
	if (!t || target_start(t, e) == 0)
		return t;
	target_free(t);
	return NULL;
}

struct target *target_ref(struct target *t)
{
	pthread_mutex_lock(&t->lock);
	t->refs++;
	pthread_mutex_unlock(&t->lock);
	return t;
}

void target_unref(struct target *t)
{
	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	bool last = --t->refs == 0;
	if (last) {
		t->stop = true;
		eventfd_write(t->wake, 1);
		pthread_cond_broadcast(&t->changed);
	}
	pthread_mutex_unlock(&t->lock);
	if (!last)
		return;
	if (t->has_worker)
		pthread_join(t->worker, NULL);
	target_free(t);
}

int target_put(struct target *t, Davit__StreamFrame *f, struct err *e)
{
	pthread_mutex_lock(&t->lock);
	int r = t->out_ended ? err_set(e, ERR_IO, 0, "the connection to the source ended") : stream_put(&t->out, f, e);
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	return r;
}

void target_end_stream(struct target *t)
{
	pthread_mutex_lock(&t->lock);
	t->out_ended = true;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

ssize_t target_pull(struct target *t, void *buf, size_t cap, int timeout_ms, struct err *e)
{
	int64_t deadline = clock_now_ns(CLOCK_MONOTONIC) + timeout_ms * NSEC_PER_MSEC;
	struct timespec ts = clock_timespec_of_ns(deadline);
	ssize_t n;
	pthread_mutex_lock(&t->lock);
	while (t->out.len == 0 && !t->out_ended && clock_now_ns(CLOCK_MONOTONIC) < deadline)
		pthread_cond_timedwait(&t->changed, &t->lock, &ts);
	n = (ssize_t)MIN(cap, t->out.len);
	if (n > 0) {
		memcpy(buf, t->out.data, (size_t)n);
		buf_consume(&t->out, (size_t)n);
		t->spoke = clock_now_ns(CLOCK_MONOTONIC);
	} else if (!t->out_ended) {
		n = err_set(e, ERR_TIMEOUT, 0, "nothing to send yet");
	}
	pthread_mutex_unlock(&t->lock);
	return n;
}

/* The feeding thread's parts are ours meanwhile: its connection has ended. */
static void forget_connection(struct target *t)
{
	frame_reader_free(&t->in);
	memset(&t->in, 0, sizeof(t->in));
	memset(t->sum, 0, sizeof(t->sum));
	pb_freep(&t->data);
	buf_consume(&t->coded, t->coded.len);
	buf_consume(&t->out, t->out.len);
	t->lost = t->lost_told = t->broken = t->ends = t->out_ended = t->memory_over = false;
	t->heard = t->spoke = clock_now_ns(CLOCK_MONOTONIC);
}

int target_reopen(struct target *t, struct err *e)
{
	int r = 0;
	pthread_mutex_lock(&t->lock);
	bool fills = t->state == TARGET_FILLING || t->state == TARGET_STRANDED;
	if (!fills)
		r = err_set(e, ERR_STATE, 0, "move %s lacks no memory here", t->id);
	else if (!t->lost || !t->lost_told || t->users > 0)
		r = err_set(e, ERR_BUSY, 0, "the old connection of move %s is not over yet", t->id);
	pthread_mutex_unlock(&t->lock);
	if (r < 0)
		return -1;
	target_channels_close(t);
	pthread_mutex_lock(&t->lock);
	eventfd_t rung;
	eventfd_read(t->wake, &rung);
	forget_connection(t);
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	return 0;
}

int target_cancel(struct target *t, struct err *e)
{
	int r = 0;
	pthread_mutex_lock(&t->lock);
	if (t->state == TARGET_OFFERED || t->state == TARGET_PREPARING)
		t->cancelled = true;
	else
		r = err_set(e, ERR_IN_DOUBT, 0, "the source of move %s may have committed: cancel it there", t->id);
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	return r;
}

int target_force(struct target *t, enum handover_event forced, struct err *e)
{
	int r = -1;
	pthread_mutex_lock(&t->lock);
	if (resolve_rule(t->id, t->state, forced, e)) {
		t->forced = true;
		t->forced_event = forced;
		r = 0;
	}
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	return r;
}

void target_hurry(struct target *t)
{
	pthread_mutex_lock(&t->lock);
	t->hurried = true;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

bool target_is_lost(struct target *t)
{
	pthread_mutex_lock(&t->lock);
	bool lost = t->lost;
	pthread_mutex_unlock(&t->lock);
	return lost;
}

bool target_settled(struct target *t)
{
	pthread_mutex_lock(&t->lock);
	bool s = t->settled;
	pthread_mutex_unlock(&t->lock);
	return s;
}

bool target_wait(struct target *t, int timeout_ms)
{
	int64_t deadline = clock_now_ns(CLOCK_MONOTONIC) + timeout_ms * NSEC_PER_MSEC;
	struct timespec ts = clock_timespec_of_ns(deadline);
	pthread_mutex_lock(&t->lock);
	while (!t->settled && clock_now_ns(CLOCK_MONOTONIC) < deadline)
		pthread_cond_timedwait(&t->changed, &t->lock, &ts);
	bool s = t->settled;
	pthread_mutex_unlock(&t->lock);
	return s;
}

Davit__MoveRecord *target_record(struct target *t, struct err *e)
{
	Davit__MoveRecord *r = NULL;
	pthread_mutex_lock(&t->lock);
	if (t->record.m) {
		t->record.m->has_bytes = 1;
		t->record.m->bytes = t->bytes;
		r = pb_dup(&t->record.m->base, e);
	} else {
		err_set(e, ERR_STATE, 0, "move %s has made no offer yet", t->id);
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

void target_state_set(struct target *t, enum handover_state s)
{
	pthread_mutex_lock(&t->lock);
	t->state = s;
	t->heard = clock_now_ns(CLOCK_MONOTONIC);
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	target_tell(t);
}

void target_phase(struct target *t, const char *name, bool begins)
{
	if (!t->record.m)
		return;
	pthread_mutex_lock(&t->lock);
	if (begins)
		record_phase(&t->record, name);
	else
		record_phase_end(&t->record, name, str_eq(name, "transfer") ? t->bytes : 0);
	pthread_mutex_unlock(&t->lock);
}

void target_tell(struct target *t)
{
	if (t->host.changed && t->record.m)
		t->host.changed(t->host.arg, t->record.m, t->offer);
}
