/* The core's events (a container started, exited, was killed for lack of memory, …), told on as the API's. */
#pragma once
#include "agent/agent.h"

/* Starts the thread that listens, on a socket of its own. 0 or -1. */
int subscriber_start(struct agent *a, struct err *e);
