/* What the commands that move containers share. */
#pragma once
#include "agent/cli/cli.h"
#include "api.pb-c.h"

/* Tells a person how a move, or a check of one, succeeded. */
void migrate_tell(const Davit__Operation *op, const char *name, const char *target, bool check);
