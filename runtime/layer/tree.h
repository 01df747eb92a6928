/* Walking a tree by descriptors, in sorted order, without following a link. */
#pragma once
#include <sys/stat.h>
#include "base/err.h"

#define TREE_DEPTH_MAX 256 /* a descriptor a level */

struct tree_entry {
	const char *path; /* below the root, "." for the root itself */
	int fd;		  /* plain file: to read; folder: to list; else O_PATH. Borrowed. */
	struct stat st;
};
/* Calls visit for the root and everything below it, a folder before its content, names sorted by their bytes. Stops when visit returns -1.
 * ERR_LIMIT: deeper than TREE_DEPTH_MAX. 0 or -1. */
int tree_walk(int rootfd, int (*visit)(void *arg, const struct tree_entry *t, struct err *e), void *arg, struct err *e);
/* Opens one entry as tree_walk gives it, by its path below the root. Owned fd, or -1 (ERR_NOT_FOUND). */
int tree_open(int rootfd, const char *path, struct stat *st, struct err *e);

/* The extended attributes that belong to a layer: user.*, security.capability, POSIX ACLs and overlay's mark of an opaque folder. Others are of this
 * host (labels, overlay's file handles) or would change the meaning of other files (overlay's redirects), and neither leave nor enter. */
int tree_xattr_travels(const char *name);
