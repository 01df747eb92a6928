/* Images that another host made, or that lay in a store: what they may bring here.
 *
 * CRIU makes with much privilege what its images tell. So before it reads them they are compared with config.json, which this host wrote: images that
 * hold more than it gives are refused (ERR_DENIED; the field is IMAGE:MEMBER), in files by what they are about:
 *   trust.c          which images there may be at all; what is said of refusals
 *   trust_tasks.c    namespaces, capabilities, no_new_privs, labels, resource limits of each task
 *   trust_filters.c  that each has a filter, and config.json's is among them: it is put there if it is not
 *   trust_mounts.c   mounts, and paths that have to be masked or read-only
 *   trust_files.c    open files and sockets
 * It costs some ten µs for each task. What CRIU's own parser makes of damaged images it cannot see. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "criu.pb-c.h"
#include "runtime/create.h"

/* Of a thread, what its core image tells of seccomp. */
struct trust_task {
	uint32_t tid, mode, filter;
	bool ended;
};

struct trust {
	const struct create *c;
	const Criu__CriuOpts *opts; /* whose `external` are the keys that we give */
	int images, over;	    /* folders: as they came, and what CRIU sees instead */
	int rootfs;
	struct strv plain, real; /* where config.json's mounts are: as written, and as the root filesystem's links lead */
	uint64_t caps;		 /* of config.json's bounding set */
	Criu__InventoryEntry *inventory;
	struct trust_task *tasks;
	size_t n_tasks, cap_tasks;
	uint32_t *mounts;
	size_t n_mounts, cap_mounts; /* numbers of the images' mounts */
	Davit__OciLinux *uncovered;  /* paths that have to be masked or read-only here, and are not by the images' mounts; or NULL */
};
void trust_free(struct trust *t);

/* Fills t->caps, looks at all images and writes seccomp.img to `over` if it needs a change. 0 or -1. */
int trust_check(struct trust *t, struct err *e);
/* Covers what the images' mounts leave bare, since their host had no such path, in the restored mount namespace. Nothing is to be done mostly. */
int trust_cover(const struct trust *t, pid_t init, struct err *e);

/* Parts of trust_check(). */
int trust_inventory(struct trust *t, struct err *e);
int trust_ids(const struct trust *t, const char *image, struct err *e);
int trust_core(struct trust *t, const char *image, struct err *e);
int trust_filters(const struct trust *t, struct err *e);
int trust_mounts(struct trust *t, const char *image, struct err *e);
int trust_files(const struct trust *t, struct err *e);
bool trust_has_cap(const struct trust *t, int number);
bool trust_has_mount(const struct trust *t, uint32_t id);
/* ERR_DENIED: "the images …". Returns -1. */
int trust_refuse(const char *image, const char *member, struct err *e, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
