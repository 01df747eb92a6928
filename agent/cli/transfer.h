/* One HTTP exchange with an agent, by one of two ways: over its unix socket by ourselves (transfer_local.c), over HTTPS by libcurl
 * (transfer_https.c), which is loaded only then. libcurl brings thirty libraries, and loading them was most of the time that a short command on the
 * own host took. */
#pragma once
#include "agent/cli/client.h"

#define TRANSFER_MEDIA "application/x-protobuf"

struct transfer {
	/* What goes out. */
	const char *method, *path;
	const struct buf *in; /* a message, or NULL */
	client_give give;     /* or a streamed body of `size` bytes, -1: until it ends */
	int64_t size;
	/* The answer. */
	long status;	  /* 0: none came */
	client_take take; /* pieces of a good one; NULL: into body, as that of a bad one always is */
	struct buf body;
	void *arg;     /* of give and take */
	struct err *e; /* of the whole transfer */
	bool is_told;  /* e is set already */
};

/* For the two ways: a piece of the answer's body, once its status is known. -1: break off, e is set. */
int transfer_take(struct transfer *t, const char *p, size_t n);

/* 0: an answer of any status came, and is whole. -1: t->e tells. */
int transfer_local(const char *socket, struct transfer *t);

/* A connection that is used again and again. base: "https://host:port". */
struct https;
struct https *https_open(const char *base, const char *cert, const char *key, const char *cacert, struct err *e);
void https_close(struct https *h); /* NULL is fine */
int transfer_https(struct https *h, struct transfer *t);

/* Nobody takes a connection there. */
int transfer_no_agent(const char *where, const char *remedy, struct err *e);
