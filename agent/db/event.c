/* Events: stored, then told. A waiter compares ids, so it can neither miss nor repeat one. */
#include "agent/db/event.h"
#include <errno.h>
#include "base/clock.h"
#include "base/log.h"

int event_bus_init(struct event_bus *bus, struct db *db, struct err *e)
{
	pthread_condattr_t attr;
	int64_t last = 0;

	bus->db = db;
	bus->stopping = false;
	pthread_mutex_init(&bus->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&bus->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (db_query_int(db, e, &last, 0, "SELECT max(id) FROM event", "") < 0)
		return -1;
	bus->last = (uint64_t)last;
	return 0;
}

void event_bus_stop(struct event_bus *bus)
{
	pthread_mutex_lock(&bus->lock);
	bus->stopping = true;
	pthread_cond_broadcast(&bus->changed);
	pthread_mutex_unlock(&bus->lock);
}

/* The id is the row's; it is put into the message when it is read. */
static int store(struct db *db, Davit__Event *ev, uint64_t *id, struct err *e)
{
	auto_buf struct buf b = { 0 };

	if (pb_pack(&ev->base, &b, e) < 0 || db_begin(db, false, e) < 0)
		return -1;
	if (db_exec(db, e, "INSERT INTO event(message) VALUES(?)", "b", b.data, b.len) < 0)
		goto undo;
	*id = (uint64_t)db_last_id(db);
	if (*id % 100 == 0 && db_exec(db, e, "DELETE FROM event WHERE id <= ?", "i", (int64_t)*id - EVENT_KEEP) < 0)
		goto undo;
	return db_commit(db, e);
undo:
	db_rollback(db);
	return -1;
}

void event_publish(struct event_bus *bus, Davit__Event *ev)
{
	struct err e = { 0 };
	char now[32], *kept = ev->time;
	uint64_t id = 0;

	if (!ev->time)
		ev->time = clock_rfc3339(clock_now_ns(CLOCK_REALTIME), now);
	if (store(bus->db, ev, &id, &e) < 0)
		log_err(LOG_LEVEL_WARN, "event not stored", &e);
	ev->time = kept;
	pthread_mutex_lock(&bus->lock);
	if (id > bus->last)
		bus->last = id;
	pthread_cond_broadcast(&bus->changed);
	pthread_mutex_unlock(&bus->lock);
}

struct reading {
	Davit__Event **out;
	size_t n, cap;
};

static int take_event(sqlite3_stmt *row, void *arg, struct err *e)
{
	struct reading *r = arg;
	Davit__Event *ev = db_column_pb(row, 1, &davit__event__descriptor, e);

	if (!ev)
		return -1;
	ev->id = (uint64_t)sqlite3_column_int64(row, 0);
	r->out[r->n++] = ev;
	return r->n == r->cap;
}

int event_read(struct event_bus *bus, uint64_t after, Davit__Event **out, size_t cap, bool *lost, struct err *e)
{
	struct reading r = { out, 0, cap };
	int64_t first = 0;

	if (db_query_int(bus->db, e, &first, 0, "SELECT min(id) FROM event", "") < 0)
		return -1;
	*lost = first > 0 && after > 0 && after + 1 < (uint64_t)first;
	if (db_query(bus->db, e, take_event, &r, "SELECT id, message FROM event WHERE id > ? ORDER BY id LIMIT 100", "i", (int64_t)after) < 0) {
		for (size_t i = 0; i < r.n; i++)
			pb_freep(&out[i]);
		return -1;
	}
	return (int)r.n;
}

int event_wait(struct event_bus *bus, uint64_t after, int timeout_ms)
{
	int64_t until = clock_now_ns(CLOCK_MONOTONIC) + timeout_ms * NSEC_PER_MSEC;
	struct timespec t = clock_timespec_of_ns(until);
	int r = 0;

	pthread_mutex_lock(&bus->lock);
	while (bus->last <= after && !bus->stopping && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&bus->changed, &bus->lock, &t);
	r = bus->stopping ? -1 : bus->last > after;
	pthread_mutex_unlock(&bus->lock);
	return r;
}
