/* What the target does from the thaw on: let the container run, say so, take memory that follows, also over a new connection of the source. On the
 * worker's thread. */
#include "base/clock.h"
#include "base/log.h"
#include "migrate/target_private.h"

#define RETRY_MS 500

/* How the clocks came out, for the record; the container runs already, so a failure here loses a line and nothing else. */
static void judge_clocks(struct target *t, int64_t thawed)
{
	struct err e = { 0 };
	if (!t->clock)
		return;
	t->clock->after = core_clock(&t->core, t->offer->spec->name, &e);
	if (!t->clock->after) {
		log_err(LOG_LEVEL_WARN, "clocks after the move", &e);
		return;
	}
	clock_policy_judge(t->policy, t->delta, thawed, t->clock->after, t->clock);
	pthread_mutex_lock(&t->lock);
	pb_freep(&t->record.m->clock);
	t->record.m->clock = pb_dup(&t->clock->base, NULL);
	t->record.m->has_downtime_us = 1;
	t->record.m->downtime_us = t->clock->downtime / NSEC_PER_USEC;
	pthread_mutex_unlock(&t->lock);
}

static void send_filled(struct target *t)
{
	Davit__StreamFilled filled = DAVIT__STREAM_FILLED__INIT;
	Davit__StreamFrame f = DAVIT__STREAM_FRAME__INIT;
	f.body_case = DAVIT__STREAM_FRAME__BODY_FILLED;
	f.filled = &filled;
	target_put(t, &f, NULL);
}

/* That it runs is told once, with what it lacks; that it lacks nothing any more afterwards. If either cannot be told, the source asks. */
void target_send_running(struct target *t)
{
	Davit__StreamRunning running = DAVIT__STREAM_RUNNING__INIT;
	Davit__StreamFrame f = DAVIT__STREAM_FRAME__INIT;
	if (t->told_running) {
		target_phase(t, "follow", false);
		send_filled(t);
		return;
	}
	running.clock = t->clock;
	running.thawed_boottime = t->thawed;
	running.has_memory_follows = 1;
	running.memory_follows = t->state == TARGET_FILLING;
	f.body_case = DAVIT__STREAM_FRAME__BODY_RUNNING;
	f.running = &running;
	t->told_running = true;
	if (running.memory_follows)
		target_phase(t, "follow", true);
	target_put(t, &f, NULL);
}

/* Whether the page store has all it needs from the source, or there is none. In doubt it is not whole: then the source is kept. */
static bool memory_is_whole(struct target *t)
{
	struct core core;
	struct err e = { 0 };
	if (!t->apart || t->host.open_core(t->host.arg, &core, &e) < 0)
		return !t->apart;
	auto_pb(Davit__MemoryStatus) *s = core_memory_status(&core, t->offer->spec->name, &e);
	core_close(&core); /* ends the core's waiting */
	return s ? s->ended || s->complete : e.code == ERR_CORRUPT || e.code == ERR_NOT_FOUND;
}

void target_thaw(struct target *t)
{
	const char *name = t->offer->spec->name;
	struct err e = { 0 };
	int runs;
	target_phase(t, "commit", false);
	target_phase(t, "thaw", true);
	while (target_open_core(t, &e) < 0 || (runs = core_let_run(&t->core, name, &e)) < 0) {
		log_err(LOG_LEVEL_ERROR, "thaw", &e);
		target_drop_core(t);
		err_clear(&e);
		if (!target_sleep(t, RETRY_MS))
			return; /* the agent ends; its next start thaws */
	}
	int64_t thawed = clock_now_ns(CLOCK_BOOTTIME);
	/* One that is no longer there died while it stood here: it had its right to run, as on any host. */
	if (!runs)
		log_warn("container %s died before its thaw", name);
	else if (core_announce(&t->core, name, &e) < 0)
		log_err(LOG_LEVEL_WARN, "announce the container's addresses", &e);
	target_phase(t, "thaw", false);
	judge_clocks(t, thawed);
	t->thawed = thawed;
	target_event(t, !runs || memory_is_whole(t) ? EVENT_THAWED : EVENT_FILLS);
}

/* Memory follows. With a connection it comes by itself; without one only the source can make another, so all there is to do is to ask whether it
 * still has what is lacking. */
void target_fill(struct target *t)
{
	pthread_mutex_lock(&t->lock);
	bool lost = t->lost;
	pthread_mutex_unlock(&t->lock);
	if (lost && memory_is_whole(t))
		target_event(t, EVENT_FILLED);
	else if (lost)
		target_ask_verdict(t);
}

/* The page store left the connection. One that fell has a successor, which lacks what was on its way: the source is kept, and makes a new one. */
void target_memory_left(struct target *t)
{
	if (memory_is_whole(t)) {
		target_event(t, EVENT_FILLED);
		return;
	}
	pthread_mutex_lock(&t->lock);
	t->lost = true;
	err_set(&t->lost_why, ERR_IO, 0, "the container's page store fell, and another one goes on");
	pthread_mutex_unlock(&t->lock);
}

/* The source has a new connection: what it sends goes to the page store again. */
void target_on_resume(struct target *t, const Davit__StreamResume *resume)
{
	auto_core_fds struct core_fds fds = CORE_FDS_INIT;
	struct err e = { 0 };
	uint64_t id;
	if (!str_eq(resume->move_id, t->id) || (t->state != TARGET_FILLING && t->state != TARGET_STRANDED)) {
		err_set(&e, ERR_PROTOCOL, 0, "move %s lacks no memory here", t->id);
		target_refuse(t, &e, NULL);
		return;
	}
	/* What came last over the old connection may have been the end. */
	if (memory_is_whole(t)) {
		target_event(t, EVENT_FILLED);
		return;
	}
	if (target_open_core(t, &e) < 0 || core_open(&t->core, DAVIT__CORE_REQUEST__OP_MEMORY_ATTACH, t->offer->spec->name, 1, &fds, &id, &e) < 0 ||
	    target_memory_open(t, steal_fd(&fds.fd[0]), &e) < 0) {
		log_err(LOG_LEVEL_WARN, "take memory again", &e);
		target_fail(t, EVENT_LOST, &e, NULL);
		return;
	}
	target_send_accept(t, NULL, NULL, NULL);
}

/* By an operator's word: what runs here without all its memory ends, and is kept as any container that was killed. */
void target_give_up(struct target *t)
{
	struct err e = { 0 };
	while (target_open_core(t, &e) < 0 ||
	       (core_kill(&t->core, t->offer->spec->name, "SIGKILL", true, &e) < 0 && e.code != ERR_NOT_FOUND && e.code != ERR_STATE)) {
		log_err(LOG_LEVEL_ERROR, "end a container whose memory will not come", &e);
		target_drop_core(t);
		err_clear(&e);
		if (!target_sleep(t, RETRY_MS))
			return;
	}
}
