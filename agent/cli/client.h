/* Requests to an agent, over its unix socket or HTTPS with a client certificate (libcurl). Messages travel as protobuf. */
#pragma once
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include "base/err.h"
#include "proto/pb.h"

#define CLIENT_SOCKET "/run/davit/davit.sock"

struct client;
/* host: "unix:///path", "/path" or "https://host:port"; NULL: $DAVIT_HOST or the default socket. The others: NULL: from the environment. */
struct client *client_open(const char *host, const char *cert, const char *key, const char *cacert, struct err *e);
void client_close(struct client *c); /* NULL is fine */

/* One request. in: body or NULL. d and out: the answer's type and where it goes (owned), or NULL. key: Idempotency-Key or NULL. 0 or -1: the
 * agent's problem as an error. */
int client_call(struct client *c, const char *method, const char *path, const ProtobufCMessage *in, const ProtobufCMessageDescriptor *d, void *out,
		struct err *e);
/* A streamed answer: take() gets its pieces; non-zero ends it. 0, or -1: the agent's problem, or what take set. */
typedef int (*client_take)(void *arg, const char *p, size_t n, struct err *e);
int client_stream(struct client *c, const char *path, client_take take, void *arg, struct err *e);
/* A streamed body: give() fills buf, may block, returns bytes, 0 at the end, -1 to break off. size: of all, or -1. d, out: as above. */
typedef ssize_t (*client_give)(void *arg, char *buf, size_t cap);
int client_upload(struct client *c, const char *method, const char *path, client_give give, void *arg, int64_t size,
		  const ProtobufCMessageDescriptor *d, void *out, struct err *e);
/* Another client to the same agent, for a second thread. */
struct client *client_clone(const struct client *c, struct err *e);
/* The obstacles and reasons of an error (NULL is fine), and those of the last problem; a line each. */
void client_print_error(const Davit__Error *error, FILE *to);
void client_print_details(const struct client *c, FILE *to);
/* Makes an operation's error the one whose obstacles and reasons are printed. Takes *error over. */
void client_set_details(struct client *c, Davit__Error **error);
