/* The page store of a container that arrives: the memory that its dump left behind, received while it still runs elsewhere, given to it here.
 *
 *   source's tracker ══ memory socket ══▶ store ──userfaultfd──▶ restored tasks
 *                    ◀═══ FETCH ════════
 *
 * It is three processes in a session of their own that outlive the core, since from the restore on they hold what nobody else has. The worker
 * (worker.h) does everything and may do nothing else; the guard (guard.c) shares its descriptors and its knowledge, starts another when it falls, so
 * that no fault is lost, and ends the container should that be in vain; a third stands behind both. If the descriptors of its tasks were closed too
 * early, the kernel would give them pages of zeros: so they are held until the container has all, or has ended.
 *
 * CRIU takes the store for its lazy-pages daemon (tasks.c). Its own daemon could be fed by us as a page server, but starts only when the images are
 * there, while the container stands still, and costs each page two more copies.
 *
 * Its door is the socket memory.sock in the container's monitor folder; it is there as long as the store is. */
#pragma once
#include <stdbool.h>
#include "base/err.h"
#include "core.pb-c.h"

struct pagestore_options {
	const char *folder; /* for its socket, root's alone */
	const char *work;   /* CRIU's work folder of the restore */
	int images_dirfd;
	uint64_t limit; /* bytes that it may hold */
};
/* Starts one. Returns the other end of its memory socket, owned; or -1. One that is there already is ended first. */
int pagestore_start(const struct pagestore_options *o, struct err *e);

/* Whether there is one that still holds or waits for pages of the container. */
bool pagestore_is_busy(const char *folder);
/* A new memory socket. Owned fd, or -1 (ERR_NOT_FOUND: there is no store). */
int pagestore_attach(const char *folder, struct err *e);
/* A restore is about to begin. It is given nothing before what is in the socket by now was read, and the MARK of that round has come (0: none is
 * waited for): what is known before may have changed in it. */
int pagestore_restore(const char *folder, uint64_t round, struct err *e);
/* The restore went well: the store ends with this init, if not before. Waits for that MARK; ERR_IO: the source is lost before it has come. */
int pagestore_running(const char *folder, pid_t init, struct err *e);
/* Ends it with all it holds, if it is there. */
int pagestore_end(const char *folder, struct err *e);

/* Waits until the container has all of its memory; tells how far it is by f (f may be NULL; -1 from it ends the wait). Owned status, complete at once
 * if there is no store; NULL (ERR_CORRUPT: its memory is lost; ERR_CANCELLED: `cancel` became readable). No limit of time: it takes what the source
 * takes. */
Davit__MemoryStatus *pagestore_wait(const char *folder, int cancel, int (*f)(void *arg, const Davit__MemoryStatus *s, struct err *e), void *arg,
				    struct err *e);
