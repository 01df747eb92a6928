/* Making and unmaking a container's place.
 *
 * Invariants: spec.pb and record.pb are there before anything else, so that whoever finds the folder knows what to undo; `ready` comes last. What
 * must be unique on the host (ids, addresses) is checked and written down under the lock ".create". */
#include "runtime/serve/prepare.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "proto/pb.h"
#include "runtime/layer/layer.h"
#include "runtime/net/net.h"
#include "runtime/pagestore/pagestore.h"
#include "runtime/serve/ahead.h"
#include "runtime/serve/binds.h"
#include "runtime/serve/bundle.h"
#include "runtime/serve/etc.h"
#include "runtime/serve/policy.h"
#include "runtime/serve/records.h"

#define CREATE_WAIT_MS 10000

const Davit__IdRange *prepare_shift(const Davit__ContainerSpec *s, const Davit__IdRange *ids)
{
	return s->host_user_namespace ? NULL : ids;
}

static Davit__ContainerRecord *new_record(const struct core *c, const Davit__ContainerSpec *s, const Davit__IdRange *ids, const char *phase,
					  bool own_layer, struct err *e)
{
	auto_pb(Davit__ContainerRecord) *r = pb_new(&davit__container_record__descriptor, e);
	auto_pb(Davit__ImageInfo) *image = r ? image_get(c->images_dir, s->image, e) : NULL;
	if (!image || !(r->ids = pb_dup(&ids->base, e)))
		return NULL;
	if (pb_set_str(&r->phase, phase, e) < 0 || pb_set_str(&r->image_digest, image->digest, e) < 0)
		return NULL;
	r->has_created_ns = true;
	r->created_ns = clock_now_ns(CLOCK_REALTIME);
	r->has_own_layer = true;
	r->own_layer = own_layer;
	return steal_ptr(&r);
}

/* Nothing is there, or what a create left that died under the lock that we hold now, or the wanted kept layer. */
static int clear_place(const struct core *c, const char *name, const struct place *p, bool layer_kept, struct err *e)
{
	bool there = file_exists(AT_FDCWD, p->dir), kept = there && record_is_kept(p);
	if (layer_kept && !kept)
		return err_set(e, ERR_NOT_FOUND, 0, "there is no layer kept from a container %s", name);
	if (!there || (layer_kept && !file_exists(AT_FDCWD, p->bundle)))
		return 0;
	auto_pb(Davit__ContainerRecord) *r = record_load(p, NULL);
	if (record_is_ready(p) || (r && str_eq(r->phase, "restoring")))
		return err_set(e, ERR_EXISTS, 0, "container %s exists", name);
	if (kept && !file_exists(AT_FDCWD, p->bundle)) {
		err_set(e, ERR_EXISTS, 0, "a layer is kept from an earlier container %s", name);
		return err_remedy(e, "restore it, or delete %s", name);
	}
	return prepare_undo(c, name, p, kept, e);
}

static int make_folders(const struct core *c, const struct place *p, struct err *e)
{
	if (file_mkdir_p(p->dir, 0700, e) < 0 || file_mkdir_p(p->monitor, 0700, e) < 0 || file_mkdir_p(p->logs, 0750, e) < 0 ||
	    file_mkdir_p(p->rootfs, 0700, e) < 0)
		return -1;
	if (c->log_gid != (gid_t)-1 && chown(p->logs, 0, c->log_gid) < 0)
		return err_sys(e, errno, "chown %s", p->logs);
	return chmod(p->logs, 0750) < 0 ? err_sys(e, errno, "chmod %s", p->logs) : 0;
}

int prepare_place(const struct core *c, const Davit__ContainerSpec *s, const Davit__IdRange *ids, const struct place *p, const char *phase,
		  bool layer_kept, struct err *e)
{
	if (policy_check(c, s, ids, e) < 0 || clear_place(c, s->name, p, layer_kept, e) < 0)
		return -1;
	auto_close int lock = record_lock(c, RECORD_CREATE_LOCK, CREATE_WAIT_MS, e);
	if (lock < 0 || policy_check_others(c, s, ids, e) < 0)
		return -1;
	auto_pb(Davit__ContainerRecord) *r = new_record(c, s, ids, phase, !layer_kept, e);
	if (!r || file_mkdir_p(p->dir, 0700, e) < 0)
		return -1;
	auto_close int dir = file_open_dir(AT_FDCWD, p->dir, e);
	if (dir < 0 || record_save(p, r, true, e) < 0 || pb_write_file(dir, "spec.pb", &s->base, 0600, true, e) < 0 || make_folders(c, p, e) < 0) {
		(void)prepare_undo(c, s->name, p, layer_kept, NULL);
		return -1;
	}
	return 0;
}

int prepare_mounts(const struct core *c, const Davit__ContainerSpec *s, const Davit__IdRange *ids, const struct place *p, struct err *e)
{
	auto_free char *image = mem_printf(e, "%s/%s/rootfs", c->images_dir, s->image);
	if (!image || layer_mount(image, p->layer, prepare_shift(s, ids), p->rootfs, e) < 0)
		return -1;
	return binds_mount(c, s, p, e);
}

int prepare_network(const struct core *c, const Davit__ContainerSpec *s, const struct place *p, bool held, const Davit__CoreRestoreRun *run,
		    struct err *e)
{
	Davit__RuntimeNetwork n = DAVIT__RUNTIME_NETWORK__INIT;
	const Davit__CoreNetwork *networks[8];
	if (str_eq(s->network_mode, "host"))
		return 0;
	for (size_t i = 0; i < s->n_attachments && i < ARRAY_LEN(networks); i++)
		if (!(networks[n.n_networks++] = policy_network(c, s->attachments[i]->network, e)))
			return -1;
	n.networks = (Davit__CoreNetwork **)networks;
	n.n_attachments = s->n_attachments;
	n.attachments = s->attachments;
	n.has_held = true;
	n.held = held;
	n.n_neighbours = run ? run->n_neighbours : 0;
	n.neighbours = run ? run->neighbours : NULL;
	auto_close int dir = file_open_dir(AT_FDCWD, p->dir, e);
	return dir < 0 ? -1 : pb_write_file(dir, "network.pb", &n.base, 0600, false, e);
}

int prepare_bundle(const struct core *c, const Davit__ContainerSpec *s, const Davit__IdRange *ids, const struct place *p, bool fresh, bool held,
		   struct err *e)
{
	auto_close int rootfs = file_open_dir(AT_FDCWD, p->rootfs, e);
	if (rootfs < 0 || (fresh && etc_write(rootfs, s, prepare_shift(s, ids), e) < 0))
		return -1;
	auto_pb(Davit__OciSpec) *spec = bundle_spec(c, s, ids, p, rootfs, e);
	if (!spec || bundle_write(p, spec, e) < 0)
		return -1;
	return prepare_network(c, s, p, held, NULL, e);
}

/* Keeps the first error. */
static void note(int rc, const struct err *from, int *all, struct err *e)
{
	if (rc == 0)
		return;
	if (*all == 0 && e)
		*e = *from;
	*all = -1;
}

int prepare_put_away(const struct core *c, const char *name, const struct place *p, bool force, struct err *e)
{
	struct err x = { 0 };
	int all = 0;
	int rc = container_delete(&c->rt, name, force, &x);
	note(rc < 0 && x.code != ERR_NOT_FOUND ? -1 : 0, &x, &all, e);
	if (all < 0 && !force)
		return -1;
	if (file_exists(AT_FDCWD, p->network)) {
		auto_pb(Davit__RuntimeNetwork) *n = net_load(p->network, &x);
		note(n ? net_detach_all(n, name, &x) : -1, &x, &all, e);
	}
	note(binds_unmount(p, &x), &x, &all, e);
	note(layer_unmount(p->rootfs, &x), &x, &all, e);
	return all;
}

static int remove_path(const char *path, struct err *e)
{
	return file_remove_tree(AT_FDCWD, path, e);
}

/* All of the folder but the layer and the marker that says why it is still there. */
static int keep_only_layer(const struct place *p, struct err *e)
{
	static const char *const parts[] = { "ready", "bundle", "network.pb", "exit.json", "spec.pb", "record.pb" };
	auto_close int dir = file_open_dir(AT_FDCWD, p->dir, e);
	if (dir < 0 || record_keep(p, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (file_remove_tree(dir, parts[i], e) < 0)
			return -1;
	return 0;
}

int prepare_undo(const struct core *c, const char *name, const struct place *p, bool keep_layer, struct err *e)
{
	struct err x = { 0 };
	int all = 0;
	ahead_end(p); /* it holds the container's state */
	note(prepare_put_away(c, name, p, true, &x), &x, &all, e);
	note(pagestore_end(p->monitor, &x), &x, &all, e);
	note(remove_path(p->move, &x), &x, &all, e);
	note(remove_path(p->monitor, &x), &x, &all, e);
	if (!file_exists(AT_FDCWD, p->dir)) {
		note(remove_path(p->logs, &x), &x, &all, e);
		return all;
	}
	if (all < 0) /* something of it is still there, perhaps its mounts: the records must stay to find it by */
		return -1;
	if (keep_layer)
		return keep_only_layer(p, e);
	note(remove_path(p->logs, &x), &x, &all, e);
	note(layer_remove(p->layer, &x), &x, &all, e);
	note(remove_path(p->dir, &x), &x, &all, e);
	return all;
}
