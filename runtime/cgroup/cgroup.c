/* A container's cgroup in all hierarchies: making, finding again, joining.
 *
 * On v1 every mounted hierarchy is joined, the named ones too: a service manager that tracks services by name=systemd would
 * otherwise end the container with the service that made it. A cgroup2 beside v1 hierarchies is joined for two reasons only: a limit
 * needs a controller that is nowhere else, or the caller itself is in a cgroup of it (then a service manager tracks by it). */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "base/file.h"
#include "base/path.h"
#include "base/proc.h"
#include "proto/pb.h"
#include "runtime/cgroup/internal.h"
#include "runtime/cgroup/systemd.h"
#include "runtime/rootless.h"
#include "runtime/sys.h"

struct hierarchy *cgroup_hierarchy_of(const struct cgroup *c, enum controller controller)
{
	const struct hierarchy *unified = NULL;
	for (size_t i = 0; i < c->n; i++) {
		const struct hierarchy *h = &c->h[i];
		if (!(h->controllers & CONTROLLER_BIT(controller)))
			continue;
		if (!h->unified)
			return (struct hierarchy *)h;
		unified = h;
	}
	return (struct hierarchy *)unified;
}

const struct hierarchy *cgroup_process_hierarchy(const struct cgroup *c)
{
	const struct hierarchy *h = cgroup_hierarchy_of(c, CONTROLLER_FREEZER);
	if (!h)
		h = cgroup_hierarchy_of(c, CONTROLLER_PIDS);
	return h ? h : &c->h[0];
}

bool cgroup_is_none(const struct cgroup *c)
{
	return c->n == 0;
}

void cgroup_freep(struct cgroup **c)
{
	if (*c) {
		cgroup_settle(*c);
		free((*c)->unit);
		cgroup_clear(*c);
		free(*c);
	}
	*c = NULL;
}

static void drop(struct cgroup *c, size_t i)
{
	struct cgroup one = { .h = { c->h[i] }, .n = 1 };

	cgroup_clear(&one);
	c->h[i] = c->h[--c->n];
	c->h[c->n] = (struct hierarchy){ .fd = -1 };
}

/* Leaves a cgroup2 beside v1 hierarchies out unless it is needed. */
static void drop_needless_unified(struct cgroup *c, unsigned wanted)
{
	unsigned v1 = 0;
	for (size_t i = 0; i < c->n; i++)
		v1 |= c->h[i].unified ? 0 : c->h[i].controllers;
	for (size_t i = 0; i < c->n; i++) {
		struct hierarchy *h = &c->h[i];
		if (!h->unified || !v1 || *h->own || (wanted & h->controllers & ~v1))
			continue;
		drop(c, i);
		return;
	}
}

/* The folder that a relative path starts from. On v2 the one above the caller's own: the caller's own has processes, so it cannot give
 * controllers to children. */
static char *relative_base(const struct hierarchy *h, struct err *e)
{
	char *base = mem_printf(e, "%s%s", h->mount, h->own);
	char *slash = base && h->unified && *h->own ? strrchr(base, '/') : NULL;
	if (slash)
		*slash = '\0';
	return base;
}

static int hierarchy_set_path(struct hierarchy *h, const char *path, struct err *e)
{
	auto_free char *base = *path == '/' ? mem_strdup(h->mount, e) : relative_base(h, e);
	h->path = base ? path_join(e, base, path) : NULL;
	if (!h->path) {
		err_prefix_field(e, "linux.cgroupsPath");
		return -1;
	}
	if (strlen(h->path) <= strlen(base))
		return err_field(e, "linux.cgroupsPath", "\"%s\" is the root of the hierarchy", path);
	return 0;
}

/* What is the host's root's alone is left out for others. */
static int make_one(struct cgroup *c, size_t i, const char *path, struct err *e)
{
	struct err cause = { 0 };

	if (hierarchy_set_path(&c->h[i], path, e) < 0)
		return -1;
	if (hierarchy_make(&c->h[i], &cause) == 0)
		return 1;
	if (rootless_is())
		if (cause.code == ERR_DENIED || cause.sys == EROFS) {
			drop(c, i);
			return 0;
		}
	if (e)
		*e = cause;
	return -1;
}

static int make_all(struct cgroup *c, const char *path, const Davit__OciResources *r, struct err *e)
{
	for (size_t i = 0; i < c->n;) {
		int made = make_one(c, i, path, e);
		if (made < 0)
			return -1;
		i += (size_t)made;
	}
	/* Who is no root makes no devices: the host's modes decide, and the kernel takes no program from it. */
	if (!rootless_is() && devices_apply(c, r ? r->devices : NULL, r ? r->n_devices : 0, true, e) < 0)
		return -1;
	return r ? resources_apply(c, r, e) : 0;
}

int cgroup_create(const char *path, const char *id, const Davit__OciResources *r, struct cgroup **out, struct err *e)
{
	auto_free char *own_path = path && *path ? mem_strdup(path, e) : mem_printf(e, "davit/%s", id);
	auto_cgroup struct cgroup *c = own_path ? mem_new(1, sizeof(*c), e) : NULL;
	if (!c || (r && plan_check(r, e) < 0) || host_find(c, e) < 0)
		return -1;
	drop_needless_unified(c, CONTROLLER_BIT(CONTROLLER_DEVICES) | CONTROLLER_BIT(CONTROLLER_FREEZER) | (r ? plan_controllers(r) : 0));
	if (make_all(c, own_path, r, e) < 0) {
		for (size_t i = 0; i < c->n; i++)
			hierarchy_unmake(&c->h[i]);
		return -1;
	}
	*out = steal_ptr(&c);
	return 0;
}

/* systemd has made it, with the holder in it, where it knows the controller; else it is ours to make. */
static int adopt_scope(struct cgroup *c, const char *path, const Davit__OciResources *r, struct err *e)
{
	for (size_t i = 0; i < c->n; i++) {
		struct hierarchy *h = &c->h[i];

		if (hierarchy_set_path(h, path, e) < 0)
			return -1;
		if (file_exists(AT_FDCWD, h->path) ? hierarchy_open(h, e) < 0 : hierarchy_make(h, e) < 0)
			return -1;
	}
	if (!rootless_is() && devices_apply(c, r ? r->devices : NULL, r ? r->n_devices : 0, true, e) < 0)
		return -1;
	return r ? resources_apply(c, r, e) : 0;
}

static int start_holder(struct cgroup *c, struct err *e)
{
	int pidfd = -1;

	c->holder = sys_clone(0, &pidfd);
	if (c->holder == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close_range(0, ~0U, 0);
		for (;;)
			pause();
	}
	fd_closep(&pidfd);
	return c->holder < 0 ? err_sys(e, errno, "fork") : 0;
}

void cgroup_settle(struct cgroup *c)
{
	if (c->holder <= 0)
		return;
	kill(c->holder, SIGKILL);
	proc_wait(c->holder, -1, NULL); /* no limit: it was killed */
	c->holder = 0;
}

static int start_scope(struct cgroup *c, const Davit__OciSpec *spec, const char *id, const Davit__OciResources *r, struct err *e)
{
	auto_free char *slice = NULL, *unit = NULL;
	auto_properties struct properties list = { 0 };

	c->user = rootless_is();
	if (properties_of_resources(r, &list, e) < 0 || properties_of_annotations(spec, &list, e) < 0)
		return -1;
	if (systemd_names(spec->linux ? spec->linux->cgroups_path : NULL, id, c->user, &slice, &unit, e) < 0 || start_holder(c, e) < 0)
		return -1;
	auto_free char *group = systemd_start(slice, unit, c->user, c->holder, &list, e);
	if (!group)
		return -1;
	c->unit = steal_ptr(&unit);
	return adopt_scope(c, group, r, e);
}

int cgroup_create_systemd(const Davit__OciSpec *spec, const char *id, struct cgroup **out, struct err *e)
{
	const Davit__OciResources *r = spec->linux ? spec->linux->resources : NULL;
	auto_cgroup struct cgroup *c = mem_new(1, sizeof(*c), e);

	if (!c || (r && plan_check(r, e) < 0) || host_find(c, e) < 0)
		return -1;
	if (start_scope(c, spec, id, r, e) < 0) {
		cgroup_settle(c);
		if (c->unit)
			systemd_stop(c->unit, c->user, NULL);
		for (size_t i = 0; i < c->n; i++)
			hierarchy_unmake(&c->h[i]);
		return -1;
	}
	*out = steal_ptr(&c);
	return 0;
}

static int open_one(const Davit__CgroupPath *from, struct hierarchy *h, struct err *e)
{
	h->fd = -1;
	h->unified = *from->controllers == '\0';
	h->name = mem_strdup(from->controllers, e);
	h->path = mem_strdup(from->path, e);
	if (!h->name || !h->path || hierarchy_open(h, e) < 0)
		return -1;
	h->controllers = controller_parse(h->name, ",");
	char list[512];
	if (h->unified && file_read_line(h->fd, "cgroup.controllers", list, sizeof(list), NULL) == 0)
		h->controllers = controller_parse(list, " ") | CONTROLLER_BIT(CONTROLLER_DEVICES) | CONTROLLER_BIT(CONTROLLER_FREEZER);
	return 0;
}

int cgroup_open(const Davit__RuntimeState *s, struct cgroup **out, struct err *e)
{
	auto_cgroup struct cgroup *c = mem_new(1, sizeof(*c), e);
	if (!c)
		return -1;
	c->h[0].fd = -1;
	c->user = s->systemd_user;
	if (s->systemd_unit && !(c->unit = mem_strdup(s->systemd_unit, e)))
		return -1;
	for (size_t i = 0; i < s->n_cgroups && i < HIERARCHY_MAX; i++) {
		struct err one = { 0 };
		if (open_one(s->cgroups[i], &c->h[c->n++], &one) == 0)
			continue;
		/* A folder that is gone (removed, or never made after a reboot) is no error: the others are still to be removed. */
		if (one.code != ERR_NOT_FOUND) {
			if (e)
				*e = one;
			return -1;
		}
		struct cgroup gone = { .h = { c->h[--c->n] }, .n = 1 };
		cgroup_clear(&gone);
	}
	if (c->n == 0 && s->n_cgroups > 0)
		return err_set(e, ERR_NOT_FOUND, 0, "no cgroup of container %s is left", s->id);
	*out = steal_ptr(&c);
	return 0;
}

static int narrow_one(struct hierarchy *h, const char *path, struct err *e)
{
	char *below = path_join(e, h->path, path);

	if (!below)
		return -1;
	free(h->path);
	h->path = below;
	fd_closep(&h->fd);
	return hierarchy_open(h, e);
}

int cgroup_narrow(struct cgroup *c, const char *where, struct err *e)
{
	const char *colon = strchr(where, ':');
	auto_free char *list = colon ? mem_printf(e, "%.*s", (int)(colon - where), where) : NULL;
	unsigned wanted = list ? controller_parse(list, ",") : ~0U;
	bool found = false;

	if (colon && !list)
		return -1;
	for (size_t i = 0; i < c->n; i++) {
		/* A cgroup2 is named without controllers, as in /proc/self/cgroup. */
		bool meant = !colon || (c->h[i].unified ? !*list : (c->h[i].controllers & wanted) || str_eq(c->h[i].name, list));
		found |= meant;
		if (meant && narrow_one(&c->h[i], colon ? colon + 1 : where, e) < 0)
			return -1;
	}
	if (found)
		return 0;
	err_field(e, "cgroup", "the container is in no cgroup of \"%s\"", list ? list : "");
	return err_remedy(e, "name controllers as /proc/self/cgroup does, or leave them away for all");
}

int cgroup_save(const struct cgroup *c, Davit__RuntimeState *s, struct err *e)
{
	for (size_t i = 0; i < c->n; i++) {
		Davit__CgroupPath *one = pb_new(&davit__cgroup_path__descriptor, e);
		if (!one)
			return -1;
		if (pb_set_str(&one->controllers, c->h[i].name, e) < 0 || pb_set_str(&one->path, c->h[i].path, e) < 0) {
			protobuf_c_message_free_unpacked(&one->base, NULL);
			return -1;
		}
		if (pb_push(&s->n_cgroups, &s->cgroups, one, e) < 0)
			return -1;
	}
	s->has_systemd_user = c->unit != NULL;
	s->systemd_user = c->user;
	return c->unit ? pb_set_str(&s->systemd_unit, c->unit, e) : 0;
}

int cgroup_set(const struct cgroup *c, const Davit__OciResources *r, struct err *e)
{
	if (plan_check(r, e) < 0)
		return -1;
	if (r->n_devices > 0 && devices_apply(c, r->devices, r->n_devices, false, e) < 0)
		return -1;
	/* Told first: systemd writes what it knows to the files, which then get the exact values. */
	if (c->unit && systemd_set(c->unit, c->user, r, e) < 0)
		return -1;
	return resources_apply(c, r, e);
}
