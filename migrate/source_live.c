/* A move whose memory is copied while the container runs: its rounds, its freeze, and what follows.
 *
 * Rounds over the memory and passes over the layer go on side by side. After each round the policy (migrate/rounds.h) says whether another one
 * follows. A freeze waits until the layer was copied once; a last round then makes up for that time. In post-copy only the layer is copied before, in
 * stop-and-copy nothing: its last round and pass are the first.
 *
 * Frozen: the last round ends the tracking (CRIU could not dump else) and sends what is left, or withholds it; the last pass sends files; the dump
 * begins when the round is done. After the thaw REST asks for what was withheld; what the target waits for comes first. */
#include <unistd.h>
#include "base/clock.h"
#include "migrate/source_private.h"

/* What a freeze takes besides memory: measured on small containers. */
#define OVERHEAD_NS (30 * NSEC_PER_MSEC)

static enum rounds_otherwise otherwise_of(const struct source *s)
{
	if (s->mode == MODE_HYBRID && !s->job->auto_converge)
		return ROUNDS_FOLLOW;
	return s->job->auto_converge ? ROUNDS_THROTTLE : ROUNDS_GIVE_UP;
}

static int start_round(struct source *s, struct err *e)
{
	s->live.in_round = true;
	s->live.round++;
	s->live.round_began = clock_now_ns(CLOCK_MONOTONIC);
	return source_memory_say(s, MEMORY_ROUND, 0, s->live.round, e);
}

static int freeze(struct source *s, const char *why, struct err *e)
{
	pb_set_str(&s->record.m->rounds_why, why, NULL);
	record_phase_end(&s->record, "copy", s->record.m->bytes);
	if (s->channel[SOURCE_MEMORY].fd < 0 && source_memory_open(s, e) < 0)
		return -1;
	source_meet(s, EVENT_ACCEPTED);
	return 0;
}

int source_live_start(struct source *s, struct err *e)
{
	struct source_live *l = &s->live;
	l->policy = (struct rounds){
		.otherwise = otherwise_of(s),
		.may_follow = s->mode == MODE_HYBRID,
		.downtime_ns = (s->job->has_downtime_ms ? s->job->downtime_ms : ROUNDS_DOWNTIME_MS) * NSEC_PER_MSEC,
		.overhead_ns = OVERHEAD_NS,
		.timeout_ns = s->job->copy_timeout_ms * NSEC_PER_MSEC,
		.max = s->job->max_rounds ? s->job->max_rounds : ROUNDS_MAX,
		.page_size = (uint64_t)sysconf(_SC_PAGESIZE),
	};
	record_phase_end(&s->record, "offer", 0);
	source_phase(s, "copy");
	s->rate_start = clock_now_ns(CLOCK_MONOTONIC);
	if (source_layer_start(s, e) < 0)
		return -1;
	if (s->mode == MODE_STOP_AND_COPY)
		return freeze(s, "nothing is copied before", e);
	if (source_layer_pass(s, false, e) < 0)
		return -1;
	/* Without rounds the tracking begins with the freeze, and costs the container nothing before. */
	return s->mode == MODE_POST_COPY ? 0 : source_memory_open(s, e) < 0 ? -1 : start_round(s, e);
}

static int note_round(struct source *s, const struct memory_report *m, int64_t duration, struct err *e)
{
	const struct source_live *l = &s->live;
	Davit__MoveRound *r = pb_new(&davit__move_round__descriptor, e);
	if (!r)
		return -1;
	r->number = l->round;
	r->has_pages = r->has_zero_pages = r->has_bytes = r->has_left_pages = r->has_dirty_rate = r->has_duration_us = r->has_stopped_us = 1;
	r->pages = m->sent;
	r->zero_pages = m->zero;
	r->bytes = m->sent * l->policy.page_size;
	r->left_pages = m->left;
	r->dirty_rate = m->rate;
	r->duration_us = duration / NSEC_PER_USEC;
	r->stopped_us = (int64_t)m->stopped_us;
	r->has_throttle = l->policy.throttle > 0;
	r->throttle = l->policy.throttle;
	s->bytes_total = MAX(s->bytes_total, s->record.m->bytes + m->left * l->policy.page_size);
	return pb_push(&s->record.m->n_rounds, &s->record.m->rounds, r, e);
}

static int throttle(struct source *s, struct err *e)
{
	struct source_live *l = &s->live;
	uint8_t percent = (uint8_t)l->policy.throttle;
	if (l->throttle < 0) {
		auto_core_fds struct core_fds fds = CORE_FDS_INIT;
		uint64_t id;
		if (core_channel(&s->core, s->job->container, &l->throttle_core, e) < 0)
			return -1;
		l->has_throttle_core = true;
		if (core_open(&l->throttle_core, DAVIT__CORE_REQUEST__OP_THROTTLE, s->job->container, 1, &fds, &id, e) < 0)
			return -1;
		l->throttle = steal_fd(&fds.fd[0]);
	}
	return fd_write_all(l->throttle, &percent, 1, e);
}

static int give_up(const struct source *s, const char *why, struct err *e)
{
	err_set(e, ERR_LIMIT, 0, "container %s was left running here after %u rounds: %s", s->job->container, s->live.round, why);
	return err_remedy(e, "allow more downtime or rounds, take CPU from it (--auto-converge), or let the rest follow (--mode hybrid)");
}

static int decide(struct source *s, const struct rounds_result *result, struct err *e)
{
	struct source_live *l = &s->live;
	const char *why = "";
	enum rounds_next next = rounds_after(&l->policy, result, &why);
	if (next == ROUNDS_STOP)
		return give_up(s, why, e);
	if (next == ROUNDS_THROTTLE_AGAIN && throttle(s, e) < 0)
		return -1;
	if (next == ROUNDS_AGAIN || next == ROUNDS_THROTTLE_AGAIN) {
		if (!l->passing && source_layer_pass(s, false, e) < 0)
			return -1;
		return start_round(s, e);
	}
	l->withhold = next == ROUNDS_FREEZE_FOLLOW;
	if (l->passing) {
		l->freeze = true; /* when the layer is there, a last look at the memory decides again */
		return 0;
	}
	return freeze(s, why, e);
}

static int say_rest(struct source *s, struct err *e)
{
	if (s->live.rest_sent)
		return 0;
	s->live.rest_sent = true;
	return source_memory_say(s, MEMORY_REST, 0, 0, e);
}

static int final_done(struct source *s, const struct memory_report *m)
{
	struct source_live *l = &s->live;
	struct err e = { 0 };
	l->final_done = true;
	if (s->state == SOURCE_SERVING) {
		if (say_rest(s, &e) < 0)
			source_fail(s, EVENT_FAILED, &e, NULL);
		return 0;
	}
	s->record.m->has_frozen_memory_bytes = 1;
	s->record.m->frozen_memory_bytes = m->sent * l->policy.page_size;
	if (source_dump_start(s, &e) < 0)
		source_fail(s, EVENT_FAILED, &e, s->core.error);
	return 0;
}

int source_live_round_done(struct source *s, struct err *e)
{
	struct source_live *l = &s->live;
	struct memory_report m;
	if (!l->in_round || s->memory.answer.value != l->round || s->memory.text_len != MEMORY_REPORT_SIZE)
		return err_set(e, ERR_PROTOCOL, 0, "an answer to a round that was not asked for");
	memory_get_report(s->memory.text, &m);
	l->in_round = false;
	source_touch(s);
	int64_t duration = clock_now_ns(CLOCK_MONOTONIC) - l->round_began;
	if (l->final_sent)
		return final_done(s, &m);
	if (note_round(s, &m, duration, e) < 0)
		return -1;
	source_tell(s);
	const struct rounds_result result = { .sent = m.sent, .left = m.left, .dirty_rate = m.rate, .duration_ns = duration };
	return decide(s, &result, e);
}

int source_live_pass_done(struct source *s, uint64_t bytes, struct err *e)
{
	struct source_live *l = &s->live;
	if (l->last_pass) {
		s->record.m->has_frozen_layer_bytes = 1;
		s->record.m->frozen_layer_bytes = bytes;
		return 0;
	}
	if (l->freeze) {
		l->freeze = false;
		return start_round(s, e);
	}
	if (s->mode != MODE_POST_COPY)
		return 0;
	/* What changed during the first pass is quickly told by a second. */
	l->withhold = true;
	return l->passes < 2 ? source_layer_pass(s, false, e) : freeze(s, "all of it follows", e);
}

int source_live_freeze(struct source *s, struct err *e)
{
	struct source_live *l = &s->live;
	fd_closep(&l->throttle);
	l->final_sent = l->in_round = true;
	l->round++;
	if (source_memory_say(s, MEMORY_ROUND, (uint16_t)(MEMORY_FINAL | (l->withhold ? MEMORY_WITHHOLD : 0)), l->round, e) < 0)
		return -1;
	return source_layer_pass(s, true, e);
}

/* With nothing withheld the end is all that is to be said; else the link and the CPU are the restore's until the thaw. */
int source_live_restoring(struct source *s, struct err *e)
{
	return s->live.withhold ? 0 : say_rest(s, e);
}

int source_live_serve(struct source *s, struct err *e)
{
	s->live.serving = clock_now_ns(CLOCK_MONOTONIC);
	s->live.bytes_at_thaw = s->memory.bytes;
	source_phase(s, "follow");
	return say_rest(s, e);
}

/* Over a new connection, from a process that knows nothing of what was sent before: all that the target still lacks is withheld, then sent. */
int source_live_resume(struct source *s, struct err *e)
{
	struct source_live *l = &s->live;
	l->resuming = false;
	l->withhold = l->final_sent = l->in_round = true;
	l->policy.page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	l->round++;
	l->serving = clock_now_ns(CLOCK_MONOTONIC);
	source_phase(s, "follow");
	return source_memory_open(s, e) < 0 ? -1 : source_memory_say(s, MEMORY_ROUND, MEMORY_FINAL | MEMORY_WITHHOLD, l->round, e);
}

void source_live_filled(struct source *s)
{
	Davit__MoveRecord *m = s->record.m;
	const struct source_live *l = &s->live;
	m->has_memory_bytes = m->has_followed_bytes = m->has_filled_us = 1;
	m->memory_bytes += s->memory.bytes;
	m->followed_bytes += l->serving ? s->memory.bytes - l->bytes_at_thaw : 0;
	m->filled_us = l->serving ? (clock_now_ns(CLOCK_MONOTONIC) - l->serving) / NSEC_PER_USEC : 0;
	record_phase_end(&s->record, "follow", m->followed_bytes);
}

void source_live_end(struct source *s)
{
	struct source_live *l = &s->live;
	if (s->channel[SOURCE_MEMORY].fd >= 0)
		source_memory_say(s, MEMORY_CLOSE, 0, 0, NULL); /* its end says the same, a moment later */
	fd_closep(&s->channel[SOURCE_MEMORY].fd);
	fd_closep(&s->channel[SOURCE_LAYER].fd);
	fd_closep(&l->go);
	fd_closep(&l->throttle);
	l->passing = false;
	if (l->has_layer_core)
		core_close(&l->layer_core);
	if (l->has_throttle_core)
		core_close(&l->throttle_core);
	l->has_layer_core = l->has_throttle_core = false;
}
