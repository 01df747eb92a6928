/* From a request whose body is there to the answer that is sent: parsing, idempotency keys, the handler, encoding. */
#pragma once
#include "agent/http/request.h"

/* Finds the route and checks the caller's role and the query. 0 or -1. */
int dispatch_route(struct request *r, struct err *e);
/* Runs the handler unless r->failed, and queues the answer or the problem. */
enum MHD_Result dispatch_answer(struct request *r);
