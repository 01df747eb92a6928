/* container_checkpoint(): a running or paused container into a folder of images.
 *
 * Order, and why:
 *   1. the network is held: packets that arrive after a socket was dumped would be acknowledged by the kernel and lost
 *   2. criu, inside the container's time namespace, freezes the cgroup, dumps, and lets the tasks go on or ends them
 *   3. what CRIU does not keep is written beside its images: stdio's names, clocks
 *   4. a container that ends is waited for; one that stays gets its network back
 * A pre-dump is step 2 for memory alone, and the container goes on: what follows names it as parent and saves what changed since.
 * A container that was paused before is paused after, with its network as it was: who paused it decides. The images are readable by the
 * container's root later, so the folder's parent has to be private. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "proto/pb.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/container.h"
#include "runtime/criu/clocks.h"
#include "runtime/criu/criu.h"
#include "runtime/criu/external.h"
#include "runtime/criu/obstacle.h"
#include "runtime/criu/network.h"
#include "runtime/criu/options.h"
#include "runtime/criu/sockets.h"
#include "runtime/criu/timerfds.h"
#include "runtime/criu/watches.h"
#include "runtime/namespace.h"
#include "runtime/net/net.h"
#include "runtime/state.h"

#define END_LIMIT_MS 30000
#define FREEZE_LIMIT_MS 10000

/* What keeps criu from serving the pages that a lazy dump leaves behind: after the dump it serves them on a socket whose other end is closed, and so
 * is done at once. There is no member of its RPC for such a socket in a lazy dump; a configuration file has a word for it. */
struct no_serving {
	int socket, config;
	char text[32], path[64];
};
static void no_serving_end(struct no_serving *n)
{
	fd_closep(&n->socket);
	fd_closep(&n->config);
}

struct checkpoint {
	const struct runtime *rt;
	const struct checkpoint_options *o;
	struct state_dir dir;
	Davit__RuntimeState *state;
	Davit__OciSpec *spec;
	struct cgroup *cgroup;
	Davit__RuntimeNetwork *network;
	bool was_paused, holds, saved; /* holds: we took the network out; saved: what belongs beside the images */
	int images, work;
	char *criu;
	struct strv stdio;
	Davit__ObstacleList *obstacles;
	Davit__ClockSample clock;
	/* criu, started early, and what it is asked. */
	struct criu_running *running;
	struct criu_call call;
	struct criu_callbacks callbacks;
	Criu__CriuReq req;
	Criu__CriuOpts *opts;
	struct no_serving none;
	int fds[3], timens;
	struct inside_reader inside;
};

static void checkpoint_free(struct checkpoint *c)
{
	criu_end(c->running);
	pb_freep(&c->opts);
	no_serving_end(&c->none);
	fd_closep(&c->timens);
	state_dir_close(&c->dir);
	pb_freep(&c->state);
	pb_freep(&c->spec);
	cgroup_freep(&c->cgroup);
	pb_freep(&c->network);
	fd_closep(&c->images);
	fd_closep(&c->work);
	mem_freep(&c->criu);
	strv_free(&c->stdio);
	free(c->clock.boot_id);
	inside_read_drop(&c->inside);
}

static int open_container(struct checkpoint *c, const char *id, struct err *e)
{
	if (state_dir_open(c->rt->root, id, true, &c->dir, e) < 0 || !(c->state = state_load(&c->dir, e)) || !(c->spec = state_spec(&c->dir, e)))
		return -1;
	const char *status = state_status(c->state);
	c->was_paused = str_eq(status, "paused");
	if (!c->was_paused && !str_eq(status, "running"))
		return err_set(e, ERR_STATE, 0, "container %s is %s: only a running or paused one can be checkpointed", id, status);
	if (cgroup_open(c->state, &c->cgroup, e) < 0)
		return -1;
	if (c->state->network_file && !(c->network = net_load(c->state->network_file, e)))
		return -1;
	return 0;
}

static int open_folders(struct checkpoint *c, struct err *e)
{
	const char *work = c->o->work_path ? c->o->work_path : c->o->image_path;

	if (!c->o->image_path)
		return err_field(e, "image-path", "a folder for the images is needed");
	if (file_mkdir_p(c->o->image_path, 0700, e) < 0 || file_mkdir_p(work, 0700, e) < 0)
		return -1;
	c->images = file_open_dir(AT_FDCWD, c->o->image_path, e);
	c->work = c->images < 0 ? -1 : file_open_dir(AT_FDCWD, work, e);
	return c->work < 0 ? -1 : 0;
}

/* CRIU makes it a symbolic link in the folder of the images. */
static int check_parent(const struct checkpoint *c, struct err *e)
{
	const char *path = c->o->parent_path;

	if (!path)
		return 0;
	if (*path == '/')
		err_field(e, "parent-path", "\"%s\" is absolute", path);
	else if (!file_exists(c->images, path))
		err_field(e, "parent-path", "there is no %s in %s", path, c->o->image_path);
	else
		return 0;
	return err_remedy(e, "name the folder of the pre-dump relative to --image-path, like ../first");
}

static struct obstacle_scan scan_of(const struct checkpoint *c)
{
	return (struct obstacle_scan){ .tcp_close = c->o->tcp_close,
				       .file_locks = c->o->file_locks,
				       .shell_job = c->o->shell_job,
				       .ext_unix_sk = c->o->ext_unix_sk,
				       .init = c->state->pid,
				       .spec = c->spec,
				       .network = c->network };
}

/* What CRIU would find only by waiting, or name by its consequence: processes that exec put in, tracers. */
static int refuse_early(const struct checkpoint *c, struct err *e)
{
	const struct obstacle_scan scan = scan_of(c);
	auto_free pid_t *pids = NULL;
	size_t n = 0;

	if (cgroup_pids(c->cgroup, &pids, &n, e) < 0 || criu_obstacles_early(pids, n, &scan, c->obstacles, e) < 0)
		return -1;
	return c->obstacles->n_obstacles ? obstacle_err(c->obstacles, e) : 0;
}

/* The container runs again, so it can be looked at: which process and descriptor it was, or, where CRIU's log told no cause, what may be it. */
static void explain(const struct checkpoint *c, struct err *e)
{
	const struct obstacle_scan scan = scan_of(c);
	auto_free pid_t *pids = NULL;
	size_t n = 0;

	if ((e->code != ERR_CRIU && e->code != ERR_OBSTACLE) || cgroup_pids(c->cgroup, &pids, &n, NULL) < 0)
		return;
	auto_pb(Davit__ObstacleList) *seen = criu_obstacles(pids, n, &scan, NULL);
	if (!seen || !obstacle_prefer(c->obstacles, seen))
		return;
	log_debug("%s", e->msg);
	obstacle_err(c->obstacles, e);
}

static int fill_memory_opts(struct checkpoint *c, Criu__CriuOpts *opts, struct err *e)
{
	const struct checkpoint_options *o = c->o;

	opts->has_track_mem = true;
	opts->track_mem = o->pre_dump || o->parent_path;
	if (o->parent_path && pb_set_str(&opts->parent_img, o->parent_path, e) < 0)
		return -1;
	return o->page_server ? criu_opts_page_server(o->page_server, opts, e) : 0;
}

static int fill_opts(struct checkpoint *c, Criu__CriuOpts *opts, struct err *e)
{
	const struct checkpoint_options *o = c->o;
	const struct criu_choices choices = { o->tcp_established, o->tcp_close,	 o->ext_unix_sk, o->shell_job, o->file_locks,
					      o->lazy_pages,	  o->auto_dedup, o->lsm_profile, NULL };
	const char *freezer = cgroup_freezer_path(c->cgroup);
	auto_free pid_t *pids = NULL;
	size_t n = 0;

	if (criu_opts_common(c->spec, &choices, c->work, "dump.log", opts, e) < 0)
		return -1;
	opts->images_dir_fd = c->images;
	opts->has_pid = opts->has_leave_running = opts->has_timeout = true;
	opts->pid = c->state->pid;
	opts->leave_running = o->leave_running;
	opts->timeout = FREEZE_LIMIT_MS / 1000;
	if (freezer && pb_set_str(&opts->freeze_cgroup, freezer, e) < 0)
		return -1;
	if (fill_memory_opts(c, opts, e) < 0)
		return -1;
	if (o->page_server_fd > 0) {
		if (!(opts->ps = pb_new(&criu__page_server__descriptor, e)))
			return -1;
		opts->ps->has_fd = true;
		opts->ps->fd = o->page_server_fd;
	}
	if (cgroup_pids(c->cgroup, &pids, &n, e) < 0 || watches_add(pids, n, c->state->pid, opts, e) < 0)
		return -1;
	return external_dump(c->spec, c->state->pid, opts, e) < 0 ? -1 : external_stdio_dump(c->state->pid, &c->stdio, opts, e);
}

static int save_beside(struct checkpoint *c, struct err *e)
{
	timens_sample_again(&c->clock); /* all timers have been read by now: what was left of them then is no less than now */
	if (external_stdio_write(c->images, &c->stdio, e) < 0 || clocks_record(c->images, &c->clock, c->state->own_timens, e) < 0)
		return -1;
	return c->inside.pid > 0 ? network_record(&c->inside, c->images, c->obstacles, e) : 0;
}

static int save(struct checkpoint *c, struct err *e)
{
	if (c->saved)
		return 0;
	c->saved = true;
	if (!c->o->pre_dump && save_beside(c, e) < 0)
		return -1;
	/* Restored tasks open images as the container's root. */
	return fchmod(c->images, 0755) < 0 ? err_sys(e, errno, "chmod %s", c->o->image_path) : 0;
}

/* With lazy pages the images are used from here on, while criu goes on serving memory. */
static int on_lazy_ready(struct checkpoint *c, struct err *e)
{
	if (save(c, e) < 0)
		return -1;
	return c->o->status_fd > 0 && write(c->o->status_fd, "", 1) != 1 ? err_sys(e, errno, "--status-fd %d", c->o->status_fd) : 0;
}

static int record_timers(const struct checkpoint *c, struct err *e)
{
	auto_free pid_t *pids = NULL;
	size_t n = 0;

	return cgroup_pids(c->cgroup, &pids, &n, e) < 0 ? -1 : timerfds_record(pids, n, c->state->pid, c->images, e);
}

static int record_stopped(struct checkpoint *c, struct err *e)
{
	if (timens_sample(c->state->pid, &c->clock, e) < 0 || record_timers(c, e) < 0)
		return -1;
	return !c->o->pre_dump && c->inside.pid == 0 && network_may_differ(c->spec) ? inside_read_begin(c->state->pid, c->network, &c->inside, e) : 0;
}

/* Clocks, timers and the network are read while the tasks stand still: at the first notification after the freeze. */
static int on_notify(void *arg, const char *action, pid_t pid, int fd, struct err *e)
{
	struct checkpoint *c = arg;

	(void)pid, (void)fd;
	if (str_eq(action, "status-ready"))
		return on_lazy_ready(c, e);
	if (str_eq(action, "network-lock") || (str_eq(action, "query-ext-files") && !c->clock.has_container_monotonic))
		return record_stopped(c, e);
	return 0;
}

static int no_serving_begin(struct no_serving *n, Criu__CriuOpts *opts, struct err *e)
{
	int sv[2];
	if (fd_socketpair(SOCK_STREAM, sv, e) < 0)
		return -1;
	n->socket = fd_dup(sv[0], e);
	close(sv[0]);
	close(sv[1]);
	if (n->socket < 0 || (n->config = memfd_create("criu.conf", MFD_CLOEXEC)) < 0)
		return err_sys(e, errno, "criu's configuration");
	snprintf(n->text, sizeof(n->text), "ps-socket %d\n", n->socket);
	snprintf(n->path, sizeof(n->path), "/proc/self/fd/%d", n->config);
	return fd_write_all(n->config, n->text, strlen(n->text), e) < 0 ? -1 : pb_set_str(&opts->config_file, n->path, e);
}

/* What criu has from its start: it makes itself ready while the container is looked at. */
static int begin_criu(struct checkpoint *c, struct err *e)
{
	size_t nfds = 0;

	if (!(c->opts = pb_new(&criu__criu_opts__descriptor, e)) || (c->o->lazy_elsewhere && no_serving_begin(&c->none, c->opts, e) < 0))
		return -1;
	if (c->o->page_server_fd > 0)
		c->fds[nfds++] = c->o->page_server_fd;
	if (c->o->lazy_elsewhere) {
		c->fds[nfds++] = c->none.socket;
		c->fds[nfds++] = c->none.config;
	}
	/* Also one that is not its own: the caller may be in another than the container was made in. */
	if (timens_supported() && (c->timens = timens_of_pid(c->state->pid, e)) < 0)
		return -1;
	criu__criu_req__init(&c->req);
	c->req.type = c->o->pre_dump ? CRIU__REQ_TYPE__REQ_SINGLE_PRE_DUMP : CRIU__REQ_TYPE__REQ_DUMP;
	c->req.opts = c->opts;
	c->callbacks = (struct criu_callbacks){ on_notify, c };
	c->call = (struct criu_call){ .criu = c->criu,
				      .req = &c->req,
				      .fds = c->fds,
				      .nfds = nfds,
				      .timens_fd = c->timens,
				      .tmp_dir = criu_tmp_dir(c->rt),
				      .log_dirfd = c->work,
				      .cb = &c->callbacks,
				      .cancel_fd = c->o->cancel_fd > 0 ? c->o->cancel_fd : -1 };
	return (c->running = criu_begin(&c->call, e)) ? 0 : -1;
}

static int dump(struct checkpoint *c, struct err *e)
{
	if (fill_opts(c, c->opts, e) < 0)
		return -1;
	auto_pb(Criu__CriuResp) *resp = criu_ask(steal_ptr(&c->running), c->obstacles, e);
	return resp ? 0 : -1;
}

static int hold_network(struct checkpoint *c, struct err *e)
{
	if (!c->network || c->network->n_attachments == 0 || c->was_paused || c->o->pre_dump)
		return 0;
	c->holds = true;
	return net_hold(c->network, c->dir.id, e);
}

/* A criu that was killed could not put its connections back. */
static void mend_sockets(const struct checkpoint *c)
{
	auto_free pid_t *pids = NULL;
	size_t n = 0;

	if (cgroup_pids(c->cgroup, &pids, &n, NULL) == 0)
		criu_sockets_let_go(pids, n);
}

/* After a failure, or with leave_running: running again if it was. CRIU of a failed dump may leave a v1 cgroup frozen. */
static void put_back(struct checkpoint *c)
{
	struct err e = { 0 };

	if (!c->was_paused && cgroup_is_frozen(c->cgroup) && cgroup_freeze(c->cgroup, false, FREEZE_LIMIT_MS, &e) < 0)
		log_err(LOG_LEVEL_ERROR, c->dir.id, &e);
	if (c->was_paused && state_init_alive(c->state) && !cgroup_is_frozen(c->cgroup) && cgroup_freeze(c->cgroup, true, FREEZE_LIMIT_MS, &e) < 0)
		log_err(LOG_LEVEL_ERROR, c->dir.id, &e);
	if (c->holds && net_release(c->network, c->dir.id, &e) < 0)
		log_err(LOG_LEVEL_ERROR, c->dir.id, &e);
}

/* CRIU has sent SIGKILL to all; the monitor, or whoever is the parent, reaps. */
static int wait_end(struct checkpoint *c, struct err *e)
{
	if (cgroup_is_frozen(c->cgroup))
		cgroup_freeze(c->cgroup, false, FREEZE_LIMIT_MS, NULL);
	auto_close int pidfd = proc_pidfd_open(c->state->pid, NULL);
	if (pidfd < 0)
		return 0;
	int ready = fd_wait(pidfd, POLLIN, END_LIMIT_MS, e);
	return ready == 0 ? err_set(e, ERR_TIMEOUT, 0, "container %s does not end after its checkpoint", c->dir.id) : ready < 0 ? -1 : 0;
}

/* Told before the container is stopped for it. */
static int check_tracking(struct checkpoint *c, struct err *e)
{
	Criu__Features features = CRIU__FEATURES__INIT;

	if (!c->o->pre_dump && !c->o->parent_path)
		return 0;
	if (criu_features(c->criu, criu_tmp_dir(c->rt), &features, e) < 0)
		return -1;
	if (features.mem_track)
		return 0;
	err_set(e, ERR_UNSUPPORTED, 0, "--pre-dump and --parent-path: this kernel does not track written memory for criu (soft-dirty bits)");
	return err_remedy(e, "checkpoint without them, or on a kernel with CONFIG_MEM_SOFT_DIRTY");
}

int container_checkpoint(const struct runtime *rt, const char *id, const struct checkpoint_options *o, struct err *e)
{
	auto_cleanup(checkpoint_free) struct checkpoint c = { .rt = rt,
							      .o = o,
							      .dir = { .fd = -1, .lock = -1 },
							      .images = -1,
							      .work = -1,
							      .clock = DAVIT__CLOCK_SAMPLE__INIT,
							      .none = { -1, -1, "", "" },
							      .timens = -1,
							      .inside = INSIDE_READER_NONE };
	auto_pb(Davit__ObstacleList) *own = NULL;

	if (open_container(&c, id, e) < 0 || open_folders(&c, e) < 0 ||
	    !(c.obstacles = o->obstacles ? o->obstacles : (own = pb_new(&davit__obstacle_list__descriptor, e))))
		return -1;
	if (!(c.criu = criu_find(rt->criu, criu_tmp_dir(rt), e)) || begin_criu(&c, e) < 0)
		return -1;
	if (refuse_early(&c, e) < 0 || check_parent(&c, e) < 0 || check_tracking(&c, e) < 0)
		return -1;
	if (hold_network(&c, e) < 0 || dump(&c, e) < 0) {
		mend_sockets(&c);
		put_back(&c);
		explain(&c, e);
		return -1;
	}
	int rc = save(&c, e);
	if (o->leave_running || o->pre_dump)
		put_back(&c);
	else if (rc == 0)
		rc = wait_end(&c, e);
	return rc;
}
