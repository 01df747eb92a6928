/* What criu wrote before it gave up. */
#pragma once
#include "base/str.h"
#include "core.pb-c.h"

/* The last part (64 KiB) of a log. Owned; NULL (ERR_NOT_FOUND, …). */
char *criu_log_tail(int dirfd, const char *name, size_t *n, struct err *e);
/* The text of the first and of the last error line, which mostly are the cause and its consequence, into out: "first; last". "" if there is none. */
void criu_log_errors(const char *log, char *out, size_t cap);
/* Sets e from a log: ERR_OBSTACLE if a cause of the table is found (added to obstacles, which may be NULL), else ERR_CRIU with the error lines.
 * `what`: "dump" … Returns -1. */
int criu_log_explain(const char *what, const char *log, size_t n, Davit__ObstacleList *obstacles, struct err *e);
