/* timerfds over a checkpoint, as the container's clock policy says.
 *
 * CRIU arms them with what was left at the dump. Three things are wrong with that: time that the container's clocks went on meanwhile is not taken
 * off; a periodic timer that had run out and was not read yet (the kernel arms it again only at the read) stays unarmed for ever; and an absolute one
 * fires up to a second early, for CRIU adds whole seconds of the clock (pie/restorer.c, timerfd_arm()). So their entries in files.img are written
 * anew for the restore. */
#pragma once
#include "base/err.h"
#include "runtime/timens.h"

/* elapsed: how far the container's clocks are beyond those of the dump. Writes files.img below out_dirfd if it needs a change. 0 or -1. */
int criu_images_set_timers(int images_dirfd, int out_dirfd, const struct timens_offsets *elapsed, struct err *e);
