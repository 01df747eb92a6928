/* See create.h. */
#include "runtime/create.h"
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "runtime/config.h"
#include "runtime/namespace.h"
#include "runtime/landlock.h"
#include "runtime/net/net.h"
#include "runtime/rootless.h"
#include "runtime/seccomp_listener.h"
#include "runtime/self.h"
#include "runtime/supervise/supervise.h"
#include "runtime/timens.h"
#include "runtime/validate.h"

#define SPEC_MAX (4 << 20)

Davit__OciSpec *container_load_spec(const char *bundle, struct buf *text, struct err *e)
{
	auto_pb(Davit__OciSpec) *spec = NULL;
	auto_buf struct buf own = { 0 };
	struct buf *b = text ? text : &own;
	auto_close int dir = file_open_dir(AT_FDCWD, bundle, e);

	if (dir < 0) {
		err_prefix(e, "bundle");
		return NULL;
	}
	b->data = file_read(dir, "config.json", SPEC_MAX, &b->len, e);
	if (!b->data) {
		err_prefix(e, "bundle %s", bundle);
		err_remedy(e, "a bundle is a folder with a config.json: make one with `davit-runtime spec`");
		return NULL;
	}
	b->cap = b->len + 1;
	spec = config_parse(b->data, b->len, e);
	if (!spec) {
		err_prefix(e, "config.json");
		return NULL;
	}
	return validate_spec(spec, dir, e) < 0 ? NULL : steal_ptr(&spec);
}

void create_end(struct create *c)
{
	mem_freep(&c->bundle);
	pb_freep(&c->spec);
	buf_free(&c->text);
	state_dir_close(&c->dir);
	pb_freep(&c->state);
	cgroup_freep(&c->cgroup);
	seccomp_filter_free(&c->filter);
	pb_freep(&c->supervised);
	pb_freep(&c->landlock);
	pb_freep(&c->network);
}

static int copy_annotations(struct create *c, struct err *e)
{
	for (size_t i = 0; i < c->spec->n_annotations; i++) {
		const Davit__OciStringEntry *from = c->spec->annotations[i];
		Davit__KeyValue *to = pb_new(&davit__key_value__descriptor, e);

		if (!to || pb_push(&c->state->n_annotations, &c->state->annotations, to, e) < 0)
			return -1;
		if (pb_set_str(&to->key, from->key, e) < 0 || pb_set_str(&to->value, from->value ? from->value : "", e) < 0)
			return -1;
	}
	return 0;
}

static int set_rootfs(struct create *c, struct err *e)
{
	const char *path = c->spec->root->path;
	auto_free char *joined = *path == '/' ? mem_strdup(path, e) : mem_printf(e, "%s/%s", c->bundle, path);
	char real[PATH_MAX];

	if (!joined)
		return -1;
	return pb_set_str(&c->state->rootfs, realpath(joined, real) ? real : joined, e);
}

static int new_state(struct create *c, const char *id, struct err *e)
{
	c->state = pb_new(&davit__runtime_state__descriptor, e);
	if (!c->state || pb_set_str(&c->state->id, id, e) < 0 || pb_set_str(&c->state->bundle, c->bundle, e) < 0)
		return -1;
	c->state->has_created_ns = c->state->has_owner_uid = c->state->has_own_timens = c->state->has_own_userns = true;
	c->state->created_ns = clock_now_ns(CLOCK_REALTIME);
	c->state->owner_uid = rootless_caller();
	c->state->own_timens = ns_how_of_spec(c->spec, NS_TIME) == NS_NEW;
	c->state->own_userns = ns_how_of_spec(c->spec, NS_USER) == NS_NEW;
	if (c->network && pb_set_str(&c->state->network_file, c->options->network_file, e) < 0)
		return -1;
	return pb_set_str(&c->state->phase, "creating", e) < 0 || set_rootfs(c, e) < 0 ? -1 : copy_annotations(c, e);
}

/* An annotation may come from far: what it may ask for is the host's to say. */
static int load_supervised(struct create *c, struct err *e)
{
	if (supervise_of_spec(c->spec, &c->supervised, e) < 0)
		return -1;
	if (!c->supervised)
		return 0;
	if (geteuid() != 0)
		return err_field(e, "annotations." SUPERVISE_ANNOTATION, "a supervisor of system calls takes root");
	return supervise_allowed_by(c->rt->policy ? c->rt->policy : SUPERVISE_POLICY, c->supervised, e);
}

static int load_filter(struct create *c, struct err *e)
{
	const Davit__OciSeccomp *s = c->spec->linux->seccomp;

	if (load_supervised(c, e) < 0)
		return -1;
	if ((!s && !c->supervised) || c->options->no_filter)
		return 0;
	if (seccomp_compile_cached(c->rt->root, s, supervise_calls(c->supervised), &c->filter, e) < 0)
		return -1;
	return seccomp_listener_check(s, &c->filter, c->supervised, e);
}

int create_reload_network(struct create *c, struct err *e)
{
	if (!c->options->network_file)
		return 0;
	pb_freep(&c->network);
	c->network = net_load(c->options->network_file, e);
	return c->network ? 0 : -1;
}

static int load(struct create *c, struct err *e)
{
	char real[PATH_MAX];

	if (!realpath(c->options->bundle, real))
		return err_sys(e, errno, "bundle %s", c->options->bundle);
	c->bundle = mem_strdup(real, e);
	c->spec = c->bundle ? container_load_spec(c->bundle, &c->text, e) : NULL;
	if (!c->spec)
		return -1;
	if (load_filter(c, e) < 0 || landlock_of_spec(c->spec, &c->landlock, e) < 0)
		return -1;
	return create_reload_network(c, e);
}

static int make(struct create *c, const char *id, struct err *e)
{
	const Davit__OciLinux *l = c->spec->linux;

	if (file_write_atomic(c->dir.fd, "config.json", c->text.data, c->text.len, 0600, false, e) < 0)
		return -1;
	const char *path = l ? l->cgroups_path : NULL;
	const Davit__OciResources *r = l ? l->resources : NULL;
	if (c->rt->systemd_cgroup ? cgroup_create_systemd(c->spec, id, &c->cgroup, e) < 0 : cgroup_create(path, id, r, &c->cgroup, e) < 0)
		return -1;
	if (cgroup_delegate(c->cgroup, c->spec, e) < 0)
		return -1;
	return cgroup_save(c->cgroup, c->state, e) < 0 ? -1 : state_save(&c->dir, c->state, e);
}

int create_begin(const struct runtime *rt, const char *id, const struct create_options *o, struct create *c, struct err *e)
{
	*c = (struct create){ .rt = rt, .options = o, .dir = { .fd = -1, .lock = -1 } };
	if (state_check_id(id, e) < 0 || load(c, e) < 0 || (o->protect_self && self_protect(c->spec, e) < 0) || rootless_enter(c->spec, e) < 0 ||
	    new_state(c, id, e) < 0 || state_dir_create(rt->root, id, &c->dir, e) < 0)
		return -1;
	if (make(c, id, e) == 0)
		return 0;
	create_abort(c);
	return -1;
}

int create_network(struct create *c, int netns_fd, struct err *e)
{
	if (!c->network)
		return ns_how_of_spec(c->spec, NS_NETWORK) == NS_NEW ? net_loopback_up(netns_fd, e) : 0;
	c->attached = true;
	return net_attach_all(c->network, c->dir.id, netns_fd, e);
}

int create_network_of(struct create *c, pid_t pid, struct err *e)
{
	if (!c->network && ns_how_of_spec(c->spec, NS_NETWORK) != NS_NEW)
		return 0;
	auto_close int fd = ns_open(pid, NS_NETWORK, e);
	return fd < 0 ? -1 : create_network(c, fd, e);
}

/* What /proc/PID/fd/{0,1,2} lead to, in CRIU's words: an image restored later gets its stdio by these names. */
static int record_descriptors(Davit__RuntimeState *s, struct err *e)
{
	char path[64], to[PATH_MAX];

	if (s->n_descriptors > 0)
		return 0;
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)s->pid, i);
		ssize_t n = readlink(path, to, sizeof(to) - 1);

		to[n > 0 ? n : 0] = 0;
		if (pb_push_str(&s->n_descriptors, &s->descriptors, to, e) < 0)
			return -1;
	}
	return 0;
}

static int record_clocks(Davit__RuntimeState *s, struct err *e)
{
	struct timens_offsets off = { 0 };

	if (s->own_timens && timens_offsets_of_pid(s->pid, &off, e) < 0)
		return -1;
	s->has_offset_monotonic = s->has_offset_boottime = true;
	s->offset_monotonic = off.monotonic;
	s->offset_boottime = off.boottime;
	return 0;
}

int create_record(struct create *c, pid_t pid, const char *phase, struct err *e)
{
	Davit__RuntimeState *s = c->state;
	char boot[37];

	cgroup_settle(c->cgroup);
	s->has_pid = s->has_start_ticks = true;
	s->pid = pid;
	if (proc_start_time(pid, &s->start_ticks, e) < 0 || proc_boot_id(boot, e) < 0 || pb_set_str(&s->boot_id, boot, e) < 0)
		return -1;
	if (record_descriptors(s, e) < 0 || record_clocks(s, e) < 0 || pb_set_str(&s->phase, phase, e) < 0)
		return -1;
	if (strcmp(phase, "running") == 0) {
		s->has_started_ns = true;
		s->started_ns = clock_now_ns(CLOCK_REALTIME);
	}
	return state_save(&c->dir, s, e);
}

int create_pid_file(const char *path, pid_t pid, struct err *e)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", (int)pid);

	if (!path)
		return 0;
	return file_write_atomic(AT_FDCWD, path, text, (size_t)n, 0644, false, e) < 0 ? err_prefix(e, "pid file") : 0;
}

void create_abort(struct create *c)
{
	struct err e = { 0 };

	if (c->cgroup)
		cgroup_kill(c->cgroup, SIGKILL, NULL);
	if (c->attached)
		net_detach_all(c->network, c->dir.id, NULL);
	if (c->cgroup && cgroup_remove(c->cgroup, &e) < 0)
		log_err(LOG_LEVEL_WARN, c->dir.id, &e);
	if (c->dir.fd >= 0 && state_dir_remove(c->rt->root, &c->dir, &e) < 0)
		log_err(LOG_LEVEL_WARN, c->dir.id, &e);
}
