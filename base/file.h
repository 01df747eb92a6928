/* Files that are whole or absent, folders, and locks.
 *
 * file_write_atomic: temporary file in the same folder, write, fsync, rename, fsync of the folder (rename(2), fsync(2)). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/err.h"

/* dirfd: AT_FDCWD or a folder; name is relative to it. durable: fsync file and folder (else only rename: atomic, not durable). 0 or -1. */
int file_write_atomic(int dirfd, const char *name, const void *data, size_t n, mode_t mode, bool durable, struct err *e);
/* Owned, NUL-terminated content of at most max bytes; NULL on error (ERR_NOT_FOUND, ERR_LIMIT). */
char *file_read(int dirfd, const char *name, size_t max, size_t *len, struct err *e);
/* Content of a small pseudo file without its last newline, into out. 0 or -1. */
int file_read_line(int dirfd, const char *name, char *out, size_t cap, struct err *e);
/* Writes to a pseudo file (cgroup, proc, sysctl) in one write(2), which such files demand. 0 or -1. */
int file_write_pseudo(int dirfd, const char *name, const char *value, struct err *e);
/* mkdir -p. 0 or -1. */
int file_mkdir_p(const char *path, mode_t mode, struct err *e);
/* Removes a tree below dirfd without following symlinks or crossing mounts. Missing is no error. */
int file_remove_tree(int dirfd, const char *name, struct err *e);
bool file_exists(int dirfd, const char *name);
/* An exclusive flock on dirfd/name, made if missing, or with the name "." on the folder itself. wait_ms 0: try once. Returns the owned fd, or -1
 * (ERR_BUSY). Closing it unlocks. */
int file_lock(int dirfd, const char *name, int wait_ms, struct err *e);
/* The same, shared with other shared holders. */
int file_lock_shared(int dirfd, const char *name, int wait_ms, struct err *e);
/* An O_PATH|O_DIRECTORY / O_DIRECTORY fd of a folder. */
int file_open_dir(int dirfd, const char *name, struct err *e);
