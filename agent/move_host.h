/* The agent's side of struct target_host. */
#pragma once
#include "agent/agent.h"
#include "migrate/target.h"

/* peer: the name in the sender's certificate, borrowed until target_new() copied it. */
struct target_host move_host(struct agent *a, const char *peer);
