/* HTTPS to a peer's agent, for one move: mutual TLS, the peer verified by the given CA and its host name, HTTP/1.1. */
#pragma once
#include "base/str.h"
#include "stream.pb-c.h"

struct source;

/* Carries a move's two streams until the source has finished and both are over. cancel_fd: readable cancels the move (a signalfd, read here).
 * Failures of the connection are told to the source, whose result is the move's. -1: it could not even be set up. */
int http_move(const Davit__MoverJob *job, struct source *s, int cancel_fd, struct err *e);
/* GET job->url/v1/peer/moves/{job->move_id}/{what} as protobuf into *body. An answer other than 200 is an error. */
int http_ask(const Davit__MoverJob *job, const char *what, struct buf *body, struct err *e);
