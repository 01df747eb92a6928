/* Giving pages to the restored tasks: those that they wait for first, then all that the store holds.
 *
 * Each task's missing pages are registered with a userfaultfd by CRIU, which hands the descriptor over (tasks.h). A page that the task lacks comes
 * from the store, or, unknown there, by a FETCH from the source; any other that is touched is one that the task never had, and becomes a page of
 * zeros. The kernel also tells of forks, unmaps and moves; until such an event is read, it takes no page for that task. */
#pragma once
#include "base/str.h"
#include "runtime/pagestore/space.h"

#define FILL_CHUNK_PAGES 64

struct fill {
	struct arena *a;
	struct buf out;		/* FETCHes for the memory socket */
	bool again;		/* there may be pages that are held and lacked */
	bool short_of_memory;	/* the container's limit or the host's: the next try is after a while */
	bool resend;		/* more was asked than `out` takes */
	uint32_t space, region; /* where fill_step() goes on */
	uint8_t *buffer;	/* FILL_CHUNK_PAGES */
	/* A task forked: its copy is to be watched. 0 or -1. */
	int (*forked)(void *arg, struct arena_space *s, struct err *e);
	void *arg;
};
int fill_init(struct fill *f, struct arena *a, struct err *e);
void fill_end(struct fill *f);

/* Reads what a task's descriptor tells, and acts on it. *gone: the task has ended and the space was freed. -1: what happened cannot be followed. */
int fill_events(struct fill *f, struct arena_space *s, struct err *e);
/* Gives pages, zeros if bytes is NULL, to all tasks that lack them. False: some still lack some. */
bool fill_give(struct fill *f, const struct arena_process *p, uint64_t vaddr, uint64_t pages, const uint8_t *bytes);
/* One chunk of what is held and lacked. False: there is none. */
bool fill_step(struct fill *f);
/* Frees the spaces of tasks that have ended or run another program, and what nobody lacks any more. */
void fill_sweep(struct fill *f);
void fill_trim(struct fill *f);
/* Wakes all that wait: they will fault once more. For a successor that has not seen their faults. */
void fill_wake(struct fill *f);

/* The source is lost before the restore is finished, and with it what the tasks wait for: they are ended by a fault that cannot be mended, so that
 * the restore fails instead of waiting for ever. Of a kernel before 6.6 they wait. */
void fill_refuse(struct fill *f);

/* Asks for everything again that was asked for and did not come. */
void fill_ask_again(struct fill *f);
/* Asks for all that is lacked and unknown. */
void fill_ask_rest(struct fill *f);
