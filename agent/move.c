/* The table of incoming moves. */
#include "agent/move.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "agent/http/auth.h"
#include "agent/move_host.h"

struct move {
	char id[33];
	struct target *target;
	char peer[CALLER_NAME_MAX + 1];
	bool open[2]; /* by enum move_stream */
	bool used;    /* by a connection, or adopted after a restart */
	int connections;
};
struct move_table {
	struct agent *agent;
	pthread_mutex_t lock;
	struct move *all[MOVES_MAX];
};

struct move_table *move_table_new(struct agent *a, struct err *e)
{
	struct move_table *t = mem_new(1, sizeof(*t), e);

	if (!t)
		return NULL;
	t->agent = a;
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

/* Under the lock: settled moves without connections are done with. */
static void sweep(struct move_table *t)
{
	for (size_t i = 0; i < MOVES_MAX; i++) {
		struct move *m = t->all[i];

		if (!m || m->connections > 0 || !target_settled(m->target))
			continue;
		target_unref(m->target);
		free(m);
		t->all[i] = NULL;
	}
}

static struct move **find(struct move_table *t, const char *id)
{
	for (size_t i = 0; i < MOVES_MAX; i++)
		if (t->all[i] && strcmp(t->all[i]->id, id) == 0)
			return &t->all[i];
	return NULL;
}

/* Under the lock. */
static struct move *add(struct move_table *t, const char *id, const char *peer, struct target *target, struct err *e)
{
	struct move *m = mem_new(1, sizeof(*m), e);
	size_t i = 0;

	while (i < MOVES_MAX && t->all[i])
		i++;
	if (m && i == MOVES_MAX) {
		err_set(e, ERR_LIMIT, 0, "%d moves come in already", MOVES_MAX);
		free(m);
		m = NULL;
	}
	if (!m)
		return NULL;
	snprintf(m->id, sizeof(m->id), "%s", id);
	snprintf(m->peer, sizeof(m->peer), "%s", peer ? peer : "");
	m->target = target;
	t->all[i] = m;
	return m;
}

static struct move *make(struct move_table *t, const char *id, const char *peer, struct err *e)
{
	struct target_host host = move_host(t->agent, peer);
	struct target *target = target_new(&host, id, e);
	struct move *m = target ? add(t, id, peer, target, e) : NULL;

	if (target && !m) {
		target_lost(target);
		target_unref(target);
	}
	return m;
}

static bool is_move_id(const char *id)
{
	return strlen(id) == 32 && strspn(id, "0123456789abcdef") == 32;
}

/* Under the lock. A stream has one thread at a time (migrate/target.h), and a move is its source's alone. */
static int claim(struct move *m, const char *peer, enum move_stream stream, struct err *e)
{
	static const char *const names[] = { [MOVE_UP] = "up", [MOVE_DOWN] = "down" };

	if (!str_eq(m->peer, peer))
		return err_set(e, ERR_DENIED, 0, "move %s is not of %s", m->id, peer);
	if (m->open[stream])
		return err_set(e, ERR_BUSY, 0, "the stream %s of move %s is open already", names[stream], m->id);
	/* Of a pair that was lost the other stream may not have ended yet: it would take what is meant for the new one. */
	if (m->connections > 0 && target_is_lost(m->target))
		return err_set(e, ERR_BUSY, 0, "the old connection of move %s is not over yet", m->id);
	/* The first connection after both were lost: the source goes on where memory still follows. */
	if (m->connections == 0 && m->used && target_reopen(m->target, e) < 0)
		return -1;
	m->used = true;
	m->open[stream] = true;
	m->connections++;
	return 0;
}

struct move *move_open(struct agent *a, const char *id, const char *peer, enum move_stream stream, struct err *e)
{
	struct move_table *t = a->moves;
	struct move **found, *m;

	if (!is_move_id(id)) {
		err_field(e, "id", "a move's id has 32 hex digits");
		return NULL;
	}
	pthread_mutex_lock(&t->lock);
	sweep(t);
	found = find(t, id);
	m = found ? *found : make(t, id, peer, e);
	if (m && claim(m, peer, stream, e) < 0)
		m = NULL;
	pthread_mutex_unlock(&t->lock);
	return m;
}

void move_close(struct agent *a, struct move *m, enum move_stream stream)
{
	struct move_table *t = a->moves;

	target_lost(m->target);
	pthread_mutex_lock(&t->lock);
	m->open[stream] = false;
	m->connections--;
	sweep(t);
	pthread_mutex_unlock(&t->lock);
}

struct target *move_target(const struct move *m)
{
	return m->target;
}

/* Counted: the caller gives it back. The table's reference, or a settled object, neither makes that one the reference that waits. */
static struct target *find_target(struct agent *a, const char *id, struct err *e)
{
	struct move_table *t = a->moves;
	struct target *target = NULL;
	struct move **found;

	pthread_mutex_lock(&t->lock);
	found = find(t, id);
	if (found)
		target = target_ref((*found)->target);
	pthread_mutex_unlock(&t->lock);
	if (!target)
		err_set(e, ERR_STATE, 0, "move %s has ended", id);
	return target;
}

int move_cancel(struct agent *a, const char *id, struct err *e)
{
	struct target *target = find_target(a, id, e);
	int r = target ? target_cancel(target, e) : -1;

	target_unref(target);
	return r;
}

int move_force(struct agent *a, const char *id, enum handover_event forced, struct err *e)
{
	struct target *target = find_target(a, id, e);
	int r = target ? target_force(target, forced, e) : -1;

	target_unref(target);
	return r;
}

int move_hurry(struct agent *a, const char *id, struct err *e)
{
	struct target *target = find_target(a, id, e);

	if (target)
		target_hurry(target);
	target_unref(target);
	return target ? 0 : -1;
}

int move_adopt(struct agent *a, const char *id, const char *peer, struct target *target, struct err *e)
{
	struct move *m;

	pthread_mutex_lock(&a->moves->lock);
	m = add(a->moves, id, peer, target, e);
	if (m)
		m->used = true;
	pthread_mutex_unlock(&a->moves->lock);
	return m ? 0 : -1;
}
