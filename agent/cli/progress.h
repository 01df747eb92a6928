/* Waiting for an operation: with a bar, rate and time left on a terminal, in silence otherwise. */
#pragma once
#include "agent/cli/cli.h"
#include "api.pb-c.h"

/* Starts an operation by a POST and waits for its end. SIGINT and SIGTERM cancel it (and then its end is waited for). Owned operation that
 * succeeded, or NULL: its error (details are printed below it). */
Davit__Operation *progress_run(struct cli *c, const char *path, const ProtobufCMessage *body, struct err *e);
/* The two halves of it, for operations that belong together: the first gives the operation as it was begun. */
Davit__Operation *progress_begin(struct cli *c, const char *path, const ProtobufCMessage *body, struct err *e);
Davit__Operation *progress_end(struct cli *c, const char *id, struct err *e);
/* Asks for its end. That it has just ended is no failure. */
int progress_cancel(struct cli *c, const char *id, struct err *e);
