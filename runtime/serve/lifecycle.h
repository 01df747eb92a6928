/* A container's life after it was made: shared steps of create, start and restore. Call with the container's lock held. */
#pragma once
#include "base/err.h"
#include "runtime/serve/launch.h"
#include "runtime/serve/place.h"

/* Starts the monitor with `davit-runtime create`. 0 or -1. */
int lifecycle_launch(const struct core *c, const Davit__ContainerSpec *s, const struct place *p, Davit__Error **rich, struct err *e);
/* The common part of a launch of the container's own monitor. */
struct launch lifecycle_monitor(const Davit__ContainerSpec *s, const struct place *p, const struct strv *command);
/* Sets the record's phase (NULL: none) and marks the container as whole. */
int lifecycle_whole(const struct place *p, const char *phase, struct err *e);
/* Waits until the monitor of a container that ended has ended too, so that its files are no longer written. */
void lifecycle_wait_monitor(const struct place *p, int timeout_ms);
/* Puts away what a stopped container does not need. Takes the lock itself; a container that is busy or does live is left alone. */
int lifecycle_put_away_locked(const struct core *c, const char *name, struct err *e);
