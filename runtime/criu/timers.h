/* Timers over a checkpoint, as the container's clock policy says.
 *
 * CRIU arms timerfds with what was left at the dump. Three things are wrong with that: time that the container's clocks went on meanwhile is not
 * taken off; a periodic timer that had run out and was not read yet (the kernel arms it again only at the read) stays unarmed for ever; and an
 * absolute one fires up to a second early, for CRIU adds whole seconds of the clock (pie/restorer.c, timerfd_arm()). So their entries in files.img
 * are written anew for the restore.
 *
 * POSIX timers and interval timers (timers_core.c) have the first of these: they lie in the image of their task, core-PID.img. */
#pragma once
#include "base/err.h"
#include "runtime/timens.h"

/* elapsed: how far the container's clocks are beyond those of the dump, when its timers had been read; less than 0 if they are before them, as of one
 * whose clocks stand still since before the dump. Writes the images that need a change below out_dirfd. 0 or -1. */
int criu_images_set_timers(int images_dirfd, int out_dirfd, const struct timens_offsets *elapsed, struct err *e);
int criu_images_set_task_timers(int images_dirfd, int out_dirfd, const struct timens_offsets *elapsed, struct err *e);
/* Of those, for a clock; 0 for one that no policy moves. */
int64_t timers_elapsed(uint32_t clock, const struct timens_offsets *elapsed);
