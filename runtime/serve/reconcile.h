/* What an earlier core left: found on disk, put right. */
#pragma once
#include "base/err.h"
#include "runtime/serve/serve.h"

/* Half-made containers are removed, stopped ones put away, held networks of running ones released, strays removed. What a child of an earlier core
 * still holds the lock of is left to it. Logs what it does; fails only if the folders cannot be read. */
int reconcile(const struct core *c, struct err *e);
