/* The ring of events: kept in the database so that a client that was away can go on where it stopped (Last-Event-ID), up to EVENT_KEEP back. */
#pragma once
#include <pthread.h>
#include "agent/db/db.h"
#include "api.pb-c.h"

#define EVENT_KEEP 10000

/* Who waits for events. One for each agent. */
struct event_bus {
	struct db *db;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t last; /* id of the newest */
	bool stopping;
};

int event_bus_init(struct event_bus *bus, struct db *db, struct err *e);
/* Wakes all waiters for good: the agent ends. */
void event_bus_stop(struct event_bus *bus);
/* Stores an event (its id and time are set here; ev stays the caller's) and wakes the waiters. Failures are logged: an event is told, not promised.
 */
void event_publish(struct event_bus *bus, Davit__Event *ev);
/* Events after `after`, oldest first, at most 100 into out (owned messages). Returns how many, or -1. *lost is true if some after it are no longer
 * kept. */
int event_read(struct event_bus *bus, uint64_t after, Davit__Event **out, size_t cap, bool *lost, struct err *e);
/* Waits until there is one after `after` or timeout_ms passed. Returns 1, 0, or -1 when the agent ends. */
int event_wait(struct event_bus *bus, uint64_t after, int timeout_ms);
