/* Paths of a container, walked under its root.
 *
 * openat2(2) with RESOLVE_IN_ROOT: symlinks and ".." stay inside. The result is an fd and is used as one, never as a string
 * again (CVE-2021-30465 and its family came of walking twice). */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

/* openat2(2) below rootfd. flags as open(2); O_CLOEXEC is added. Returns an owned fd, or -1. */
int path_open_in(int rootfd, const char *path, int flags, mode_t mode, struct err *e);
/* As above, making missing folders (0755) on the way; the last component is a folder, or an empty file if `file`. Returns an O_PATH fd. */
int path_make_in(int rootfd, const char *path, bool file, struct err *e);
/* "/proc/self/fd/N" for calls that take only a path. */
struct path_fd {
	char s[40];
};
struct path_fd path_of_fd(int fd);
/* Joins and normalises textually: one '/', no "." or trailing '/'. Refuses ".." (ERR_INVALID). Owned string. */
char *path_join(struct err *e, const char *a, const char *b);
