/* Announcements of a container that is held. */
#pragma once
#include "base/err.h"
#include "state.pb-c.h"

/* As net_announce() for one attachment, from the place of its keeper (runtime/net/hold.h). Without a known MAC nothing is sent. 0 or -1. */
int announce_held(const Davit__NetworkAttachment *a, const char *host_end, struct err *e);
