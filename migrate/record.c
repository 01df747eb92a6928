/* Records of moves. See record.h. */
#include "migrate/record.h"
#include "base/clock.h"
#include "proto/pb.h"

static int64_t since_us(const struct record *r)
{
	return (clock_now_ns(CLOCK_BOOTTIME) - r->started) / NSEC_PER_USEC;
}

int record_init(struct record *r, const char *id, const char *container, const char *role, const char *peer, struct err *e)
{
	char now[32];
	r->started = clock_now_ns(CLOCK_BOOTTIME);
	r->m = pb_new(&davit__move_record__descriptor, e);
	if (!r->m || pb_set_str(&r->m->id, id, e) < 0 || pb_set_str(&r->m->container, container, e) < 0 || pb_set_str(&r->m->role, role, e) < 0 ||
	    pb_set_str(&r->m->mode, "stop-and-copy", e) < 0 || pb_set_str(&r->m->started_at, clock_rfc3339(clock_now_ns(CLOCK_REALTIME), now), e) < 0)
		return -1;
	return peer ? pb_set_str(&r->m->peer, peer, e) : 0;
}

void record_free(struct record *r)
{
	pb_freep(&r->m);
}

int record_state(struct record *r, const char *state, struct err *e)
{
	return pb_set_str(&r->m->state, state, e);
}

static Davit__MovePhase *find(const struct record *r, const char *name)
{
	for (size_t i = 0; i < r->m->n_phases; i++)
		if (str_eq(r->m->phases[i]->name, name))
			return r->m->phases[i];
	return NULL;
}

void record_phase(struct record *r, const char *name)
{
	if (find(r, name))
		return;
	auto_pb(Davit__MovePhase) *p = pb_new(&davit__move_phase__descriptor, NULL);
	if (!p || pb_set_str(&p->name, name, NULL) < 0)
		return;
	p->start_us = since_us(r);
	pb_push(&r->m->n_phases, &r->m->phases, steal_ptr(&p), NULL);
}

void record_phase_end(struct record *r, const char *name, uint64_t bytes)
{
	Davit__MovePhase *p = find(r, name);
	if (!p || p->has_duration_us)
		return;
	p->has_duration_us = 1;
	p->duration_us = since_us(r) - p->start_us;
	p->has_bytes = bytes > 0;
	p->bytes = bytes;
}

int64_t record_phase_us(const struct record *r, const char *name)
{
	const Davit__MovePhase *p = find(r, name);
	return p ? p->duration_us : 0;
}

void record_finish(struct record *r, const struct err *error, const Davit__Error *detail)
{
	char now[32];
	/* While it ran, frozen, and after the thaw: bytes travel in each. */
	int64_t transfer = record_phase_us(r, "copy") + record_phase_us(r, "transfer") + record_phase_us(r, "follow");
	pb_set_str(&r->m->finished_at, clock_rfc3339(clock_now_ns(CLOCK_REALTIME), now), NULL);
	r->m->has_total_us = 1;
	r->m->total_us = since_us(r);
	if (transfer > 0 && r->m->has_bytes) {
		r->m->has_rate = 1;
		r->m->rate = (uint64_t)((double)r->m->bytes * 1e6 / (double)transfer);
	}
	pb_freep(&r->m->error);
	if (error && error->code)
		r->m->error = detail ? pb_dup(&detail->base, NULL) : pb_error(error);
}
