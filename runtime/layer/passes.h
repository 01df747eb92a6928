/* Sending a layer that is in use, in passes: each sends what has changed since the one before, the last while nothing runs.
 *
 * One tar takes all passes. A scan (stat of every name, no file opened) compares inode, ctime, size and mode with what was sent; what differs is sent
 * whole, what is gone is named (EXPORT_REMOVED), and a word ends the pass. ctime tells of every change but three, which are taken as changes:
 *   - one in the same tick of the clock in which the file was looked at: a ctime that is not older than the moment before the look;
 *   - one by a write that had begun before, which is when ctime was set, and goes on (`writing`): it may, of what changed shortly before the pass;
 *   - one through a shared writable mapping, whose pages the kernel tells of only when it first maps them (`mapped`).
 * A wall clock that was set back makes all of it changed. A layer on a tmpfs, whose mappings leave no trace at all, is sent in the last pass only.
 * Sources: inode(7), mmap(2) (st_ctime of mapped files), kernel fs/inode.c (inode_set_ctime_current, multigrain timestamps). */
#pragma once
#include "base/str.h"

struct passes;

/* fd: where the tar goes, borrowed; blocking. Owned, or NULL. */
struct passes *passes_new(const char *layer_dir, int fd, struct err *e);
void passes_freep(struct passes **p);
/* How files are in use when a pass begins: paths below the layer's root. */
struct passes_use {
	int64_t since;	     /* CLOCK_REALTIME before anything of this was looked up, ns */
	struct strv mapped;  /* shared and writable */
	struct strv writing; /* open for writing */
};
static inline void passes_use_free(struct passes_use *u)
{
	strv_free(&u->mapped);
	strv_free(&u->writing);
}
/* One pass. last: nothing runs; the tar ends with it. *bytes: of this pass. 0 or -1. */
int passes_run(struct passes *p, const struct passes_use *use, bool last, uint64_t *bytes, struct err *e);
