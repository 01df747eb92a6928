/* inotify and fanotify watches on overlayfs, where CRIU cannot find the watched file again.
 *
 * The kernel tells a watch by inode and file handle. On other filesystems CRIU opens the handle; overlayfs opens none (unless mounted with
 * nfs_export), and CRIU searches a few folders that it knows by name. So the paths are searched here, while the container still runs, and told to it.
 */
#pragma once
#include <sys/types.h>
#include "base/err.h"
#include "criu.pb-c.h"

/* Adds irmap_scan_paths for the watches of these processes. What is not found within a bound of files is left to CRIU. 0 or -1. */
int watches_add(const pid_t *pids, size_t n, pid_t init, Criu__CriuOpts *opts, struct err *e);
