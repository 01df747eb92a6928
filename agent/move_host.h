/* The agent's side of struct target_host. */
#pragma once
#include "agent/agent.h"
#include "migrate/target.h"

/* peer: the name in the sender's certificate, borrowed until target_new() copied it. */
struct target_host move_host(struct agent *a, const char *peer);
/* Whether the container of an incoming move is this host's: from the thaw on, also while its memory follows. */
bool move_host_runs(const Davit__MoveRecord *r);
