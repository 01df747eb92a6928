/* A restore that is begun before its images are there.
 *
 * A container that arrives stands still from its last look at the source to its thaw here. Monitor, davit-runtime, state folder, cgroup and staged
 * mounts need nothing of its images, so they are made while it is still being dumped; davit-runtime then waits for a struct restore_go.
 *
 * The request that begins it has ended when the one comes that goes on with it, so they meet in RUN/tmp/moves/NAME: three FIFOs take the place of the
 * pipes of a launch (launch.h). Nothing reads or writes one of them to its end but who it is for, and each is held open by the monitor or by
 * davit-runtime, so that opening it tells whether they live. */
#pragma once
#include "runtime/container.h"
#include "runtime/serve/launch.h"
#include "runtime/serve/place.h"

/* Begins it. l: a launch of `restore --go-fd LAUNCH_GO`. 0 or -1: then nothing waits, and it can be launched as any. */
int ahead_begin(const struct core *c, struct launch *l, const struct place *p, struct err *e);
/* Lets the one that waits go on and waits for its outcome, as launch_run(). *there is false if none waits: nothing was done. */
pid_t ahead_go(const struct place *p, const struct restore_go *go, bool *there, Davit__Error **rich, struct err *e);
/* Ends one that waits, if there is one, and waits until it has taken back what it made. */
void ahead_end(const struct place *p);
