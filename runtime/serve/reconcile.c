/* Putting right what an earlier core left.
 *
 * Everything follows from the markers: no `ready` and no lock: half-made, undone. `ready` and no living init: stopped (by itself, or the host went
 * down), put away. A running one whose network is held: the core died in resume between the two steps. A frozen one stays as it is: the agent's
 * journals know why. */
#include "runtime/serve/reconcile.h"

#include <dirent.h>
#include "base/file.h"
#include "base/log.h"
#include "proto/pb.h"
#include "runtime/net/net.h"
#include "runtime/serve/ahead.h"
#include "runtime/serve/lifecycle.h"
#include "runtime/serve/prepare.h"
#include "runtime/serve/records.h"
#include "runtime/userfault.h"

static int release(const struct place *p, const char *name, struct err *e)
{
	auto_pb(Davit__ContainerRecord) *r = record_load(p, e);
	if (!r)
		return -1;
	if (file_exists(AT_FDCWD, p->network)) {
		auto_pb(Davit__RuntimeNetwork) *n = net_load(p->network, e);
		if (!n || net_release(n, name, e) < 0)
			return -1;
	}
	r->network_held = false;
	return record_save(p, r, false, e);
}

static int settle(const struct core *c, const char *name, const struct place *p, struct err *e)
{
	if (!record_is_ready(p)) {
		if (record_is_kept(p) && !file_exists(AT_FDCWD, p->bundle))
			return 0;
		log_warn("container %s is half-made: removed", name);
		return prepare_undo(c, name, p, record_is_kept(p), e);
	}
	auto_pb(Davit__ContainerStatus) *s = record_status(c, name, e);
	if (!s)
		return -1;
	if (str_eq(s->state, "stopped"))
		return prepare_put_away(c, name, p, false, e);
	return str_eq(s->state, "running") && s->network_held ? release(p, name, e) : 0;
}

static int settle_locked(void *arg, const char *name, struct err *e)
{
	const struct core *c = arg;
	struct err x = { 0 };
	auto_place p = { 0 };
	auto_close int lock = record_lock(c, name, 0, &x);
	if (lock < 0) {
		log_info("container %s: a request of an earlier core goes on", name);
		return 0;
	}
	if (place_of(c, name, &p, e) < 0)
		return -1;
	if (settle(c, name, &p, &x) < 0)
		log_err(LOG_LEVEL_ERROR, name, &x);
	return 0;
}

/* Calls f for each entry of a folder that has a container's name but no container. */
static void each_stray(const struct core *c, const char *folder,
		       int (*f)(const struct core *c, const char *name, const struct place *p, struct err *e))
{
	DIR *d = opendir(folder);
	for (struct dirent *x; d && (x = readdir(d));) {
		struct err e = { 0 };
		auto_place p = { 0 };
		if (str_check_name(x->d_name, "name", NULL) < 0)
			continue;
		auto_close int lock = record_lock(c, x->d_name, 0, NULL);
		if (lock < 0 || place_of(c, x->d_name, &p, &e) < 0 || file_exists(AT_FDCWD, p.bundle))
			continue;
		if (f(c, x->d_name, &p, &e) < 0)
			log_err(LOG_LEVEL_ERROR, x->d_name, &e);
	}
	if (d)
		closedir(d);
}

static int remove_runtime(const struct core *c, const char *name, const struct place *p, struct err *e)
{
	(void)p;
	log_warn("container %s is known to the runtime alone: removed", name);
	return container_delete(&c->rt, name, true, e);
}

static int remove_files(const struct core *c, const char *name, const struct place *p, struct err *e)
{
	(void)c;
	(void)name;
	ahead_end(p);
	if (file_remove_tree(AT_FDCWD, p->monitor, e) < 0 || file_remove_tree(AT_FDCWD, p->move, e) < 0)
		return -1;
	return file_exists(AT_FDCWD, p->dir) ? 0 : file_remove_tree(AT_FDCWD, p->logs, e); /* those of a kept layer stay */
}

int reconcile(const struct core *c, struct err *e)
{
	auto_free char *moves = mem_printf(e, "%s/moves", c->tmp_dir);
	if (!moves || record_each(c, settle_locked, (void *)c, e) < 0)
		return -1;
	each_stray(c, c->runtime_root, remove_runtime);
	each_stray(c, c->monitor_dir, remove_files);
	each_stray(c, c->logs_dir, remove_files);
	each_stray(c, moves, remove_files);
	return userfault_put_back(c->criu_tmp, e);
}
