/* Carrying out a plan: each step is one openat and one write in the folder that is already open.
 *
 * A value may be refused (EINVAL) only because of its partner's old value: memory.limit above memory+swap, a quota below its burst. Such
 * steps are tried once more after all others. What is refused then is an error that names the field, what was written where, and
 * what can be done. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "runtime/cgroup/internal.h"
#include "runtime/rootless.h"

static const struct hierarchy *hierarchy_of_step(const struct cgroup *c, const struct step *s)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->h[i].unified == s->unified && (s->unified || (c->h[i].controllers & CONTROLLER_BIT(s->controller))))
			return &c->h[i];
	return NULL;
}

/* 0 or a negative errno; -ENODEV: no hierarchy has the controller. */
static int write_step(const struct cgroup *c, const struct step *s)
{
	const struct hierarchy *h = hierarchy_of_step(c, s);
	if (!h)
		return -ENODEV;
	auto_close int fd = openat(h->fd, s->file, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, s->value, strlen(s->value)) < 0)
		return -errno;
	return 0;
}

static int set_field(struct err *e, const struct step *s)
{
	if (e)
		snprintf(e->field, sizeof(e->field), "%s", s->field);
	return -1;
}

static int explain_missing(const struct cgroup *c, const struct step *s, int sys, struct err *e)
{
	const char *name = controller_name(s->controller, s->unified);
	const struct hierarchy *h = hierarchy_of_step(c, s);
	if (sys == ENODEV || !(h->controllers & CONTROLLER_BIT(s->controller))) {
		if (rootless_is()) {
			err_set(e, ERR_DENIED, 0, "%s: user %u may not set limits in the %s cgroup controller", s->field, (unsigned)rootless_caller(),
				name);
			err_remedy(e, REMEDY_DELEGATION);
			return set_field(e, s);
		}
		err_set(e, ERR_UNSUPPORTED, 0, "%s: this host has no %s cgroup controller", s->field, name);
		err_remedy(e, "mount or enable the %s controller, or leave the field out", name);
	} else {
		err_set(e, ERR_UNSUPPORTED, 0, "%s: cgroup %s has no file %s", s->field, h->path, s->file);
		if (h->unified)
			err_remedy(e, "the cgroups above must give the %s controller in cgroup.subtree_control, which none that holds processes can",
				   name);
		else
			err_remedy(e, "this kernel lacks it: leave the field out");
	}
	return set_field(e, s);
}

static int explain(const struct cgroup *c, const struct step *s, int sys, struct err *e)
{
	if (sys == ENODEV || sys == ENOENT)
		return explain_missing(c, s, sys, e);
	if (sys == EBUSY && s->controller == CONTROLLER_MEMORY) {
		err_set(e, ERR_STATE, sys, "%s: the container uses more than %s bytes", s->field, s->value);
		err_remedy(e, "choose a limit above the present use");
	} else {
		err_sys(e, sys, "%s: the kernel refuses \"%s\" for %s", s->field, s->value, s->file);
		if (s->controller == CONTROLLER_CPUSET)
			err_remedy(e, "name CPUs or nodes that the cgroup above has: see %s there", s->file);
		else
			err_remedy(e, "use a value that %s of the kernel's cgroup documentation takes", s->file);
	}
	return set_field(e, s);
}

/* Whether a step for the same field was written. */
static bool was_written(const struct plan *p, const char *field)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].done && str_eq(p->v[i].field, field))
			return true;
	return false;
}

static int apply_once(const struct cgroup *c, struct plan *p, bool last, struct err *e)
{
	for (size_t i = 0; i < p->n; i++) {
		struct step *s = &p->v[i];
		int result = s->done ? 0 : write_step(c, s);
		bool missing = result == -ENOENT || result == -ENODEV;
		if (result == 0 || (missing && s->kind == STEP_ABSENT_IS_FINE))
			s->done = true;
		else if (!last && (result == -EINVAL || (missing && s->kind == STEP_EITHER)))
			continue;
		else if (!(missing && s->kind == STEP_EITHER && was_written(p, s->field)))
			return explain(c, s, -result, e);
	}
	return 0;
}

int plan_apply(const struct cgroup *c, struct plan *p, struct err *e)
{
	return apply_once(c, p, false, e) < 0 ? -1 : apply_once(c, p, true, e);
}

/* The controllers that act through v2: those that no v1 hierarchy has. */
static unsigned unified_mask(const struct cgroup *c)
{
	unsigned v1 = 0, v2 = 0;
	bool pure = true;
	for (size_t i = 0; i < c->n; i++) {
		if (c->h[i].unified) {
			v2 |= c->h[i].controllers;
		} else {
			v1 |= c->h[i].controllers;
			pure &= c->h[i].controllers == 0;
		}
	}
	return pure ? ~0U : v2 & ~v1;
}

static void read_now(const struct cgroup *c, const Davit__OciResources *r, unsigned mask, struct plan_now *now)
{
	const struct hierarchy *h = NULL;
	for (size_t i = 0; i < c->n; i++)
		h = c->h[i].unified ? &c->h[i] : h;
	*now = (struct plan_now){ .memory_limit = -1 };
	if (!h || !mask)
		return;
	if (r->memory && r->memory->has_swap && r->memory->swap > 0 && !(r->memory->has_limit && r->memory->limit))
		now->memory_limit = cgroup_read_key(h->fd, "memory.max", NULL);
	char line[64];
	if (r->cpu && r->cpu->has_period && r->cpu->period && !(r->cpu->has_quota && r->cpu->quota) &&
	    file_read_line(h->fd, "cpu.max", line, sizeof(line), NULL) == 0)
		snprintf(now->quota, sizeof(now->quota), "%.*s", (int)strcspn(line, " "), line);
}

/* memory.checkBeforeUpdate: v1 refuses a limit below the use by itself, v2 would kill. */
static int check_use(const struct cgroup *c, const Davit__OciMemory *m, struct err *e)
{
	const struct hierarchy *h = cgroup_hierarchy_of(c, CONTROLLER_MEMORY);
	if (!m || !m->check_before_update || !m->has_limit || m->limit <= 0 || !h)
		return 0;
	int64_t use = cgroup_read_key(h->fd, h->unified ? "memory.current" : "memory.usage_in_bytes", NULL);
	if (use <= m->limit)
		return 0;
	err_field(e, "linux.resources.memory.limit", "linux.resources.memory.limit: the container uses %lld bytes, more than %lld", (long long)use,
		  (long long)m->limit);
	if (e)
		e->code = ERR_STATE;
	return err_remedy(e, "choose a limit above the present use, or leave memory.checkBeforeUpdate out");
}

int resources_apply(const struct cgroup *c, const Davit__OciResources *r, struct err *e)
{
	auto_plan struct plan p = { .e = e };
	unsigned mask = unified_mask(c);
	struct plan_now now;
	if (check_use(c, r->memory, e) < 0)
		return -1;
	read_now(c, r, mask, &now);
	plan_v1(r, ~mask, &p);
	if (mask)
		plan_v2(r, mask, &now, &p);
	else if (r->n_unified)
		plan_refuse(&p, "unified", "cgroup v2 is not what this host's controllers are on (\"%s\")", r->unified[0]->key);
	return p.failed ? -1 : plan_apply(c, &p, e);
}
