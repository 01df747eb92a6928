/* The worker of one incoming move: waits for what happens and feeds it to the handover's table. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "migrate/group.h"
#include "migrate/target_private.h"

#define RETRY_MS 1000
/* A source in doubt is asked again after so long, then after twice that, … */
#define ASK_FIRST_MS 100
#define ASK_MOST_MS 5000
/* After `running`, the source's `done` is a courtesy: waited for, but not long. */
#define DONE_WAIT_MS 30000
/* The HTTP server ends a connection that is silent for longer. */
#define SIGN_OF_LIFE_NS (10 * NSEC_PER_SEC)

static int64_t now_ns(void)
{
	return clock_now_ns(CLOCK_MONOTONIC);
}

/* Waits on `changed` until a time of CLOCK_MONOTONIC (the condition's clock). Under the lock. */
static void wait_until(struct target *t, int64_t deadline)
{
	struct timespec ts = clock_timespec_of_ns(deadline);
	pthread_cond_timedwait(&t->changed, &t->lock, &ts);
}

bool target_sleep(struct target *t, int ms)
{
	int64_t deadline = now_ns() + ms * NSEC_PER_MSEC;
	pthread_mutex_lock(&t->lock);
	while (!t->stop && now_ns() < deadline)
		wait_until(t, deadline);
	bool go_on = !t->stop;
	pthread_mutex_unlock(&t->lock);
	return go_on;
}

/* Entries that no decision rests on (ORDER_WRITE) may be missing; without those on disk the move does not go on. */
static int write_entry(struct target *t, const struct handover_rule *rule, struct err *e)
{
	/* A group's ready one has to be found as that, whatever becomes of the host: the others may go by its word. */
	bool sync = rule->order == ORDER_SYNC || (rule->next == TARGET_READY && t->offer->group);
	if (rule->next == rule->state || t->journal.fd < 0)
		return 0;
	int r = journal_append(&t->journal, rule->next, handover_event_name(rule->event), NULL, t->record.m, sync, e);
	if (r < 0 && !sync) {
		log_err(LOG_LEVEL_ERROR, "move's journal", e);
		return 0;
	}
	return r;
}

/* What a group's word makes of the event; tried again until the disk takes it. False: the agent ends. */
static bool heed_group(struct target *t, enum handover_event *ev)
{
	struct err e = { 0 };
	while (t->offer && group_event(t->host.folder, t->offer->group, t->state, *ev, ev, &e) < 0) {
		log_err(LOG_LEVEL_ERROR, t->id, &e);
		err_clear(&e);
		if (!target_sleep(t, RETRY_MS))
			return false;
	}
	return true;
}

bool target_event(struct target *t, enum handover_event ev)
{
	struct err e = { 0 };
	if (!handover_next(t->state, ev))
		return false;
	if (!heed_group(t, &ev))
		return true;
	const struct handover_rule *rule = handover_next(t->state, ev);
	pthread_mutex_lock(&t->lock);
	record_state(&t->record, handover_state_name(rule->next), NULL);
	pthread_mutex_unlock(&t->lock);
	/* Neither a thaw nor a drop may precede its entry: it is tried again until the disk takes it. */
	while (write_entry(t, rule, &e) < 0) {
		log_err(LOG_LEVEL_ERROR, "move's journal", &e);
		err_clear(&e);
		if (!target_sleep(t, RETRY_MS))
			return true;
	}
	target_state_set(t, rule->next);
	target_act(t, rule->action);
	return true;
}

void target_fail(struct target *t, enum handover_event ev, const struct err *why, const Davit__Error *detail)
{
	if (!t->error.code) {
		t->error = *why;
		t->detail = detail ? pb_dup(&detail->base, NULL) : NULL;
	}
	if (t->journal.fd < 0) {
		t->ends = true;
		target_end_stream(t);
	} else {
		target_event(t, ev);
	}
}

static void on_abort(struct target *t, const Davit__StreamAbort *a)
{
	pb_error_get(a->error, &t->error);
	err_prefix(&t->error, "the source gave up");
	t->ends = true; /* it needs no answer */
	target_event(t, EVENT_ABORTED);
}

static void on_frame(struct target *t, Davit__StreamFrame *f)
{
	struct err e = { 0 };
	if (!t->offer && f->body_case != DAVIT__STREAM_FRAME__BODY_OFFER) {
		err_set(&e, ERR_PROTOCOL, 0, "the first frame is not an offer");
		target_fail(t, EVENT_FAILED, &e, NULL);
		return;
	}
	switch (f->body_case) {
	case DAVIT__STREAM_FRAME__BODY_OFFER:
		if (t->offer) {
			err_set(&e, ERR_PROTOCOL, 0, "a second offer");
			target_fail(t, EVENT_FAILED, &e, NULL);
		} else {
			target_on_offer(t, steal_ptr(&f->offer));
			f->body_case = DAVIT__STREAM_FRAME__BODY__NOT_SET;
		}
		break;
	case DAVIT__STREAM_FRAME__BODY_RESUME:
		target_on_resume(t, f->resume);
		break;
	case DAVIT__STREAM_FRAME__BODY_FROZEN:
		target_on_frozen(t, f->frozen);
		break;
	case DAVIT__STREAM_FRAME__BODY_COMMIT:
		if (str_eq(f->commit->move_id, t->id))
			target_event(t, EVENT_COMMITTED);
		break;
	case DAVIT__STREAM_FRAME__BODY_ABORT:
		on_abort(t, f->abort);
		break;
	case DAVIT__STREAM_FRAME__BODY_DONE:
		target_event(t, EVENT_DONE);
		t->ends = true;
		break;
	default:
		break;
	}
}

/* The source is to be asked now and then: what became of the move, or of the memory that the container here lacks. Under the lock. */
static bool asks(const struct target *t)
{
	return t->state == TARGET_IN_DOUBT || (t->lost && (t->state == TARGET_FILLING || t->state == TARGET_STRANDED));
}

/* Until when the source may be silent in this state; 0: for ever (the state waits for something else). Under the lock. */
static int64_t silence_ends(const struct target *t)
{
	if (t->state == TARGET_OFFERED || t->state == TARGET_PREPARING || t->state == TARGET_READY)
		return t->heard + t->host.timeout_ms * NSEC_PER_MSEC;
	if (t->state == TARGET_RUNNING)
		return t->heard + DONE_WAIT_MS * NSEC_PER_MSEC;
	if (t->state == TARGET_FILLING)
		return t->heard + t->host.timeout_ms * NSEC_PER_MSEC;
	return 0;
}

/* Under the lock. */
static void sign_of_life(struct target *t, int64_t now)
{
	Davit__StreamProgress progress = DAVIT__STREAM_PROGRESS__INIT;
	Davit__StreamFrame f = DAVIT__STREAM_FRAME__INIT;
	if (t->out_ended || t->out.len > 0 || now - t->spoke < SIGN_OF_LIFE_NS)
		return;
	f.body_case = DAVIT__STREAM_FRAME__BODY_PROGRESS;
	f.progress = &progress;
	stream_put(&t->out, &f, NULL);
	pthread_cond_broadcast(&t->changed);
}

enum woken { WOKEN_FRAME, WOKEN_LOST, WOKEN_CANCELLED, WOKEN_STOP, WOKEN_ASK, WOKEN_MEMORY_OVER, WOKEN_FORCED };

/* Waits for the next thing to do. Frames that came before a loss are done before it. */
static enum woken wait_for_work(struct target *t, Davit__StreamFrame **f)
{
	int64_t ask = now_ns() + t->ask_ms * NSEC_PER_MSEC;
	enum woken w;
	pthread_mutex_lock(&t->lock);
	for (;;) {
		int64_t silence = silence_ends(t), now = now_ns();
		if (silence && now >= silence && !t->lost) {
			t->lost = true;
			err_set(&t->lost_why, ERR_TIMEOUT, 0, "the source was silent for too long");
		}
		if (t->stop) {
			w = WOKEN_STOP;
		} else if (t->queued > 0) {
			w = WOKEN_FRAME;
			*f = t->queue[0];
			memmove(t->queue, t->queue + 1, --t->queued * sizeof(t->queue[0]));
		} else if (t->cancelled) {
			w = WOKEN_CANCELLED;
		} else if (t->forced) {
			w = WOKEN_FORCED;
			t->forced = false;
		} else if (t->memory_over && !t->lost && (t->state == TARGET_FILLING || t->state == TARGET_STRANDED)) {
			w = WOKEN_MEMORY_OVER;
		} else if (t->lost && !t->lost_told) {
			t->lost_told = true;
			w = WOKEN_LOST;
		} else if (asks(t) && (t->hurried || now >= ask)) {
			w = WOKEN_ASK;
			t->hurried = false;
		} else {
			sign_of_life(t, now);
			wait_until(t, MIN(asks(t) ? ask : silence ? silence : INT64_MAX, now + NSEC_PER_SEC));
			continue;
		}
		break;
	}
	pthread_mutex_unlock(&t->lock);
	return w;
}

static void on_cancel(struct target *t)
{
	struct err e = { 0 };
	err_set(&e, ERR_CANCELLED, 0, "the target's operator cancelled the move");
	pthread_mutex_lock(&t->lock);
	t->cancelled = false;
	pthread_mutex_unlock(&t->lock);
	target_fail(t, EVENT_FAILED, &e, NULL);
}

/* A data error that the core caused is better told by the core itself. */
static void on_lost(struct target *t)
{
	struct err e = { 0 }, core = { 0 };
	pthread_mutex_lock(&t->lock);
	e = t->lost_why;
	pthread_mutex_unlock(&t->lock);
	/* The half that may still stand ends too, and makes room for a new connection. */
	if (t->state == TARGET_FILLING || t->state == TARGET_STRANDED)
		target_end_stream(t);
	if (t->prepare_id && t->has_core && e.code != ERR_CORRUPT && e.code != ERR_PROTOCOL && fd_wait(t->core.fd, POLLIN, 100, NULL) > 0) {
		auto_pb(Davit__CoreReply) *r = core_recv(&t->core, t->prepare_id, 100, NULL, &core);
		if (!r && t->core.error)
			e = core;
	}
	target_fail(t, EVENT_LOST, &e, t->has_core ? t->core.error : NULL);
}

static bool over(const struct target *t)
{
	if (t->state == TARGET_DONE || t->state == TARGET_DROPPED)
		return true;
	/* Running, and nobody is left to say done; or an offer that was refused or only checked. */
	return (t->state == TARGET_RUNNING && t->lost_told) || (t->journal.fd < 0 && t->ends);
}

static void finish(struct target *t)
{
	target_end_stream(t);
	target_channels_close(t);
	pthread_mutex_lock(&t->lock);
	if (t->record.m) {
		t->record.m->has_bytes = 1;
		t->record.m->bytes = t->bytes;
		record_finish(&t->record, handover_answer_in(t->state) == ANSWER_RUNNING ? NULL : &t->error, t->detail);
	}
	t->lost_told = true;
	pthread_mutex_unlock(&t->lock);
	target_tell(t);
	pthread_mutex_lock(&t->lock);
	t->settled = !t->stop || over(t);
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

void *target_work(void *arg)
{
	struct target *t = arg;
	t->ask_ms = ASK_FIRST_MS;
	while (!over(t)) {
		auto_pb(Davit__StreamFrame) *f = NULL;
		enum woken w = wait_for_work(t, &f);
		if (w == WOKEN_STOP)
			break;
		if (w == WOKEN_FRAME) {
			on_frame(t, f);
		} else if (w == WOKEN_CANCELLED) {
			on_cancel(t);
		} else if (w == WOKEN_ASK) {
			t->ask_ms = MIN(2 * t->ask_ms, ASK_MOST_MS);
			target_event(t, EVENT_UNDECIDED);
		} else if (w == WOKEN_FORCED) {
			log_warn("move %s: an operator decided: %s", t->id, handover_event_name(t->forced_event));
			target_event(t, t->forced_event);
		} else if (w == WOKEN_MEMORY_OVER) {
			target_memory_left(t);
		} else {
			on_lost(t);
		}
	}
	finish(t);
	return NULL;
}
