/* Routes: one table says all there is to know of each request: method, path, who may, what goes in and comes out, who handles it.
 *
 * A path pattern has fixed parts and "{name}" parts; a name is 1-64 of [a-zA-Z0-9._-] (str_check_name), checked here once for all handlers. The
 * OpenAPI description (http/openapi.c) is printed from the same table. */
#pragma once
#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include "base/err.h"

struct request;

/* Roles are bits; a route needs one of its bits. An operator may do all that a reader may. */
enum role { ROLE_READER = 1, ROLE_OPERATOR = 2, ROLE_PEER = 4 };

#define ROUTE_PARAMS 2
#define ROUTE_PARAM_MAX 64

/* A body that is taken piece by piece instead of parsed. */
struct upload {
	int (*begin)(struct request *r, struct err *e);
	int (*feed)(struct request *r, const void *p, size_t n, struct err *e);
	/* Frees what begin made; also called when the connection broke. */
	void (*end)(struct request *r);
};

enum route_flags {
	ROUTE_IDEMPOTENT_KEY = 1, /* Idempotency-Key is honoured */
	ROUTE_LONG = 2,		  /* may be silent for long: no limit of idle time */
};

struct route {
	const char *method, *path;
	unsigned roles;
	const ProtobufCMessageDescriptor *in, *out; /* NULL: no body */
	int status;				    /* of success */
	int (*handle)(struct request *r, struct err *e);
	const char *query;	     /* "force,since": names of query parameters; NULL: none */
	const char *media;	     /* type of a streamed answer, or NULL */
	const struct upload *upload; /* or NULL */
	unsigned flags;
	const char *name, *summary; /* for the API description */
	/* With ROUTE_IDEMPOTENT_KEY: handles a repeat whose first was interrupted by davitd's end. */
	int (*again)(struct request *r, struct err *e);
};

/* The route for a request and the values of its path's parameters. NULL: ERR_NOT_FOUND, or ERR_UNSUPPORTED (the path exists with other methods), or
 * ERR_INVALID for a malformed name. */
const struct route *route_find(const struct route *table, size_t n, const char *method, const char *path,
			       char params[ROUTE_PARAMS][ROUTE_PARAM_MAX + 1], struct err *e);
/* Whether `name` is among the route's query parameters. */
bool route_has_query(const struct route *r, const char *name);
