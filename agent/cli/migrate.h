/* What the commands that move containers share. */
#pragma once
#include "agent/cli/cli.h"
#include "api.pb-c.h"

/* Tells a person how a move, or a check of one, succeeded. */
void migrate_tell(const Davit__Operation *op, const char *name, const char *target, bool check);
/* Moves (or checks) all words but the last, which is the host, as one group. body: what is asked for each. 0 or -1. */
int migrate_group(struct cli *c, const struct words *words, const Davit__MigrateRequest *body, struct err *e);
