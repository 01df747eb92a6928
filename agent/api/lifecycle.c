/* Changes of a container that take moments: start, stop, kill, pause, resume; and waiting for its end. */
#include <string.h>
#include "agent/api/api.h"
#include "agent/db/container.h"
#include "agent/view.h"

#define STOP_TIMEOUT_S 10
#define KILL_TIMEOUT_MS 10000

/* Holds the container (shared) around a change and answers with what became of it. */
static int change(struct request *r, int (*step)(struct request *, struct core *, const char *, struct err *), struct err *e)
{
	struct agent *a = r->agent;
	const char *name = r->params[0];
	auto_pb(Davit__Container) *known = db_container_get(a->db, name, NULL, e);
	int result = -1;

	if (!known || hold_share(&a->holds, name, e) < 0)
		return -1;
	{
		auto_api_core struct api_core c = { 0 };

		if (api_core_open(r, &c, e) == 0)
			result = step(r, &c.core, name, e);
	}
	hold_drop(&a->holds, name);
	return result < 0 ? -1 : api_answer_container(r, name, e);
}

static int do_start(struct request *r, struct core *c, const char *name, struct err *e)
{
	(void)r;
	return core_start(c, name, e);
}

static int do_pause(struct request *r, struct core *c, const char *name, struct err *e)
{
	(void)r;
	return core_pause(c, name, false, e);
}

static int do_resume(struct request *r, struct core *c, const char *name, struct err *e)
{
	(void)r;
	return core_resume(c, name, e);
}

static int send_signal(struct core *c, const char *name, const char *signal, bool all, struct err *e)
{
	Davit__CoreKill kill = DAVIT__CORE_KILL__INIT;
	Davit__CoreRequest q = DAVIT__CORE_REQUEST__INIT;
	auto_pb(Davit__CoreReply) *reply = NULL;

	kill.name = (char *)(uintptr_t)name;
	kill.signal = (char *)(uintptr_t)signal;
	kill.has_all = all;
	kill.all = all;
	q.op_case = DAVIT__CORE_REQUEST__OP_KILL;
	q.kill = &kill;
	reply = core_call(c, &q, CORE_TIMEOUT_MS, NULL, e);
	return reply ? 0 : -1;
}

static int do_kill(struct request *r, struct core *c, const char *name, struct err *e)
{
	const Davit__SignalRequest *m = r->message;

	return send_signal(c, name, m->signal ? m->signal : "SIGKILL", m->has_all && m->all, e);
}

int container_start(struct request *r, struct err *e)
{
	return change(r, do_start, e);
}

int container_pause(struct request *r, struct err *e)
{
	return change(r, do_pause, e);
}

int container_resume(struct request *r, struct err *e)
{
	return change(r, do_resume, e);
}

int container_kill(struct request *r, struct err *e)
{
	return change(r, do_kill, e);
}

/* The core's answer has all limits, the old ones as well. */
static int do_update(struct request *r, struct core *c, const char *name, struct err *e)
{
	Davit__CoreUpdate update = DAVIT__CORE_UPDATE__INIT;
	Davit__CoreRequest q = DAVIT__CORE_REQUEST__INIT;

	update.name = (char *)(uintptr_t)name;
	update.limits = r->message;
	q.op_case = DAVIT__CORE_REQUEST__OP_UPDATE;
	q.update = &update;
	auto_pb(Davit__CoreReply) *reply = core_call(c, &q, CORE_TIMEOUT_MS, NULL, e);
	auto_pb(Davit__Container) *known = reply ? db_container_get(r->agent->db, name, NULL, e) : NULL;
	if (!known)
		return -1;
	if (reply->result_case != DAVIT__CORE_REPLY__RESULT_STATUS || !reply->status->spec)
		return err_set(e, ERR_PROTOCOL, 0, "the runtime core told no spec of container %s", name);
	pb_freep(&known->spec->limits);
	known->spec->limits = steal_ptr(&reply->status->spec->limits);
	return db_container_update(r->agent->db, known, e);
}

/* One at a time, so that the database has what the core has. */
int container_update(struct request *r, struct err *e)
{
	const char *name = r->params[0];
	int result = -1;

	if (hold_take(&r->agent->holds, name, "updating", e) < 0)
		return -1;
	{
		auto_api_core struct api_core c = { 0 };

		if (api_core_open(r, &c, e) == 0)
			result = do_update(r, &c.core, name, e);
	}
	hold_drop(&r->agent->holds, name);
	return result < 0 ? -1 : api_answer_container(r, name, e);
}

/* The signal alone is a change; the wait for its effect holds nobody up. */
static int signal_shared(struct request *r, const char *name, const char *signal, struct err *e)
{
	auto_api_core struct api_core c = { 0 };
	int result = -1;

	if (hold_share(&r->agent->holds, name, e) < 0)
		return -1;
	if (api_core_open(r, &c, e) == 0)
		result = send_signal(&c.core, name, signal, false, e);
	hold_drop(&r->agent->holds, name);
	return result;
}

int container_stop(struct request *r, struct err *e)
{
	const Davit__StopRequest *m = r->message;
	const char *name = r->params[0];
	auto_pb(Davit__Container) *known = db_container_get(r->agent->db, name, NULL, e);
	auto_pb(Davit__ContainerStatus) *stopped = NULL;
	uint32_t seconds;
	int done;

	if (!known)
		return -1;
	stopped = core_get(&r->agent->core, name, e);
	if (!stopped)
		return -1;
	if (str_eq(stopped->state, "stopped"))
		return api_answer_container(r, name, e);
	pb_freep(&stopped);
	seconds = m->has_timeout_s ? m->timeout_s : known->spec && known->spec->has_stop_timeout_s ? known->spec->stop_timeout_s : STOP_TIMEOUT_S;
	if (seconds > 3600)
		return err_field(e, "timeoutS", "0 to 3600 seconds");
	if (signal_shared(r, name, known->spec && known->spec->stop_signal ? known->spec->stop_signal : "SIGTERM", e) < 0)
		return -1;
	done = api_wait_stopped(r, name, (int)seconds * 1000, &stopped, e);
	if (done == 0) {
		if (signal_shared(r, name, "SIGKILL", e) < 0)
			return -1;
		done = api_wait_stopped(r, name, KILL_TIMEOUT_MS, &stopped, e);
	}
	if (done <= 0)
		return done < 0 ? -1 : err_set(e, ERR_TIMEOUT, 0, "container %s does not end, even by SIGKILL", name);
	return api_answer_container(r, name, e);
}

int container_wait(struct request *r, struct err *e)
{
	auto_pb(Davit__Container) *known = db_container_get(r->agent->db, r->params[0], NULL, e);
	auto_pb(Davit__ContainerStatus) *stopped = NULL;
	auto_pb(Davit__WaitAnswer) *answer = NULL;
	uint64_t seconds;
	int done;

	if (!known || api_query_seconds(r, "timeout", 86400, 3600, &seconds, e) < 0)
		return -1;
	done = api_wait_stopped(r, r->params[0], (int)seconds * 1000, &stopped, e);
	answer = done < 0 ? NULL : pb_new(&davit__wait_answer__descriptor, e);
	if (!answer || pb_set_str(&answer->state, done ? "stopped" : "running", e) < 0)
		return -1;
	if (stopped) {
		answer->has_exit_code = stopped->has_exit_code;
		answer->exit_code = stopped->exit_code;
		answer->has_exit_signal = stopped->has_exit_signal;
		answer->exit_signal = stopped->exit_signal;
	}
	r->answer = steal_ptr(&answer);
	return 0;
}
