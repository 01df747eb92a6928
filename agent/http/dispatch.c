/* The middle of the server. */
#include "agent/http/dispatch.h"
#include <string.h>
#include "agent/agent.h"
#include "agent/db/idempotency.h"
#include "agent/http/problem.h"
#include "agent/routes.h"
#include "base/log.h"

int dispatch_route(struct request *r, struct err *e)
{
	size_t n;
	const struct route *table = routes_table(&n);
	const struct route *found = route_find(table, n, r->method, r->url, r->params, e);

	if (!found) {
		if (e->code == ERR_UNSUPPORTED)
			r->status = MHD_HTTP_METHOD_NOT_ALLOWED;
		return -1;
	}
	if (!(found->roles & r->caller.roles)) {
		err_set(e, ERR_DENIED, 0, "%s may not %s %s", r->caller.name, r->method, found->path);
		return err_remedy(e, "it needs the role %s", found->roles & ROLE_PEER ? "peer" : found->roles & ROLE_READER ? "reader" : "operator");
	}
	r->route = found;
	return request_check_query(r, e);
}

static const ProtobufCMessageDescriptor *answer_type(const struct request *r, const char *name)
{
	return name && r->route->out && strcmp(r->route->out->name, name) == 0 ? r->route->out : NULL;
}

/* Answers a repeated request from the database. */
static int replay(struct request *r, struct idempotency_answer *a, struct err *e)
{
	const ProtobufCMessageDescriptor *d = answer_type(r, a->type);

	r->status = a->status;
	if (d)
		r->answer = pb_unpack(d, a->data, a->n, "stored answer", e);
	idempotency_answer_free(a);
	return d && !r->answer ? -1 : 0;
}

static int run_handler(struct request *r, bool again, struct err *e)
{
	if (!r->route->upload && request_parse(r, e) < 0)
		return -1;
	return again ? r->route->again(r, e) : r->route->handle(r, e);
}

static int run_once(struct request *r, const char *key, struct err *e)
{
	uint8_t hash[IDEMPOTENCY_HASH];
	struct idempotency_answer before;
	struct db *db = r->agent->db;
	enum idempotency claim;

	idempotency_hash(r->method, r->url, r->body.data, r->body.len, hash);
	claim = idempotency_begin(db, key, hash, r->unique, &before, e);
	if (claim == IDEMPOTENCY_REFUSED || claim == IDEMPOTENCY_ANSWERED)
		return claim == IDEMPOTENCY_REFUSED ? -1 : replay(r, &before, e);
	if (run_handler(r, claim == IDEMPOTENCY_AGAIN, e) < 0) {
		idempotency_drop(db, key);
		return -1;
	}
	return idempotency_keep(db, key, r->status ? r->status : r->route->status, r->answer, e);
}

static int run(struct request *r, struct err *e)
{
	const char *key = request_header(r, "Idempotency-Key");

	if (key && (r->route->flags & ROUTE_IDEMPOTENT_KEY))
		return run_once(r, key, e);
	return run_handler(r, false, e);
}

static enum MHD_Result send_problem(struct request *r)
{
	struct err e = { 0 };
	auto_pb(Davit__Problem) *p = problem_new(&r->error, r->details, r->status == MHD_HTTP_METHOD_NOT_ALLOWED ? r->status : 0);
	struct MHD_Response *response = p ? request_encode(r, &p->base, true, &e) : NULL;
	enum MHD_Result result;

	log_debug("%s %s by %s: %s", r->method, r->url, r->caller.name, r->error.msg);
	if (!response)
		return MHD_NO;
	result = MHD_queue_response(r->connection, p->status, response);
	MHD_destroy_response(response);
	return result;
}

enum MHD_Result dispatch_answer(struct request *r)
{
	enum MHD_Result result;
	unsigned status;

	if (!r->failed)
		r->failed = run(r, &r->error) < 0;
	if (!r->failed && !r->response) {
		r->response = r->answer ? request_encode(r, r->answer, false, &r->error)
					: MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
		r->failed = !r->response;
	}
	if (r->failed)
		return send_problem(r);
	status = (unsigned)(r->status ? r->status : r->route->status);
	if (r->route->media && !r->answer)
		MHD_add_response_header(r->response, MHD_HTTP_HEADER_CONTENT_TYPE, r->route->media);
	log_debug("%s %s by %s: %u", r->method, r->url, r->caller.name, status);
	result = MHD_queue_response(r->connection, status, r->response);
	MHD_destroy_response(r->response);
	r->response = NULL;
	return result;
}
