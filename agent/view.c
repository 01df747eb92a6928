/* Merging of database and core. */
#include "agent/view.h"
#include <string.h>
#include "agent/db/container.h"

static int set_str(char **to, const char *from, struct err *e)
{
	return from ? pb_set_str(to, from, e) : 0;
}

static int merge_status(Davit__Container *c, const Davit__ContainerStatus *s, struct err *e)
{
	c->has_pid = s->has_pid;
	c->pid = s->pid;
	c->has_exit_code = s->has_exit_code;
	c->exit_code = s->exit_code;
	c->has_exit_signal = s->has_exit_signal;
	c->exit_signal = s->exit_signal;
	c->has_oom_killed = s->has_oom_killed;
	c->oom_killed = s->oom_killed;
	if (set_str(&c->started_at, s->started_at, e) < 0 || set_str(&c->finished_at, s->finished_at, e) < 0)
		return -1;
	return set_str(&c->image_digest, s->image_digest, e);
}

int view_merge(struct agent *a, Davit__Container *c, const Davit__ContainerStatus *s, struct err *e)
{
	const char *what = hold_reason(&a->holds, c->name);
	const char *state = s ? s->state : str_eq(c->state, "checkpointed") ? c->state : "lost";

	if (what && (strcmp(what, "migrating") == 0 || strcmp(what, "creating") == 0 || strcmp(what, "restoring") == 0))
		state = what;
	if (s && merge_status(c, s, e) < 0)
		return -1;
	return state == c->state ? 0 : pb_set_str(&c->state, state, e);
}

Davit__Container *view_container(struct agent *a, const char *name, struct err *e)
{
	struct err none = { 0 };
	auto_free char *snapshot = NULL;
	auto_pb(Davit__Container) *c = db_container_get(a->db, name, &snapshot, e);
	auto_pb(Davit__ContainerStatus) *s = NULL;

	if (!c || (snapshot && pb_set_str(&c->state, "checkpointed", e) < 0))
		return NULL;
	s = core_get(&a->core, name, &none);
	if (!s && none.code != ERR_NOT_FOUND) {
		*e = none;
		return NULL;
	}
	return view_merge(a, c, s, e) < 0 ? NULL : steal_ptr(&c);
}

static const Davit__ContainerStatus *find_status(const Davit__ContainerStatusList *list, const char *name)
{
	for (size_t i = 0; i < list->n_containers; i++)
		if (strcmp(list->containers[i]->name, name) == 0)
			return list->containers[i];
	return NULL;
}

Davit__ContainerList *view_containers(struct agent *a, struct err *e)
{
	auto_pb(Davit__ContainerStatusList) *core = core_list(&a->core, e);
	auto_pb(Davit__ContainerList) *list = core ? pb_new(&davit__container_list__descriptor, e) : NULL;

	if (!list || db_container_list(a->db, list, e) < 0)
		return NULL;
	for (size_t i = 0; i < list->n_containers; i++)
		if (view_merge(a, list->containers[i], find_status(core, list->containers[i]->name), e) < 0)
			return NULL;
	return steal_ptr(&list);
}

void view_tell(struct agent *a, const char *type, const char *name)
{
	Davit__Event ev = DAVIT__EVENT__INIT;
	auto_pb(Davit__Container) *c = view_container(a, name, &(struct err){ 0 });

	ev.type = (char *)(uintptr_t)type;
	ev.container = (char *)(uintptr_t)name;
	ev.status = c;
	event_publish(&a->events, &ev);
}
