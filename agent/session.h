/* Sessions of exec and attach: a monitor's attach socket, held between the request that opened it and the two that stream its output and input.
 *
 * A session that nobody listens to within SESSION_IDLE_MS is closed (the monitor of an exec then ends its process's stdin; the process itself goes
 * on, as after any lost terminal). */
#pragma once
#include <stdint.h>
#include "base/err.h"

#define SESSION_MAX 64
#define SESSION_IDLE_MS 60000

struct session_table;
struct session {
	char id[33];
	char container[65];
	int fd; /* the attach socket */
	int refs;
	bool listened;	/* somebody reads its output */
	int64_t opened; /* CLOCK_MONOTONIC */
};

struct session_table *session_table_new(struct err *e);
/* Closes the sockets of all, which ends their streams. */
void session_table_stop(struct session_table *t);
/* Takes over fd, also on failure. id: out[33]. 0 or -1 (ERR_LIMIT). */
int session_add(struct session_table *t, const char *container, int fd, char id[33], struct err *e);
/* A reference; listen: as the one reader of its output (ERR_BUSY if there is one). NULL: ERR_NOT_FOUND. */
struct session *session_get(struct session_table *t, const char *id, bool listen, struct err *e);
void session_put(struct session_table *t, struct session *s);
/* Removes it from the table: no further request finds it. */
void session_end(struct session_table *t, struct session *s);
