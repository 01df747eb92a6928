/* How a restored container comes into its cgroup, and its cgroup namespace to have that as its root.
 *
 * The processes are put into the cgroup by us, when CRIU has made the first one (restore.c): the others inherit it, and what CRIU itself uses is
 * not charged. Only the namespace has to be made by CRIU, inside the container's user namespace. CRIU makes it when the image says that the root
 * task's path has a namespace prefix: it moves the task there and unshares. So the image is replaced: all sets of the source become the one path "/"
 * in a hierarchy whose root, in criu's eyes, is the container's own cgroup. Cgroups that a container made inside its own are not made again: their
 * processes come back in the container's root. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/file.h"
#include "runtime/criu/images.h"
#include "runtime/criu/stage.h"
#include "runtime/namespace.h"

#define IMAGE "cgroup.img"
#define YARD "yard"

/* Any hierarchy does; one with a single controller has a name that needs no order. */
static const Davit__CgroupPath *choose(const Davit__RuntimeState *state)
{
	for (size_t i = 0; i < state->n_cgroups; i++)
		if (!strchr(state->cgroups[i]->controllers, ','))
			return state->cgroups[i];
	return NULL;
}

static Criu__CgroupSet *one_set(uint32_t id, const char *controller, struct err *e)
{
	auto_pb(Criu__CgroupSet) *set = pb_new(&criu__cgroup_set__descriptor, e);
	Criu__CgroupMember *m = set ? pb_new(&criu__cgroup_member__descriptor, e) : NULL;

	if (!m || pb_push(&set->n_ctls, &set->ctls, m, e) < 0 || pb_set_str(&m->name, controller, e) < 0 || pb_set_str(&m->path, "/", e) < 0)
		return NULL;
	m->has_cgns_prefix = true;
	m->cgns_prefix = 1;
	set->id = id;
	return steal_ptr(&set);
}

static int write_image(const Criu__CgroupEntry *from, const char *controller, int over_dirfd, struct err *e)
{
	auto_pb(Criu__CgroupEntry) *to = pb_new(&criu__cgroup_entry__descriptor, e);
	Criu__CgroupController *ctl = to ? pb_new(&criu__cgroup_controller__descriptor, e) : NULL;

	if (!ctl || pb_push(&to->n_controllers, &to->controllers, ctl, e) < 0 || pb_push_str(&ctl->n_cnames, &ctl->cnames, controller, e) < 0)
		return -1;
	for (size_t i = 0; i < from->n_sets; i++) {
		Criu__CgroupSet *set = one_set(from->sets[i]->id, controller, e);
		if (!set || pb_push(&to->n_sets, &to->sets, set, e) < 0)
			return -1;
	}
	return criu_image_write(over_dirfd, IMAGE, &to->base, e);
}

/* STAGE/yard/CONTROLLER, as CRIU looks for it. */
static int show_cgroup(const Davit__CgroupPath *p, struct stage *s, struct err *e)
{
	const char *name = p->controllers;

	if (str_prefix(name, "name="))
		name += 5;
	auto_free char *at = mem_printf(e, YARD "/%s", name[0] ? name : "unified");
	if (!at)
		return -1;
	if (mkdirat(s->trees[0].fd, YARD, 0755) < 0)
		return err_sys(e, errno, "stage " YARD);
	int tree = open_tree(AT_FDCWD, p->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return err_sys(e, errno, "clone the mount of %s", p->path);
	return stage_add(s, tree, at, false, e);
}

int stage_cgroup(const struct create *c, int images_dirfd, int over_dirfd, struct stage *s, Criu__CriuOpts *opts, struct err *e)
{
	const Davit__CgroupPath *p = choose(c->state);

	if (ns_how_of_spec(c->spec, NS_CGROUP) != NS_NEW || !p || !file_exists(images_dirfd, IMAGE))
		return 0;
	auto_pb(Criu__CgroupEntry) *image = criu_image_read(images_dirfd, IMAGE, &criu__cgroup_entry__descriptor, e);
	if (!image || write_image(image, p->controllers, over_dirfd, e) < 0 || show_cgroup(p, s, e) < 0)
		return -1;
	opts->manage_cgroups_mode = CRIU__CGROUP_MODE__CG_NONE;
	return pb_set_str(&opts->cgroup_yard, STAGE_PATH "/" YARD, e);
}
