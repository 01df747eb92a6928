/* The table of groups. See group.h. */
#include "agent/job/group.h"
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "migrate/group.h"

/* From the first member's request to the last one's. */
#define JOIN_NS (30 * NSEC_PER_SEC)

struct group {
	struct group *next;
	char id[33], target[256];
	unsigned size, joined, left;
	unsigned gone; /* the stage that all were let go from */
	int64_t since;
	bool failed;
	struct err why;
	struct group_member *members[GROUP_MAX]; /* NULL: has left */
};

struct group_member {
	struct group_table *table;
	struct group *group;
	char container[65];
	const struct mover *mover;
	unsigned stage;
};

void group_table_init(struct group_table *t)
{
	pthread_mutex_init(&t->lock, NULL);
}

/* All below: under the lock. */
static bool is_over(const struct group *g)
{
	return g->left == g->joined && (g->joined == g->size || clock_now_ns(CLOCK_MONOTONIC) > g->since + JOIN_NS);
}

/* One whose first members failed is remembered for those that are still to come. */
static void sweep(struct group_table *t)
{
	for (struct group **at = &t->first; *at;) {
		struct group *g = *at;
		if (is_over(g)) {
			*at = g->next;
			free(g);
		} else {
			at = &g->next;
		}
	}
}

static struct group *find_or_make(struct group_table *t, const char *id, unsigned size, const char *target, struct err *e)
{
	sweep(t);
	for (struct group *g = t->first; g; g = g->next)
		if (str_eq(g->id, id))
			return g;
	struct group *g = mem_new(1, sizeof(*g), e);
	if (!g)
		return NULL;
	snprintf(g->id, sizeof(g->id), "%s", id);
	snprintf(g->target, sizeof(g->target), "%s", target);
	g->size = size;
	g->since = clock_now_ns(CLOCK_MONOTONIC);
	g->next = t->first;
	return t->first = g;
}

static int check_join(const struct group *g, unsigned size, const char *target, struct err *e)
{
	if (g->failed)
		return err_set(e, ERR_STATE, 0, "group %s was given up: %s", g->id, g->why.msg);
	if (g->size != size)
		return err_field(e, "group.size", "%u, as for the other members of group %s", g->size, g->id);
	if (strncmp(g->target, target, sizeof(g->target) - 1) != 0)
		return err_field(e, "target", "%s, as for the other members of group %s", g->target, g->id);
	return g->joined == g->size ? err_set(e, ERR_STATE, 0, "group %s has its %u members already", g->id, g->size) : 0;
}

static void fail(struct group *g, const struct err *why)
{
	if (g->failed)
		return;
	g->failed = true;
	g->why = *why;
}

static void let_all_go(struct group *g, unsigned stage)
{
	struct err e = { 0 };
	g->gone = stage;
	for (unsigned i = 0; i < g->size; i++)
		if (mover_go(g->members[i]->mover, &e) < 0)
			log_err(LOG_LEVEL_WARN, g->members[i]->container, &e); /* its mover has ended: its job will tell */
}
/* … the lock. */

struct group_member *group_join(struct group_table *t, const char *id, unsigned size, const char *target, const char *container, struct err *e)
{
	struct group_member *x = mem_new(1, sizeof(*x), e);
	if (!x)
		return NULL;
	x->table = t;
	snprintf(x->container, sizeof(x->container), "%s", container);
	pthread_mutex_lock(&t->lock);
	struct group *g = find_or_make(t, id, size, target, e);
	bool joins = g && check_join(g, size, target, e) == 0;
	if (joins) {
		g->members[g->joined++] = x;
		x->group = g;
	}
	pthread_mutex_unlock(&t->lock);
	if (joins)
		return x;
	free(x);
	return NULL;
}

void group_arrive(struct group_member *x, const struct mover *m, unsigned stage)
{
	struct group *g = x->group;
	pthread_mutex_lock(&x->table->lock);
	x->mover = m;
	x->stage = MAX(x->stage, stage);
	bool all = stage > g->gone && !g->failed && g->joined == g->size && g->left == 0;
	for (unsigned i = 0; all && i < g->size; i++)
		all = g->members[i]->stage == stage;
	if (all)
		let_all_go(g, stage);
	pthread_mutex_unlock(&x->table->lock);
}

bool group_failed(struct group_member *x, struct err *why)
{
	struct group *g = x->group;
	struct err late = { 0 };
	pthread_mutex_lock(&x->table->lock);
	if (g->joined < g->size && clock_now_ns(CLOCK_MONOTONIC) > g->since + JOIN_NS) {
		err_set(&late, ERR_TIMEOUT, 0, "only %u of the group's %u members were asked to move", g->joined, g->size);
		fail(g, &late);
	}
	bool failed = g->failed;
	if (failed)
		*why = g->why;
	pthread_mutex_unlock(&x->table->lock);
	return failed;
}

void group_leave(struct group_member **member, const struct err *why)
{
	struct group_member *x = *member;
	*member = NULL;
	if (!x)
		return;
	struct group *g = x->group;
	pthread_mutex_lock(&x->table->lock);
	if (why) {
		struct err e = *why;
		err_prefix(&e, "container %s, which would have gone with it", x->container);
		fail(g, &e);
	}
	for (unsigned i = 0; i < g->size; i++)
		if (g->members[i] == x)
			g->members[i] = NULL;
	g->left++;
	sweep(x->table);
	pthread_mutex_unlock(&x->table->lock);
	free(x);
}
