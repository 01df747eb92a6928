/* One detached thread with a small table of what was told last. */
#include "agent/mobility.h"
#include <poll.h>
#include <string.h>
#include "agent/db/operation.h"
#include "base/log.h"
#include "base/thread.h"

#define STACK ((size_t)256 << 10)

/* The newest finished move from here to that peer. */
static const Davit__MoveRecord *last_move(const Davit__MigrationList *moves, const char *peer)
{
	for (size_t i = 0; i < moves->n_migrations; i++) {
		const Davit__MoveRecord *m = moves->migrations[i];

		if (!str_eq(m->role, "target") && str_eq(m->state, "done") && str_eq(m->peer, peer) && m->rate > 0)
			return m;
	}
	return NULL;
}

static int add_estimate(Davit__Mobility *out, const char *peer, const Davit__MoveRecord *m, struct err *e)
{
	Davit__MobilityEstimate *x = pb_new(&davit__mobility_estimate__descriptor, e);

	if (!x || pb_push(&out->n_estimates, &out->estimates, x, e) < 0 || pb_set_str(&x->peer, peer, e) < 0 ||
	    pb_set_str(&x->measured_at, m->finished_at ? m->finished_at : "", e) < 0 || pb_set_str(&x->mode, m->mode ? m->mode : "", e) < 0)
		return -1;
	x->has_bytes = x->has_rate = x->has_total_ms = x->has_downtime_ms = 1;
	x->bytes = out->memory_bytes + out->layer_bytes;
	x->rate = m->rate;
	x->total_ms = x->bytes * 1000 / m->rate;
	/* Standing still costs what it did, and the time of the memory that is sent then: some, or all. */
	x->downtime_ms = (uint64_t)m->downtime_us / 1000 + out->frozen_memory_bytes * 1000 / m->rate;
	if (str_eq(m->mode, "stop-and-copy"))
		x->downtime_ms = MAX(x->downtime_ms, x->total_ms);
	return 0;
}

static int estimate(struct agent *a, Davit__Mobility *out, struct err *e)
{
	auto_pb(Davit__MigrationList) *moves = pb_new(&davit__migration_list__descriptor, e);

	if (!moves || db_move_list(a->db, NULL, moves, e) < 0)
		return -1;
	for (size_t i = 0; i < a->config->n_peers; i++) {
		const char *peer = a->config->peers[i]->name;
		const Davit__MoveRecord *m = last_move(moves, peer);

		if (m && add_estimate(out, peer, m, e) < 0)
			return -1;
	}
	return 0;
}

Davit__Mobility *mobility_of(struct agent *a, struct core *core, const char *name, struct err *e)
{
	auto_pb(Davit__ObstacleList) *found = core_check(core, name, e);
	auto_pb(Davit__ContainerStats) *stats = found ? core_stats(core, name, e) : NULL;
	auto_pb(Davit__Mobility) *out = stats ? pb_new(&davit__mobility__descriptor, e) : NULL;

	if (!out)
		return NULL;
	out->n_obstacles = found->n_obstacles;
	out->obstacles = steal_ptr(&found->obstacles);
	found->n_obstacles = 0;
	out->has_layer_bytes = found->has_layer_bytes;
	out->layer_bytes = found->layer_bytes;
	out->has_memory_bytes = stats->has_memory_bytes;
	out->memory_bytes = stats->memory_bytes;
	/* CRIU's dump takes along what is not private to a process, or locked: the tracker leaves it alone (runtime/track/). */
	out->has_frozen_memory_bytes = stats->has_memory_shared_bytes;
	out->frozen_memory_bytes = MIN(stats->memory_shared_bytes + stats->memory_locked_bytes, stats->memory_bytes);
	return estimate(a, out, e) < 0 ? NULL : steal_ptr(&out);
}

/* What was told of a container. */
struct known {
	struct known *next;
	char name[65];
	struct strv told; /* obstacles, each as kind, process and place */
	bool seen;
};

struct watcher {
	struct agent *agent;
	struct known *first;
};

static struct known *know(struct watcher *w, const char *name)
{
	struct known *k = w->first;

	while (k && strcmp(k->name, name) != 0)
		k = k->next;
	if (!k && (k = mem_new(1, sizeof(*k), NULL))) {
		strncpy(k->name, name, sizeof(k->name) - 1);
		k->next = w->first;
		w->first = k;
	}
	return k;
}

static void forget_gone(struct watcher *w)
{
	for (struct known **p = &w->first; *p;) {
		struct known *k = *p;

		if (k->seen) {
			k->seen = false;
			p = &k->next;
			continue;
		}
		*p = k->next;
		strv_free(&k->told);
		free(k);
	}
}

static void tell(struct agent *a, const char *type, const char *name, const Davit__ObstacleList *found)
{
	Davit__Event ev = DAVIT__EVENT__INIT;

	ev.type = (char *)(uintptr_t)type;
	ev.container = (char *)(uintptr_t)name;
	ev.n_obstacles = found->n_obstacles;
	ev.obstacles = found->obstacles;
	event_publish(&a->events, &ev);
}

static bool was_told(const struct strv *told, const char *key)
{
	for (size_t i = 0; i < told->n; i++)
		if (strcmp(told->v[i], key) == 0)
			return true;
	return false;
}

/* Compares with what was told, and keeps what is there now. */
static void compare(struct agent *a, struct known *k, const Davit__ObstacleList *found)
{
	struct strv now = { 0 };
	bool news = false, had = k->told.n > 0;

	for (size_t i = 0; i < found->n_obstacles; i++) {
		const Davit__Obstacle *o = found->obstacles[i];
		auto_free char *key = mem_printf(NULL, "%s %d %d %s", o->kind, o->pid, o->fd, o->path ? o->path : "");

		if (!key || strv_add(&now, key, NULL) < 0)
			continue;
		news |= !was_told(&k->told, key);
	}
	strv_free(&k->told);
	k->told = now;
	if (news)
		tell(a, "container.immobile", k->name, found);
	else if (had && now.n == 0)
		tell(a, "container.mobile", k->name, found);
}

static void look(struct watcher *w, struct core *core)
{
	auto_pb(Davit__ContainerStatusList) *list = core_list(core, NULL);

	for (size_t i = 0; list && i < list->n_containers; i++) {
		const char *name = list->containers[i]->name;
		auto_pb(Davit__ObstacleList) *found = NULL;
		struct known *k = know(w, name);

		if (!k)
			continue;
		k->seen = true;
		if (!str_eq(list->containers[i]->state, "running") || hold_reason(&w->agent->holds, name))
			continue;
		found = core_check(core, name, NULL);
		if (found)
			compare(w->agent, k, found);
	}
	if (list)
		forget_gone(w);
}

static void *watch(void *arg)
{
	struct watcher *w = arg;
	struct core core;
	struct err e = { 0 };

	if (core_channel(&w->agent->core, NULL, &core, &e) < 0) {
		log_err(LOG_LEVEL_ERROR, "watch for obstacles", &e);
		free(w);
		return NULL;
	}
	for (;;) {
		poll(NULL, 0, (int)w->agent->config->mobility_check_s * 1000);
		look(w, &core);
	}
}

int mobility_start(struct agent *a, struct err *e)
{
	struct watcher *w;

	if (a->config->mobility_check_s == 0)
		return 0;
	w = mem_new(1, sizeof(*w), e);
	if (!w)
		return -1;
	w->agent = a;
	if (thread_detach(STACK, watch, w, "the watch for obstacles", e) == 0)
		return 0;
	free(w);
	return -1;
}
