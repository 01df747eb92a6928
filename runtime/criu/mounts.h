/* What criu alone sees mounted: a mount namespace of its own, made between fork and exec.
 *
 * - Its kernel cache. CRIU keeps what it learned of the kernel in /run/criu.kdat, but only on a tmpfs; without it every run takes 60 ms more.
 *   Where /run is on a disk, one run with a folder of ours as its /run fills the cache, and later runs get that file bound over
 *   /run/criu.kdat. /run as a whole stays visible, since bundles may lie there.
 * - The trees of the call, which the caller has made with all of its rights: what a restore mounts, found at short paths that do not depend on
 *   where bundle and state are, and that the container's root may walk.
 * Mounts of the host still arrive (slave), ours never leave. */
#pragma once
#include <limits.h>
#include <stdbool.h>
#include "base/err.h"
#include "runtime/criu/criu.h"

struct criu_mounts {
	bool any;
	bool whole_run; /* cache goes over /run: the run that fills it */
	char cache[PATH_MAX];
	const struct criu_tree *trees;
	size_t ntrees;
};
void criu_mounts_prepare(const struct criu_call *c, struct criu_mounts *m);
/* The cache's folder for this criu below c->tmp_dir into out (made), if a cache of ours is of use here. False: none is. */
bool criu_cache_folder(const struct criu_call *c, char out[PATH_MAX]);
/* In the child; async-signal-safe. 0, or -1 with errno. */
int criu_mounts_apply(const struct criu_mounts *m);
