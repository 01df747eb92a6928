/* The HTTP server: libmicrohttpd with a thread for each connection, one daemon on the unix socket and one with mutual TLS.
 *
 * Limits: SERVER_CONNECTIONS connections each (over TCP SERVER_CONNECTIONS_PER_ADDRESS of one address), SERVER_HEAD_SECONDS
 * of silence before a request's head is whole and SERVER_IDLE_SECONDS after, SERVER_HEADERS_MAX bytes of headers, the configured size of a body. A
 * peer without a valid client certificate fails in the TLS handshake and gets no HTTP at all. */
#pragma once
#include "base/err.h"

struct agent;
struct server;

#define SERVER_CONNECTIONS 128
#define SERVER_CONNECTIONS_PER_ADDRESS 64
#define SERVER_HEAD_SECONDS 10
#define SERVER_IDLE_SECONDS 60
#define SERVER_HEADERS_MAX (32 << 10)

/* Listening sockets already made: unix_fd, tcp_fd (-1: none). Takes both over. NULL on error. */
struct server *server_start(struct agent *a, int unix_fd, int tcp_fd, struct err *e);
/* Takes no new connections; the open ones end as their handlers see that the agent stops. Waits up to wait_ms for them. */
void server_stop(struct server *s, int wait_ms);
