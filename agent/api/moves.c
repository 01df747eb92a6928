/* What a peer asks: the two long streams of a move, and between them how it stands. Role peer only.
 *
 * Both streams are of one struct target (migrate/target.h), fed from the upload's thread and pulled from the download's. */
#include "agent/api/api.h"
#include "agent/move.h"
#include "migrate/recover.h"
#include "migrate/target.h"

#define PULL_MS 1000

static int begin_up(struct request *r, struct err *e)
{
	r->upload = move_open(r->agent, r->params[0], r->caller.name, MOVE_UP, e);
	return r->upload ? 0 : -1;
}

static int feed_up(struct request *r, const void *p, size_t n, struct err *e)
{
	return target_feed(move_target(r->upload), p, n, e);
}

static void end_up(struct request *r)
{
	move_close(r->agent, r->upload, MOVE_UP);
	r->upload = NULL;
}

const struct upload move_up_upload = { begin_up, feed_up, end_up };

/* The upload is over: what it brought is answered on the other stream. */
int move_up(struct request *r, struct err *e)
{
	(void)r, (void)e;
	return 0;
}

struct down {
	struct agent *agent;
	struct MHD_Connection *connection;
	struct move *move;
};

static ssize_t read_down(void *arg, uint64_t pos, char *out, size_t max)
{
	const struct down *d = arg;
	struct err e = { 0 };
	ssize_t n;

	(void)pos;
	while ((n = target_pull(move_target(d->move), out, max, PULL_MS, &e)) < 0) {
		if (e.code != ERR_TIMEOUT)
			return MHD_CONTENT_READER_END_WITH_ERROR;
		if (d->agent->stopping || request_is_gone(d->connection))
			return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	return n == 0 ? MHD_CONTENT_READER_END_OF_STREAM : n;
}

static void free_down(void *arg)
{
	struct down *d = arg;

	move_close(d->agent, d->move, MOVE_DOWN);
	free(d);
}

int move_down(struct request *r, struct err *e)
{
	struct down *d = mem_new(1, sizeof(*d), e);

	if (!d)
		return -1;
	d->agent = r->agent;
	d->connection = r->connection;
	d->move = move_open(r->agent, r->params[0], r->caller.name, MOVE_DOWN, e);
	if (!d->move) {
		free(d);
		return -1;
	}
	return api_stream(r, 64 << 10, read_down, d, free_down, e);
}

int move_verdict(struct request *r, struct err *e)
{
	enum handover_verdict v = recover_verdict(r->agent->moves_dir, r->params[0], r->caller.name, e);
	auto_pb(Davit__MoveVerdict) *answer = e->code ? NULL : pb_new(&davit__move_verdict__descriptor, e);

	if (!answer || pb_set_str(&answer->verdict, handover_verdict_name(v), e) < 0)
		return -1;
	r->answer = steal_ptr(&answer);
	return 0;
}

int move_state(struct request *r, struct err *e)
{
	enum handover_answer s = target_state(r->agent->moves_dir, r->params[0], r->caller.name, e);
	auto_pb(Davit__MoveState) *answer = e->code ? NULL : pb_new(&davit__move_state__descriptor, e);

	if (!answer || pb_set_str(&answer->state, handover_answer_name(s), e) < 0)
		return -1;
	r->answer = steal_ptr(&answer);
	return 0;
}
