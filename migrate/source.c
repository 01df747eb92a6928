/* Life of the source's object, and what it waits for. See source.h. */
#include "migrate/source.h"
#include <string.h>
#include "base/clock.h"
#include "migrate/source_private.h"

#define REPORT_EVERY_NS (500 * NSEC_PER_MSEC)
#define TIMEOUT_DEFAULT_MS 30000
/* The HTTP server between us ends a connection that is silent for longer. */
#define SIGN_OF_LIFE_NS (10 * NSEC_PER_SEC)

/* A refusal to even offer: the container's own obstacles. */
static int refuse_obstacles(struct source *s, const Davit__ObstacleList *list, struct err *e)
{
	const Davit__Obstacle *o = list->obstacles[0];
	err_set(e, ERR_OBSTACLE, 0, "container %s cannot be moved: %s%s", s->job->container, o->reason, list->n_obstacles > 1 ? " (and more)" : "");
	if (o->remedy)
		err_remedy(e, "%s", o->remedy);
	s->detail = pb_error(e);
	for (size_t i = 0; s->detail && i < list->n_obstacles; i++) {
		Davit__Obstacle *copy = pb_dup(&list->obstacles[i]->base, NULL);
		if (copy)
			pb_push(&s->detail->n_obstacles, &s->detail->obstacles, copy, NULL);
	}
	return -1;
}

static int check_container(struct source *s, const Davit__ContainerStatus *status, struct err *e)
{
	auto_pb(Davit__ObstacleList) *obstacles = NULL;
	if (!str_eq(status->state, "running")) {
		err_set(e, ERR_STATE, 0, "container %s is %s, and only a running one can be moved", s->job->container, status->state);
		return str_eq(status->state, "paused") ? err_remedy(e, "resume it first") : -1;
	}
	if (!status->spec || !status->ids)
		return err_set(e, ERR_PROTOCOL, 0, "the runtime core told no spec of container %s", s->job->container);
	if (!(obstacles = core_check(&s->core, s->job->container, e)))
		return -1;
	s->layer_bytes = obstacles->layer_bytes;
	return obstacles->n_obstacles ? refuse_obstacles(s, obstacles, e) : 0;
}

/* Queues the offer; with a journal of its own first, unless it only checks. */
static int send_offer(struct source *s, const Davit__ContainerStatus *status, struct err *e)
{
	Davit__StreamOffer offer = DAVIT__STREAM_OFFER__INIT;
	Davit__StreamFrame f = DAVIT__STREAM_FRAME__INIT;
	Davit__HostFacts none = DAVIT__HOST_FACTS__INIT;
	auto_pb(Davit__ContainerStats) *stats = core_stats(&s->core, s->job->container, e);
	if (!stats)
		return -1;
	offer.version = 2;
	offer.move_id = s->job->move_id;
	offer.spec = status->spec;
	offer.ids = status->ids;
	offer.image_digest = status->image_digest ? status->image_digest : "";
	offer.facts = s->job->facts ? s->job->facts : &none;
	offer.source_url = s->job->source_url;
	offer.clock_policy = s->job->clock_policy;
	offer.container_id = s->job->container_id;
	offer.mode = s->job->mode;
	offer.group = s->job->group;
	offer.has_memory_bytes = 1;
	offer.memory_bytes = s->bytes_total = stats->memory_bytes;
	offer.has_layer_bytes = 1;
	offer.layer_bytes = s->layer_bytes;
	s->bytes_total += s->layer_bytes;
	offer.has_check_only = 1;
	offer.check_only = s->job->check_only;
	offer.has_allow_tcp_reset = offer.allow_tcp_reset = s->job->allow_tcp_reset;
	f.body_case = DAVIT__STREAM_FRAME__BODY_OFFER;
	f.offer = &offer;
	if (!s->job->check_only) {
		if (journal_create(s->job->moves_folder, s->job->move_id, &s->journal, e) < 0 ||
		    journal_append(&s->journal, SOURCE_OFFERED, NULL, NULL, s->record.m, true, e) < 0)
			return -1;
	}
	return stream_put(&s->out, &f, e);
}

static int begin(struct source *s, const Davit__MoverJob *job, struct err *e)
{
	enum clock_policy policy;
	if (!(s->job = pb_dup(&job->base, e)))
		return -1;
	if (!s->job->container || (!s->job->check_only && !s->job->moves_folder))
		return err_field(e, "job", "a move needs a container and a folder for its journal");
	if (!s->job->clock_policy && pb_set_str(&s->job->clock_policy, "continue", e) < 0)
		return -1;
	if (clock_policy_of(s->job->clock_policy, &policy, e) < 0 || (s->job->mode && mode_of(s->job->mode, &s->mode, e) < 0))
		return -1;
	s->mode = MODE_STOP_AND_COPY; /* until the target has answered */
	if (codec_writer_new(s->job->compress, &s->codec, e) < 0)
		return -1;
	if (!s->job->timeout_ms)
		s->job->timeout_ms = TIMEOUT_DEFAULT_MS;
	if (record_init(&s->record, job->move_id, job->container, "source", job->peer, e) < 0 || record_state(&s->record, "offered", e) < 0 ||
	    pb_set_str(&s->record.m->target_url, job->url ? job->url : "", e) < 0 ||
	    pb_set_str(&s->record.m->source_url, job->source_url ? job->source_url : "", e) < 0 ||
	    (job->group && pb_set_str(&s->record.m->group, job->group, e) < 0))
		return -1;
	source_phase(s, "offer");
	auto_pb(Davit__ContainerStatus) *status = core_get(&s->core, s->job->container, e);
	if (!status || check_container(s, status, e) < 0 || send_offer(s, status, e) < 0)
		return -1;
	source_touch(s);
	s->spoke = clock_now_ns(CLOCK_MONOTONIC);
	return 0;
}

static int begin_again(struct source *s, const Davit__MoverJob *job, struct err *e)
{
	auto_journal_view struct journal_view v = { 0 };
	Davit__StreamResume resume = DAVIT__STREAM_RESUME__INIT;
	Davit__StreamFrame f = DAVIT__STREAM_FRAME__INIT;
	if (!(s->job = pb_dup(&job->base, e)))
		return -1;
	if (!s->job->container || !s->job->moves_folder)
		return err_field(e, "job", "a move needs a container and a folder for its journal");
	if (!s->job->timeout_ms)
		s->job->timeout_ms = TIMEOUT_DEFAULT_MS;
	if (journal_open(s->job->moves_folder, s->job->move_id, &s->journal, &v, e) < 0)
		return -1;
	if (v.state != SOURCE_SERVING && v.state != SOURCE_COMMITTED)
		return err_set(e, ERR_STATE, 0, "move %s is %s: no memory follows", s->job->move_id, handover_state_name(v.state));
	s->record.started = clock_now_ns(CLOCK_BOOTTIME);
	s->record.m = steal_ptr(&v.record);
	s->apart = true;
	if (mode_of(s->record.m->mode, &s->mode, e) < 0 || codec_writer_new(s->job->compress, &s->codec, e) < 0)
		return -1;
	s->state = SOURCE_SERVING;
	s->live.resuming = true;
	s->phase = "resume";
	resume.move_id = s->job->move_id;
	f.body_case = DAVIT__STREAM_FRAME__BODY_RESUME;
	f.resume = &resume;
	source_touch(s);
	s->spoke = clock_now_ns(CLOCK_MONOTONIC);
	return stream_put(&s->out, &f, e);
}

static struct source *make(int core_fd, source_report *report, void *arg, struct err *e)
{
	struct source *s = mem_new(1, sizeof(*s), e);
	if (!s) {
		fd_closep(&core_fd);
		return NULL;
	}
	core_init(&s->core, core_fd);
	s->journal.fd = s->meet_fd = -1;
	s->state = SOURCE_OFFERED;
	s->report = report;
	s->report_arg = arg;
	for (size_t i = 0; i < SOURCE_CHANNELS; i++)
		s->channel[i].fd = -1;
	s->live.go = s->live.throttle = -1;
	return s;
}

struct source *source_new(const Davit__MoverJob *job, int core_fd, source_report *report, void *arg, Davit__Error **detail, struct err *e)
{
	struct source *s = make(core_fd, report, arg, e);
	*detail = NULL;
	if (!s || begin(s, job, e) == 0)
		return s;
	*detail = s->detail ? steal_ptr(&s->detail) : steal_ptr(&s->core.error);
	source_free(s);
	return NULL;
}

struct source *source_resume(const Davit__MoverJob *job, int core_fd, source_report *report, void *arg, struct err *e)
{
	struct source *s = make(core_fd, report, arg, e);
	if (!s || begin_again(s, job, e) == 0)
		return s;
	source_free(s);
	return NULL;
}

void source_free(struct source *s)
{
	if (!s)
		return;
	source_live_end(s);
	for (size_t i = 0; i < SOURCE_CHANNELS; i++)
		fd_closep(&s->channel[i].fd);
	buf_free(&s->memory.out);
	codec_writer_freep(&s->codec);
	journal_close(&s->journal);
	core_close(&s->core);
	record_free(&s->record);
	frame_reader_free(&s->in);
	buf_free(&s->out);
	buf_free(&s->reply_payload);
	pb_freep(&s->data);
	pb_freep(&s->dump);
	pb_freep(&s->detail);
	pb_freep(&s->job);
	free(s);
}

size_t source_poll(struct source *s, struct pollfd fds[SOURCE_POLL_MAX], int *timeout_ms)
{
	int64_t now = clock_now_ns(CLOCK_MONOTONIC), left = s->deadline - now;
	int64_t throttled = source_data_wait(s);
	size_t n = 0;
	left = MIN(left, s->spoke + SIGN_OF_LIFE_NS - now);
	if (source_data_flows(s))
		left = MIN(left, s->reported + REPORT_EVERY_NS - now);
	if (throttled > 0)
		left = MIN(left, throttled);
	for (size_t i = 0; throttled == 0 && i < SOURCE_CHANNELS; i++)
		if (!s->channel[i].ended && s->channel[i].fd >= 0)
			fds[n++] = (struct pollfd){ .fd = s->channel[i].fd, .events = POLLIN };
	if (s->live.passing)
		fds[n++] = (struct pollfd){ .fd = s->live.go, .events = POLLIN };
	if (s->memory.out.len > 0)
		fds[n++] = (struct pollfd){ .fd = s->channel[SOURCE_MEMORY].fd, .events = POLLOUT };
	if (s->waits)
		fds[n++] = (struct pollfd){ .fd = s->meet_fd, .events = POLLIN };
	if (s->dump_id)
		fds[n++] = (struct pollfd){ .fd = s->core.fd, .events = POLLIN };
	*timeout_ms = (int)MIN(INT32_MAX, MAX(0, (left + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC));
	return n;
}

static void sign_of_life(struct source *s, int64_t now)
{
	Davit__StreamProgress progress = DAVIT__STREAM_PROGRESS__INIT;
	Davit__StreamFrame f = DAVIT__STREAM_FRAME__INIT;
	if (s->out.len > 0 || now - s->spoke < SIGN_OF_LIFE_NS)
		return;
	f.body_case = DAVIT__STREAM_FRAME__BODY_PROGRESS;
	f.progress = &progress;
	stream_put(&s->out, &f, NULL);
}

/* What the core and its processes have to say. */
static void listen_to_core(struct source *s)
{
	struct err e = { 0 };
	int ready = s->dump_id ? fd_wait(s->core.fd, POLLIN, 0, &e) : 0;
	if (ready < 0 || (ready > 0 && source_dump_reply(s, &e) < 0))
		source_fail(s, EVENT_FAILED, &e, s->core.error);
	if (!s->finished && ((s->live.passing && source_layer_answer(s, &e) < 0) || source_memory_flush(s, &e) < 0))
		source_fail(s, EVENT_FAILED, &e, NULL);
}

void source_step(struct source *s)
{
	struct err e = { 0 };
	if (s->finished)
		return;
	listen_to_core(s);
	source_meet_step(s);
	source_advance(s);
	int64_t now = clock_now_ns(CLOCK_MONOTONIC);
	if (!s->finished && now >= s->deadline) {
		err_set(&e, ERR_TIMEOUT, 0, "nothing moved for %u ms in phase %s", s->job->timeout_ms, s->phase);
		source_fail(s, EVENT_FAILED, &e, NULL);
	}
	if (!s->finished && source_data_flows(s) && now - s->reported >= REPORT_EVERY_NS)
		source_tell(s);
	if (!s->finished)
		sign_of_life(s, now);
}

bool source_wants_to_send(const struct source *s)
{
	return s->out.len > 0 || s->finished;
}

size_t source_pull(struct source *s, void *buf, size_t cap)
{
	struct err e = { 0 };
	if (s->out.len == 0 && source_data_flows(s) && !s->finished) {
		size_t n = source_data_pull(s, buf, cap, &e);
		if (e.code)
			source_fail(s, EVENT_FAILED, &e, NULL);
		else if (n > 0)
			source_touch(s);
		if (n > 0) {
			s->spoke = clock_now_ns(CLOCK_MONOTONIC);
			return n;
		}
		source_advance(s);
	}
	size_t n = MIN(cap, s->out.len);
	if (n) {
		s->spoke = clock_now_ns(CLOCK_MONOTONIC);
		memcpy(buf, s->out.data, n);
		buf_consume(&s->out, n);
	}
	return n;
}

void source_feed(struct source *s, const void *p, size_t n)
{
	const struct frame_sink sink = { .header = source_frame, .payload = source_payload, .arg = s };
	struct err e = { 0 };
	if (s->finished)
		return;
	/* While data flows only its flow counts: a target whose disk hangs still talks. */
	if (!source_data_flows(s) || s->frozen_sent)
		source_touch(s);
	if (frame_feed(&s->in, &sink, p, n, &e) < 0) {
		err_prefix(&e, "the target");
		source_fail(s, EVENT_FAILED, &e, NULL);
	}
	source_advance(s);
}

void source_lost(struct source *s, const struct err *why)
{
	source_fail(s, EVENT_LOST, why, NULL);
}

void source_cancel(struct source *s, bool late)
{
	struct err e = { 0 };
	if (s->state >= SOURCE_COMMITTED)
		return;
	if (late)
		err_set(&e, ERR_TIMEOUT, 0, "move %s took longer than its time limit and was taken back in phase %s; the container goes on here",
			s->job->move_id, s->phase);
	else
		err_set(&e, ERR_CANCELLED, 0, "move %s was cancelled in phase %s", s->job->move_id, s->phase);
	source_fail(s, EVENT_FAILED, &e, NULL);
}

int source_peer_name(struct source *s, const char *name, struct err *e)
{
	return s->record.m->peer_name ? 0 : pb_set_str(&s->record.m->peer_name, name, e);
}

bool source_finished(const struct source *s)
{
	return s->finished;
}

int source_result(const struct source *s, const Davit__Error **detail, struct err *e)
{
	*detail = s->detail;
	if (s->moved)
		return 0;
	*e = s->error;
	return -1;
}

const Davit__MoveRecord *source_record(const struct source *s)
{
	return s->record.m;
}
