/* At start: the database and the core are made to agree on which containers there are. */
#pragma once
#include "agent/agent.h"

/* Waits for the core to answer, makes the networks, adopts containers that only the core knows, forgets those that only the database knows.
 * 0 or -1: the core does not answer or the database fails. */
int reconcile(struct agent *a, struct err *e);
