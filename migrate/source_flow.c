/* The source's events and actions. The table (migrate/handover.h) says which event leads where; here is what the actions do and which frame
 * or outcome is which event. */
#include "base/clock.h"
#include "base/log.h"
#include "migrate/group.h"
#include "migrate/source_private.h"

/* Exchanges before the freeze, and after the dump where the best of those got old. */
#define PINGS_BEFORE 8
#define PINGS_AFTER 3
#define BOUND_GOOD_NS (30 * NSEC_PER_USEC)

void source_touch(struct source *s)
{
	s->deadline = clock_now_ns(CLOCK_MONOTONIC) + s->job->timeout_ms * NSEC_PER_MSEC;
}

void source_tell(struct source *s)
{
	s->reported = clock_now_ns(CLOCK_MONOTONIC);
	if (s->report)
		s->report(s->report_arg, s->record.m, s->phase, s->bytes_total);
}

void source_phase(struct source *s, const char *name)
{
	s->phase = name;
	record_phase(&s->record, name);
	source_tell(s);
}

/* Ends the move; nothing is done to the container any more. */
static void finish(struct source *s, bool moved)
{
	s->moved = moved;
	s->finished = true;
	source_dump_close(s);
	source_live_end(s);
	record_finish(&s->record, moved ? NULL : &s->error, s->detail);
}

static void fail_here(struct source *s, struct err *e)
{
	source_fail(s, EVENT_FAILED, e, s->core.error);
}

static void act_pause(struct source *s)
{
	struct err e = { 0 };
	record_phase_end(&s->record, "offer", 0);
	s->phase = "freeze";
	record_phase(&s->record, s->phase);
	if (core_pause(&s->core, s->job->container, true, &e) < 0) {
		fail_here(s, &e);
		return;
	}
	source_touch(s);
	source_event(s, EVENT_PAUSED);
}

static void act_dump(struct source *s)
{
	struct err e = { 0 };
	record_phase_end(&s->record, "freeze", 0);
	s->phase = "dump";
	record_phase(&s->record, s->phase);
	if ((s->apart ? source_live_freeze(s, &e) : source_dump_start(s, &e)) < 0)
		fail_here(s, &e);
}

/* The ready was looked at when it came; a clock that would have gone back is the last thing that can speak against it. */
static void act_decide(struct source *s)
{
	if (!s->error.code)
		source_meet(s, EVENT_COMMIT);
}

static void act_send_commit(struct source *s)
{
	Davit__StreamCommit commit = DAVIT__STREAM_COMMIT__INIT;
	Davit__StreamFrame f = DAVIT__STREAM_FRAME__INIT;
	struct err e = { 0 };

	commit.move_id = s->job->move_id;
	f.body_case = DAVIT__STREAM_FRAME__BODY_COMMIT;
	f.commit = &commit;
	record_phase_end(&s->record, "commit", 0);
	record_phase(&s->record, "thaw");
	s->phase = "thaw";
	if (stream_put(&s->out, &f, &e) < 0)
		source_fail(s, EVENT_LOST, &e, NULL);
}

static void act_delete(struct source *s)
{
	struct err e = { 0 };
	record_phase_end(&s->record, "thaw", 0);
	source_phase(s, "cleanup");
	source_dump_close(s);
	if (s->apart)
		source_live_filled(s);
	source_live_end(s);
	if (core_delete(&s->core, s->job->container, true, &e) < 0 && e.code != ERR_NOT_FOUND) {
		err_prefix(&e, "container %s runs on the target, but its frozen copy here could not be deleted", s->job->container);
		s->error = e;
		finish(s, false);
		return;
	}
	source_event(s, EVENT_DELETED);
}

static void act_send_done(struct source *s)
{
	Davit__StreamDone done = DAVIT__STREAM_DONE__INIT;
	Davit__StreamFrame f = DAVIT__STREAM_FRAME__INIT;
	f.body_case = DAVIT__STREAM_FRAME__BODY_DONE;
	f.done = &done;
	record_phase_end(&s->record, "cleanup", 0);
	stream_put(&s->out, &f, NULL); /* only a courtesy: the target runs either way */
	finish(s, true);
}

/* Lets the container go on here. A container that is gone (its host's reboot, or it died of the failure) needs nothing. */
static void act_resume(struct source *s, bool paused)
{
	struct err e = { 0 };
	source_dump_close(s);
	source_live_end(s);
	if (paused && core_let_run(&s->core, s->job->container, &e) < 0) {
		log_err(LOG_LEVEL_ERROR, "container stays frozen for now", &e);
		finish(s, false);
		return;
	}
	source_event(s, EVENT_RESUMED);
}

static void act_serve(struct source *s)
{
	struct err e = { 0 };
	if (source_live_serve(s, &e) < 0)
		fail_here(s, &e);
}

static void act_ask_state(struct source *s)
{
	struct err why = s->error;
	if (s->state == SOURCE_SERVING) {
		err_prefix(&s->error, "container %s runs on the target, but memory still follows", s->job->container);
		err_remedy(&s->error, "the frozen copy here keeps it: davit migrate resume %s", s->job->move_id);
		finish(s, false);
		return;
	}
	err_set(&s->error, ERR_IN_DOUBT, 0, "move %s was committed, but the target has not said that the container runs: %s", s->job->move_id,
		why.msg);
	err_remedy(&s->error, "the agent goes on asking the target; the frozen copy stays here until it answers");
	pb_freep(&s->detail);
	finish(s, false);
}

static void act(struct source *s, enum handover_action a, enum handover_state before)
{
	switch (a) {
	case ACTION_PAUSE:
		act_pause(s);
		break;
	case ACTION_DUMP:
		act_dump(s);
		break;
	case ACTION_DECIDE:
		act_decide(s);
		break;
	case ACTION_SEND_COMMIT:
		act_send_commit(s);
		break;
	case ACTION_DELETE:
		act_delete(s);
		break;
	case ACTION_SEND_DONE:
		act_send_done(s);
		break;
	case ACTION_RESUME:
		act_resume(s, before != SOURCE_OFFERED);
		break;
	case ACTION_ASK_STATE:
		act_ask_state(s);
		break;
	case ACTION_SERVE:
		act_serve(s);
		break;
	default:
		break;
	}
}

/* Writes the entry of a rule. What was decided against the target's copy (aborting) holds even if the disk does not take it: without
 * COMMITTED on disk, recovery decides the same. */
static int write_entry(struct source *s, const struct handover_rule *rule, struct err *e)
{
	if (rule->next == rule->state || s->journal.fd < 0)
		return 0;
	record_state(&s->record, handover_state_name(rule->next), NULL);
	if (journal_append(&s->journal, rule->next, handover_event_name(rule->event), NULL, s->record.m, rule->order == ORDER_SYNC, e) == 0)
		return 0;
	if (rule->next == SOURCE_ACCEPTED || rule->next == SOURCE_COMMITTED)
		return -1;
	log_err(LOG_LEVEL_ERROR, "move's journal", e);
	return 0;
}

/* What the group says is not known: the container stays as it is until migrate/recover.h knows. */
static void leave_open(struct source *s, const struct err *why)
{
	s->error = *why;
	finish(s, false);
}

bool source_event(struct source *s, enum handover_event ev)
{
	struct err e = { 0 };
	if (!handover_next(s->state, ev) || s->finished)
		return false;
	if (s->journal.fd >= 0 && group_event(s->job->moves_folder, s->job->group, s->state, ev, &ev, &e) < 0) {
		leave_open(s, &e);
		return true;
	}
	const struct handover_rule *rule = handover_next(s->state, ev);
	if (write_entry(s, rule, &e) < 0) {
		source_fail(s, EVENT_FAILED, &e, NULL);
		return true;
	}
	s->state = rule->next;
	record_state(&s->record, handover_state_name(s->state), NULL);
	if (s->state == SOURCE_ABORTED)
		finish(s, false);
	act(s, rule->action, rule->state);
	return true;
}

void source_fail(struct source *s, enum handover_event ev, const struct err *why, const Davit__Error *detail)
{
	if (s->finished)
		return;
	bool tells = !s->error.code && s->state < SOURCE_COMMITTED && ev == EVENT_FAILED;
	if (!s->error.code) {
		s->error = *why;
		s->detail = detail ? pb_dup(&detail->base, NULL) : NULL;
		buf_consume(&s->out, s->out.len);
	}
	if (s->journal.fd < 0)
		finish(s, false);
	else
		source_event(s, ev);
	/* Not if its group had committed already. */
	if (tells && (s->journal.fd < 0 || s->state == SOURCE_ABORTING || s->state == SOURCE_ABORTED))
		stream_put_abort(&s->out, &s->error, s->detail, NULL);
}

/* The mode that the target chose must be one that we can, and the one asked for. */
static int take_mode(struct source *s, const Davit__StreamAccept *a, struct err *e)
{
	const char *name = a->mode ? a->mode : mode_name(MODE_STOP_AND_COPY);
	if (mode_of(name, &s->mode, e) < 0)
		return -1;
	if (s->job->mode && !str_eq(s->job->mode, name))
		return err_set(e, ERR_PROTOCOL, 0, "the target took mode %s where %s was asked", name, s->job->mode);
	if (a->memory_apart ? !s->job->facts || !s->job->facts->memory_tracking : mode_is_live(s->mode))
		return err_set(e, ERR_PROTOCOL, 0, "mode %s %s memory by a way of its own", name, a->memory_apart ? "with" : "without");
	s->apart = a->memory_apart;
	return pb_set_str(&s->record.m->mode, name, e) < 0 || pb_set_str(&s->record.m->mode_why, a->mode_why ? a->mode_why : "", e) < 0 ? -1 : 0;
}

static int on_accept(struct source *s, const Davit__StreamAccept *a, struct err *e)
{
	bool resumes = s->state == SOURCE_SERVING && s->live.resuming;
	if (!resumes && (s->state != SOURCE_OFFERED || s->pinging || s->map.exchanges))
		return err_set(e, ERR_PROTOCOL, 0, "a second answer to the offer");
	if (a->refusal) {
		pb_error_get(a->refusal, &s->error);
		s->detail = pb_dup(&a->refusal->base, NULL);
		struct err why = s->error;
		source_fail(s, EVENT_ABORTED, &why, NULL);
		return 0;
	}
	if (resumes)
		return source_live_resume(s, e);
	if (take_mode(s, a, e) < 0)
		return -1;
	if (a->tcp_reset && !s->job->allow_tcp_reset)
		return err_set(e, ERR_PROTOCOL, 0, "the target wants to close TCP connections, which was not agreed to");
	s->record.m->has_tcp_reset = s->record.m->tcp_reset = a->tcp_reset;
	if (s->job->check_only)
		finish(s, true);
	else
		source_ping_start(s, PINGS_BEFORE);
	return 0;
}

/* The exchanges are over: those before the freeze lead to it, those after the dump to `frozen`. */
static void pings_done(struct source *s)
{
	struct err e = { 0 };
	if (s->state != SOURCE_OFFERED)
		return;
	if (!s->apart)
		source_meet(s, EVENT_ACCEPTED);
	else if (source_live_start(s, &e) < 0)
		fail_here(s, &e);
}

static int send_frozen(struct source *s, struct err *e)
{
	Davit__ClockMap map;
	Davit__StreamFrozen frozen = DAVIT__STREAM_FROZEN__INIT;
	Davit__StreamFrame f = DAVIT__STREAM_FRAME__INIT;

	clock_map_get(&s->map, clock_now_ns(CLOCK_BOOTTIME), &map);
	frozen.dump = s->dump;
	frozen.map = &map;
	f.body_case = DAVIT__STREAM_FRAME__BODY_FROZEN;
	f.frozen = &frozen;
	s->frozen_sent = true;
	s->phase = "restore";
	record_phase(&s->record, s->phase);
	if (stream_put(&s->out, &f, e) < 0)
		return -1;
	return s->apart ? source_live_restoring(s, e) : 0;
}

void source_advance(struct source *s)
{
	struct err e = { 0 };
	if (s->finished || s->state != SOURCE_FROZEN || s->frozen_sent || s->pinging || !source_data_done(s))
		return;
	if (!s->closing) {
		s->closing = true;
		record_phase_end(&s->record, "transfer", s->record.m->bytes);
		if (clock_map_bound(&s->map, clock_now_ns(CLOCK_BOOTTIME)) > BOUND_GOOD_NS) {
			source_ping_start(s, PINGS_AFTER);
			return;
		}
	}
	if (send_frozen(s, &e) < 0)
		source_fail(s, EVENT_FAILED, &e, NULL);
}

static int on_ready(struct source *s, struct err *e)
{
	if (!s->frozen_sent)
		return err_set(e, ERR_PROTOCOL, 0, "ready before everything was sent");
	record_phase_end(&s->record, "restore", 0);
	record_phase(&s->record, "commit");
	return source_event(s, EVENT_READY) ? 0 : err_set(e, ERR_PROTOCOL, 0, "ready in state %s", handover_state_name(s->state));
}

static int on_running(struct source *s, const Davit__StreamRunning *r, struct err *e)
{
	if (s->state != SOURCE_COMMITTED)
		return err_set(e, ERR_PROTOCOL, 0, "running before the commit");
	if (r->clock) {
		pb_freep(&s->record.m->clock);
		s->record.m->clock = pb_dup(&r->clock->base, NULL);
		s->record.m->has_downtime_us = r->clock->has_downtime;
		s->record.m->downtime_us = r->clock->downtime / NSEC_PER_USEC;
	}
	record_phase_end(&s->record, "thaw", 0);
	/* It may lack nothing though the end was not sent: what it fetched before its thaw may have been all that it uses. */
	source_event(s, r->memory_follows ? EVENT_FILLS : EVENT_RUNS);
	return 0;
}

static int on_filled(struct source *s, struct err *e)
{
	if (s->state != SOURCE_SERVING)
		return err_set(e, ERR_PROTOCOL, 0, "all memory is there in state %s", handover_state_name(s->state));
	source_event(s, EVENT_RUNS);
	return 0;
}

/* The account of a channel that the target may send. */
static struct stream_sum *sum_of(struct source *s, Davit__StreamChannel channel)
{
	if (channel == DAVIT__STREAM_CHANNEL__CHANNEL_PAGES_REPLY)
		return &s->reply;
	return channel == DAVIT__STREAM_CHANNEL__CHANNEL_MEMORY_REPLY && s->apart ? &s->memory_reply : NULL;
}

/* The start of a payload: only CRIU's answers and what the page store wants come this way. */
static int on_data(struct source *s, Davit__StreamFrame *f, struct err *e)
{
	const struct stream_sum *sum = sum_of(s, f->data->channel);
	if (!sum || f->data->offset != sum->bytes)
		return err_set(e, ERR_PROTOCOL, 0, "unexpected data of channel %s at %llu", stream_channel_name(f->data->channel),
			       (unsigned long long)f->data->offset);
	pb_freep(&s->data);
	s->data = f;
	return 0;
}

static int take_reply(struct source *s, struct err *e)
{
	const uint8_t *p = (const uint8_t *)s->reply_payload.data;
	if (s->data->data->channel == DAVIT__STREAM_CHANNEL__CHANNEL_MEMORY_REPLY)
		return source_memory_wanted(s, p, s->reply_payload.len, e);
	int fd = s->channel[SOURCE_PAGES].fd;
	/* CRIU may have closed before it read the last of them. */
	if (fd >= 0 && fd_write_all(fd, p, s->reply_payload.len, e) < 0 && !s->channel[SOURCE_PAGES].ended)
		return -1;
	return 0;
}

int source_payload(void *arg, const uint8_t *p, size_t n, size_t left, struct err *e)
{
	struct source *s = arg;
	if (!s->data)
		return err_set(e, ERR_PROTOCOL, 0, "a payload after a frame that has none");
	if (buf_append(&s->reply_payload, p, n, e) < 0)
		return -1;
	if (left > 0)
		return 0;
	uint64_t digest = XXH3_64bits(s->reply_payload.data, s->reply_payload.len);
	if (digest != s->data->data->xxh3)
		return err_set(e, ERR_CORRUPT, 0, "the checksum of the target's answer is wrong");
	stream_sum_add(sum_of(s, s->data->data->channel), s->reply_payload.len, digest);
	int rc = take_reply(s, e);
	buf_consume(&s->reply_payload, s->reply_payload.len);
	pb_freep(&s->data);
	return rc;
}

static int on_end(struct source *s, const Davit__StreamEnd *end, struct err *e)
{
	const struct stream_sum *sum = sum_of(s, end->channel);
	if (!sum)
		return err_set(e, ERR_PROTOCOL, 0, "unexpected end of channel %s", stream_channel_name(end->channel));
	return stream_check_end(end, sum, e);
}

static void on_abort(struct source *s, const Davit__StreamAbort *a)
{
	struct err why = { 0 };
	pb_error_get(a->error, &why);
	err_prefix(&why, "the target gave up");
	source_fail(s, EVENT_ABORTED, &why, a->error);
}

int source_frame(void *arg, Davit__StreamFrame *frame, struct err *e)
{
	struct source *s = arg;
	auto_pb(Davit__StreamFrame) *f = frame;
	int r = 0;

	if (s->finished)
		return 0;
	if (f->payload_len > 0 && f->body_case != DAVIT__STREAM_FRAME__BODY_DATA)
		return err_set(e, ERR_PROTOCOL, 0, "a payload after a frame that has none");
	switch (f->body_case) {
	case DAVIT__STREAM_FRAME__BODY_ACCEPT:
		return on_accept(s, f->accept, e);
	case DAVIT__STREAM_FRAME__BODY_CLOCK_PONG:
		r = source_pong(s, f->clock_pong, e);
		if (r == 0 && !s->pinging)
			pings_done(s);
		return r;
	case DAVIT__STREAM_FRAME__BODY_DATA:
		r = on_data(s, f, e);
		if (r == 0)
			f = NULL;
		return r;
	case DAVIT__STREAM_FRAME__BODY_END:
		return on_end(s, f->end, e);
	case DAVIT__STREAM_FRAME__BODY_READY:
		return on_ready(s, e);
	case DAVIT__STREAM_FRAME__BODY_RUNNING:
		return on_running(s, f->running, e);
	case DAVIT__STREAM_FRAME__BODY_FILLED:
		return on_filled(s, e);
	case DAVIT__STREAM_FRAME__BODY_ABORT:
		on_abort(s, f->abort);
		return 0;
	case DAVIT__STREAM_FRAME__BODY_PROGRESS:
		return 0;
	default:
		return err_set(e, ERR_PROTOCOL, 0, "a frame that a target does not send (%d)", (int)f->body_case);
	}
}
