/* One request on its way through the agent.
 *
 * The server (http/server.c) fills it, finds the route, takes the body, calls the handler in the connection's own thread and sends what the
 * handler left: an answer message, a streamed response, or an error as a problem. Handlers know nothing of JSON, protobuf or libmicrohttpd
 * beyond the streamed responses. */
#pragma once
#include <microhttpd.h>
#include "agent/http/auth.h"
#include "agent/http/route.h"
#include "proto/pb.h"

struct agent;

struct request {
	struct agent *agent; /* borrowed */
	struct MHD_Connection *connection;
	const char *method;
	char *url;
	struct caller caller;
	const struct route *route;
	char params[ROUTE_PARAMS][ROUTE_PARAM_MAX + 1];
	struct buf body;
	char unique[33];  /* 32 hex digits that belong to its Idempotency-Key; empty without one */
	void *message;	  /* owned: the parsed body, of the route's type; set if the route has one */
	void *upload;	  /* of the route's upload functions */
	bool upload_open; /* begin succeeded */

	/* left by the handler */
	int status;		       /* 0: the route's */
	void *answer;		       /* owned message of the route's type, or NULL */
	struct MHD_Response *response; /* owned: streamed instead of an answer */
	Davit__Error *details;	       /* owned: obstacles and reasons to an error */

	struct err error; /* what went wrong before the handler; kept until the body was read */
	bool failed;
	uint64_t swallowed;
};

struct request *request_new(struct agent *a, struct MHD_Connection *c, const char *method, const char *url, struct err *e);
void request_free(struct request *r);
/* Checks that each query parameter is one of the route's. 0 or -1. */
int request_check_query(struct request *r, struct err *e);
/* A query parameter's value, or NULL. Borrowed. */
const char *request_query(const struct request *r, const char *name);
/* "true"/"1"/"" are true, "false"/"0" and absence false. 0 or -1. */
int request_query_bool(const struct request *r, const char *name, bool *out, struct err *e);
const char *request_header(const struct request *r, const char *name);
/* Parses the body into r->message as the route says. 0 or -1. */
int request_parse(struct request *r, struct err *e);
/* Encodes a message as the client accepts it and makes a response of it. NULL on error. */
struct MHD_Response *request_encode(const struct request *r, const ProtobufCMessage *m, bool problem, struct err *e);
/* True if the client closed its side: a stream that has nothing to say looks at this. */
bool request_is_gone(struct MHD_Connection *c);
