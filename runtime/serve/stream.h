/* The ways that a dump's and a restore's bytes take between the core and the agent. */
#pragma once
#include <stdbool.h>
#include "base/err.h"

/* A pipe, p[0] to read and p[1] to write, or with `both_ways` a socket pair. Wide: every wake-up of the other side moves a megabyte rather than the
 * 64 or 200 KiB that the kernel starts with, which is what a full stream's speed hangs on. 0 or -1. */
int stream_open(bool both_ways, int p[2], struct err *e);
