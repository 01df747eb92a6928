/* Timers of timerfd_create(2) over a checkpoint of ours, to the point.
 *
 * timers.h brings what an image says near to what the clocks did meanwhile, for images of any program; the time that the restore itself takes is
 * still added to it. So beside the images of our own dumps we keep when each armed timer would have expired on its clock, and set that once more when
 * the processes stand restored and have not run yet, through a descriptor that is taken out of them for a moment (pidfd_getfd(2)).
 *
 * A relative timer of CLOCK_REALTIME does not follow a wall clock that is set (timerfd_create(2)); it is kept as what it is for the kernel, one of
 * CLOCK_MONOTONIC. */
#pragma once
#include <sys/types.h>
#include "base/err.h"

/* Writes timers.pb for these processes, which stand still. `init`: one of them, whose clocks count. 0 or -1. */
int timerfds_record(const pid_t *pids, size_t n, pid_t init, int images_dirfd, struct err *e);
/* Sets the timers of the restored processes as timers.pb says; images without it are left as CRIU restored them. 0 or -1. */
int timerfds_settle(const pid_t *pids, size_t n, pid_t init, int images_dirfd, struct err *e);
