/* The core's requests that need a name and answer at most one thing. */
#include "migrate/core.h"

/* The op's member in the union is set through `name`: all CoreName members share its place. */
static Davit__CoreReply *call_with(struct core *c, Davit__CoreRequest__OpCase op, const char *name, struct core_fds *fds, uint64_t *id, struct err *e)
{
	Davit__CoreName n = DAVIT__CORE_NAME__INIT;
	Davit__CoreRequest r = DAVIT__CORE_REQUEST__INIT;

	n.name = (char *)name;
	r.op_case = op;
	r.get = &n;
	Davit__CoreReply *reply = core_call(c, &r, CORE_TIMEOUT_MS, fds, e);
	*id = r.id;
	return reply;
}

static Davit__CoreReply *call_name(struct core *c, Davit__CoreRequest__OpCase op, const char *name, struct err *e)
{
	uint64_t id;
	return call_with(c, op, name, NULL, &id, e);
}

int core_open(struct core *c, Davit__CoreRequest__OpCase op, const char *name, size_t want, struct core_fds *fds, uint64_t *id, struct err *e)
{
	auto_pb(Davit__CoreReply) *reply = call_with(c, op, name, fds, id, e);
	if (!reply)
		return -1;
	if (fds->n != want)
		return err_set(e, ERR_PROTOCOL, 0, "the runtime core answered with %zu descriptors where %zu were asked", fds->n, want);
	return 0;
}

static int done(Davit__CoreReply *reply)
{
	if (!reply)
		return -1;
	pb_freep(&reply);
	return 0;
}

static int do_name(struct core *c, Davit__CoreRequest__OpCase op, const char *name, struct err *e)
{
	return done(call_name(c, op, name, e));
}

int core_start(struct core *c, const char *name, struct err *e)
{
	return do_name(c, DAVIT__CORE_REQUEST__OP_START, name, e);
}

int core_resume(struct core *c, const char *name, struct err *e)
{
	return do_name(c, DAVIT__CORE_REQUEST__OP_RESUME, name, e);
}

int core_announce(struct core *c, const char *name, struct err *e)
{
	return do_name(c, DAVIT__CORE_REQUEST__OP_ANNOUNCE, name, e);
}

int core_restore_drop(struct core *c, const char *name, struct err *e)
{
	return do_name(c, DAVIT__CORE_REQUEST__OP_RESTORE_DROP, name, e);
}

int core_pause(struct core *c, const char *name, bool hold_network, struct err *e)
{
	Davit__CorePause p = DAVIT__CORE_PAUSE__INIT;
	Davit__CoreRequest r = DAVIT__CORE_REQUEST__INIT;

	p.name = (char *)name;
	p.has_hold_network = 1;
	p.hold_network = hold_network;
	r.op_case = DAVIT__CORE_REQUEST__OP_PAUSE;
	r.pause = &p;
	return done(core_call(c, &r, CORE_TIMEOUT_MS, NULL, e));
}

int core_kill(struct core *c, const char *name, const char *signal, bool all, struct err *e)
{
	Davit__CoreKill k = DAVIT__CORE_KILL__INIT;
	Davit__CoreRequest r = DAVIT__CORE_REQUEST__INIT;

	k.name = (char *)name;
	k.signal = (char *)signal;
	k.has_all = 1;
	k.all = all;
	r.op_case = DAVIT__CORE_REQUEST__OP_KILL;
	r.kill = &k;
	return done(core_call(c, &r, CORE_TIMEOUT_MS, NULL, e));
}

int core_delete(struct core *c, const char *name, bool force, struct err *e)
{
	Davit__CoreDelete d = DAVIT__CORE_DELETE__INIT;
	Davit__CoreRequest r = DAVIT__CORE_REQUEST__INIT;

	d.name = (char *)name;
	d.has_force = 1;
	d.force = force;
	r.op_case = DAVIT__CORE_REQUEST__OP_DELETE;
	r.delete_ = &d;
	return done(core_call(c, &r, CORE_TIMEOUT_MS, NULL, e));
}

/* Takes the one result out of a reply, which must be of kind `want`. */
static void *take(Davit__CoreReply *reply, Davit__CoreReply__ResultCase want, struct err *e)
{
	if (!reply)
		return NULL;
	void *result = NULL;
	if (reply->result_case == want) {
		result = reply->facts; /* all members share this place */
		reply->facts = NULL;
		reply->result_case = DAVIT__CORE_REPLY__RESULT__NOT_SET;
	} else {
		err_set(e, ERR_PROTOCOL, 0, "the runtime core answered with result %d where %d was asked", (int)reply->result_case, (int)want);
	}
	pb_freep(&reply);
	return result;
}

Davit__ContainerStatus *core_get(struct core *c, const char *name, struct err *e)
{
	return take(call_name(c, DAVIT__CORE_REQUEST__OP_GET, name, e), DAVIT__CORE_REPLY__RESULT_STATUS, e);
}

Davit__ContainerStats *core_stats(struct core *c, const char *name, struct err *e)
{
	return take(call_name(c, DAVIT__CORE_REQUEST__OP_STATS, name, e), DAVIT__CORE_REPLY__RESULT_STATS, e);
}

Davit__MemoryStatus *core_memory_status(struct core *c, const char *name, struct err *e)
{
	return take(call_name(c, DAVIT__CORE_REQUEST__OP_MEMORY_WAIT, name, e), DAVIT__CORE_REPLY__RESULT_MEMORY, e);
}

Davit__ClockSample *core_clock(struct core *c, const char *name, struct err *e)
{
	return take(call_name(c, DAVIT__CORE_REQUEST__OP_CLOCK, name, e), DAVIT__CORE_REPLY__RESULT_CLOCK, e);
}

Davit__ObstacleList *core_check(struct core *c, const char *name, struct err *e)
{
	return take(call_name(c, DAVIT__CORE_REQUEST__OP_CHECK, name, e), DAVIT__CORE_REPLY__RESULT_OBSTACLES, e);
}

Davit__HostFacts *core_facts(struct core *c, struct err *e)
{
	Davit__CoreFacts f = DAVIT__CORE_FACTS__INIT;
	Davit__CoreRequest r = DAVIT__CORE_REQUEST__INIT;

	r.op_case = DAVIT__CORE_REQUEST__OP_FACTS;
	r.facts = &f;
	return take(core_call(c, &r, CORE_TIMEOUT_MS, NULL, e), DAVIT__CORE_REPLY__RESULT_FACTS, e);
}

int core_check_cpu(struct core *c, const ProtobufCBinaryData *cpuinfo, struct err *e)
{
	Davit__CoreFacts f = DAVIT__CORE_FACTS__INIT;
	Davit__CoreRequest r = DAVIT__CORE_REQUEST__INIT;

	f.has_cpuinfo = 1;
	f.cpuinfo = *cpuinfo;
	r.op_case = DAVIT__CORE_REQUEST__OP_FACTS;
	r.facts = &f;
	return done(core_call(c, &r, CORE_TIMEOUT_MS, NULL, e));
}

Davit__CoreVetted *core_vet(struct core *c, Davit__ContainerSpec *spec, struct err *e)
{
	Davit__CoreVet v = DAVIT__CORE_VET__INIT;
	Davit__CoreRequest r = DAVIT__CORE_REQUEST__INIT;

	v.spec = spec;
	r.op_case = DAVIT__CORE_REQUEST__OP_VET;
	r.vet = &v;
	return take(core_call(c, &r, CORE_TIMEOUT_MS, NULL, e), DAVIT__CORE_REPLY__RESULT_VETTED, e);
}

Davit__ContainerStatusList *core_list(struct core *c, struct err *e)
{
	Davit__CoreList l = DAVIT__CORE_LIST__INIT;
	Davit__CoreRequest r = DAVIT__CORE_REQUEST__INIT;

	r.op_case = DAVIT__CORE_REQUEST__OP_LIST;
	r.list = &l;
	return take(core_call(c, &r, CORE_TIMEOUT_MS, NULL, e), DAVIT__CORE_REPLY__RESULT_LIST, e);
}

int core_let_run(struct core *c, const char *name, struct err *e)
{
	struct err why = { 0 };
	if (core_resume(c, name, &why) == 0)
		return 1;
	auto_pb(Davit__ContainerStatus) *s = why.code == ERR_STATE ? core_get(c, name, &why) : NULL;
	if (s && str_eq(s->state, "running"))
		return 1;
	if (why.code == ERR_NOT_FOUND || (s && str_eq(s->state, "stopped")))
		return 0;
	if (e)
		*e = why;
	return -1;
}
