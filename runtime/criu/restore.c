/* container_restore(): a container out of a folder of images.
 *
 * The frame is create's (runtime/create.h): bundle, state folder, cgroup. Between, instead of the init stages, criu:
 *   before             its time namespace is made with the offsets that the container is to have, and criu enters it; images that name the
 *                      source's ids, cgroup and clocks are replaced in criu's eyes; rootfs and mount sources are staged; `check_images`: what they
 *                      hold is compared with config.json (trust.h)
 *   setup-namespaces   the first process exists in its user and network namespaces, and waits: it is put into the cgroup, where all others follow it,
 *                      its network is made, and the host's hooks run
 *   post-restore       all processes stand as they were: the state is written, since from here the container is there
 *   pre-resume         `paused`: the freezer is asked to stop the tasks before they come to user mode
 * init becomes our child (rst_sibling), and our parent's when we end: the monitor's, which is a subreaper. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "runtime/console.h"
#include "runtime/create.h"
#include "runtime/criu/clocks.h"
#include "runtime/criu/criu.h"
#include "runtime/criu/external.h"
#include "runtime/criu/images.h"
#include "runtime/criu/network.h"
#include "runtime/criu/options.h"
#include "runtime/criu/stage.h"
#include "runtime/criu/timers.h"
#include "runtime/criu/timerfds.h"
#include "runtime/criu/trust.h"
#include "runtime/hooks.h"
#include "runtime/init/init.h"
#include "runtime/namespace.h"
#include "runtime/userfault.h"

#define OVER_FOLDER "images"
#define FREEZE_LIMIT_MS 10000
#define EXPECT_LIMIT_MS 1000

struct restore {
	const struct restore_options *o; /* own */
	struct restore_options own;
	struct timens_offsets offsets; /* of the word that was waited for */
	struct create_options create;
	struct create c;
	int images, work, over; /* folders */
	int timens, netns, console;
	int stdio[3];
	char *criu;
	struct stage stage;
	struct trust trust;
	struct userfault_leave userfault;
	pid_t expects; /* cgroup_attach_expect() */
	Criu__CriuOpts *opts;
};

static void restore_free(struct restore *r)
{
	userfault_give_back(&r->userfault);
	if (r->expects > 0)
		proc_wait(r->expects, EXPECT_LIMIT_MS, NULL);
	create_end(&r->c);
	fd_closep(&r->images);
	fd_closep(&r->work);
	fd_closep(&r->over);
	fd_closep(&r->timens);
	fd_closep(&r->netns);
	fd_closep(&r->console);
	for (int i = 0; i < 3; i++)
		fd_closep(&r->stdio[i]);
	mem_freep(&r->criu);
	stage_free(&r->stage);
	trust_free(&r->trust);
	pb_freep(&r->opts);
}

static int open_folders(struct restore *r, struct err *e)
{
	const char *work = r->o->work_path;

	if (!r->o->image_path)
		return err_field(e, "image-path", "the folder of the images is needed");
	r->images = file_open_dir(AT_FDCWD, r->o->image_path, e);
	if (r->images < 0 || (work && file_mkdir_p(work, 0700, e) < 0))
		return -1;
	if (!file_exists(r->images, "inventory.img"))
		return err_set(e, ERR_NOT_FOUND, 0, "%s holds no images of a container", r->o->image_path);
	r->work = work ? file_open_dir(AT_FDCWD, work, e) : fd_dup(r->c.dir.fd, e);
	if (r->work < 0)
		return -1;
	if (mkdirat(r->c.dir.fd, OVER_FOLDER, 0755) < 0)
		return err_sys(e, errno, "make a folder for images");
	r->over = file_open_dir(r->c.dir.fd, OVER_FOLDER, e);
	return r->over < 0 ? -1 : 0;
}

static int plan_clocks(struct restore *r, struct err *e)
{
	struct clocks_plan plan;
	Davit__RuntimeState *state = r->c.state;

	if (clocks_plan(r->images, r->o->offsets, state->own_timens, &plan, e) < 0)
		return -1;
	/* overlayfs takes this for a file that is not there. */
	if (plan.hide[0] && mknodat(r->over, plan.hide, S_IFCHR, 0) < 0)
		return err_sys(e, errno, "hide %s", plan.hide);
	if (criu_images_set_timers(r->images, r->over, &plan.elapsed, e) < 0 || criu_images_set_task_timers(r->images, r->over, &plan.elapsed, e) < 0)
		return -1;
	if (!plan.make)
		return 0;
	state->own_timens = true;
	r->timens = timens_new(&plan.off, e);
	return r->timens < 0 ? -1 : 0;
}

static int plan_ids(struct restore *r, struct err *e)
{
	if (r->o->ids)
		return criu_images_set_ids(r->images, r->over, r->o->ids, e);
	return criu_images_set_maps(r->images, r->over, r->c.spec->linux, e);
}

static int plan_network(struct restore *r, struct err *e)
{
	auto_ns_set struct ns_set set;

	ns_set_init(&set);
	if (ns_set_of_spec(r->c.spec, &set, e) < 0)
		return -1;
	if (set.how[NS_NETWORK] != NS_JOIN)
		return 0;
	Criu__InheritFd *entry = pb_new(&criu__inherit_fd__descriptor, e);
	if (!entry || pb_push(&r->opts->n_inherit_fd, &r->opts->inherit_fd, entry, e) < 0 || pb_set_str(&entry->key, EXTERNAL_NETNS, e) < 0)
		return -1;
	r->netns = fd_dup(set.fd[NS_NETWORK], e);
	entry->fd = r->netns;
	return r->netns < 0 ? -1 : 0;
}

static int plan_stdio(struct restore *r, struct err *e)
{
	auto_strv struct strv names = { 0 };

	if (file_exists(r->images, "descriptors.json") && external_stdio_read(r->images, &names, e) < 0)
		return -1;
	for (int i = 0; i < 3; i++)
		if ((r->stdio[i] = fd_dup(r->o->create.stdio[i], e)) < 0)
			return err_prefix(e, "standard stream %d", i);
	init_give_stdio(r->stdio, r->c.spec);
	if (external_stdio_restore(&names, r->stdio, r->opts, e) < 0)
		return -1;
	if (!r->c.spec->process->terminal)
		return 0;
	if (!r->o->create.console_socket) {
		err_field(e, "process.terminal", "a terminal needs somebody who holds it");
		return err_remedy(e, "pass --console-socket");
	}
	r->console = console_connect(r->o->create.console_socket, e);
	return r->console < 0 ? -1 : 0;
}

/* Before CRIU reads any of them. */
static int check_images(struct restore *r, struct err *e)
{
	r->trust = (struct trust){ .c = &r->c, .opts = r->opts, .images = r->images, .over = r->over, .rootfs = stage_root(&r->stage) };
	return r->o->check_images ? trust_check(&r->trust, e) : 0;
}

/* Until the word comes there is no limit: the source may need any time, and who began this ends it. */
static int wait_go(struct restore *r, struct err *e)
{
	struct restore_go go;

	if (r->own.go_fd <= 0)
		return 0;
	int rc = fd_read_exact(r->own.go_fd, &go, sizeof(go), e);
	if (rc < 0)
		return -1;
	if (rc == 0 || !go.go)
		return err_set(e, ERR_CANCELLED, 0, "the container will not come");
	r->offsets = (struct timens_offsets){ go.offset_monotonic, go.offset_boottime };
	r->own.offsets = go.has_offsets ? &r->offsets : NULL;
	r->own.tcp_close = go.tcp_close;
	r->own.tcp_established = !go.tcp_close;
	return create_reload_network(&r->c, e);
}

/* What needs no images. */
static int plan_ahead(struct restore *r, struct err *e)
{
	if (!(r->criu = criu_find(r->c.rt->criu, criu_tmp_dir(r->c.rt), e)) || !(r->opts = pb_new(&criu__criu_opts__descriptor, e)))
		return -1;
	return stage_mounts(&r->c, &r->stage, r->opts, e);
}

static int plan(struct restore *r, struct err *e)
{
	const struct restore_options *o = r->o;
	const struct criu_choices choices = { o->tcp_established, o->tcp_close,	 o->ext_unix_sk, o->shell_job,	      o->file_locks,
					      o->lazy_pages,	  o->auto_dedup, o->lsm_profile, o->lsm_mount_context };

	if (open_folders(r, e) < 0 || criu_opts_common(r->c.spec, &choices, r->work, "restore.log", r->opts, e) < 0)
		return -1;
	r->opts->has_rst_sibling = r->opts->rst_sibling = true;
	if (plan_clocks(r, e) < 0 || plan_ids(r, e) < 0 || plan_network(r, e) < 0 || plan_stdio(r, e) < 0)
		return -1;
	if (check_images(r, e) < 0)
		return -1;
	if (stage_cgroup(&r->c, r->images, r->over, &r->stage, r->opts, e) < 0)
		return -1;
	return stage_images(r->images, r->over, &r->stage, r->opts, e);
}

static int run_hooks(struct create *c, const char *status, bool poststart, struct err *e)
{
	const Davit__OciHooks *h = c->spec->hooks;

	if (!h)
		return 0;
	auto_pb(Davit__OciState) *state = create_oci_state(c->state, status, e);
	if (!state)
		return -1;
	if (poststart)
		return hooks_run("poststart", h->poststart, h->n_poststart, state, e);
	if (hooks_run("prestart", h->prestart, h->n_prestart, state, e) < 0)
		return -1;
	return hooks_run("createRuntime", h->create_runtime, h->n_create_runtime, state, e);
}

static int setup_namespaces(struct restore *r, pid_t pid, struct err *e)
{
	if (cgroup_attach(r->c.cgroup, pid, e) < 0 || network_restore_settings(r->c.spec, pid, e) < 0 || create_network_of(&r->c, pid, e) < 0 ||
	    network_restore(r->images, r->c.spec, pid, r->c.network, e) < 0)
		return -1;
	r->c.state->has_pid = true;
	r->c.state->pid = pid;
	return run_hooks(&r->c, "creating", false, e);
}

/* Its tasks are about to be made, as the root of a user namespace. */
static int leave_userfault(struct restore *r, struct err *e)
{
	if (!r->o->lazy_pages || ns_how_of_spec(r->c.spec, NS_USER) != NS_NEW)
		return 0;
	const char *folder = criu_tmp_dir(r->c.rt);
	return folder ? userfault_take(&r->userfault, folder, e) : err_set(e, ERR_UNSUPPORTED, 0, "a lazy restore needs a folder on a tmpfs");
}

static int settle_timers(struct restore *r, struct err *e)
{
	auto_free pid_t *pids = NULL;
	size_t n = 0;

	return cgroup_pids(r->c.cgroup, &pids, &n, e) < 0 ? -1 : timerfds_settle(pids, n, r->c.state->pid, r->images, e);
}

static int on_notify(void *arg, const char *action, pid_t pid, int fd, struct err *e)
{
	struct restore *r = arg;

	if (str_eq(action, "setup-namespaces"))
		return setup_namespaces(r, pid, e) < 0 ? -1 : leave_userfault(r, e);
	if (str_eq(action, "orphan-pts-master") && fd >= 0 && r->console >= 0)
		return console_send(r->console, fd, "/dev/console", e);
	if (str_eq(action, "post-restore")) {
		userfault_give_back(&r->userfault); /* all tasks have opened theirs */
		return create_record(&r->c, pid, "running", e);
	}
	if (!str_eq(action, "pre-resume"))
		return 0;
	if (trust_cover(&r->trust, r->c.state->pid, e) < 0 || settle_timers(r, e) < 0)
		return -1;
	return r->o->paused ? cgroup_freeze_begin(r->c.cgroup, e) : 0;
}

static int run_criu(struct restore *r, struct err *e)
{
	Criu__CriuReq req = CRIU__CRIU_REQ__INIT;
	struct criu_callbacks cb = { on_notify, r };
	int fds[4], cancel = r->o->cancel_fd;
	size_t n = 0;

	for (size_t i = 0; i < r->opts->n_inherit_fd; i++)
		fds[n++] = r->opts->inherit_fd[i]->fd;
	req.type = CRIU__REQ_TYPE__REQ_RESTORE;
	req.opts = r->opts;
	struct criu_call call = { .criu = r->criu,
				  .req = &req,
				  .fds = fds,
				  .nfds = n,
				  .timens_fd = r->timens,
				  .tmp_dir = criu_tmp_dir(r->c.rt),
				  .trees = r->stage.trees,
				  .ntrees = r->stage.n,
				  .log_dirfd = r->work,
				  .cb = &cb,
				  .cancel_fd = cancel > 0 ? cancel : -1 };
	auto_pb(Criu__CriuResp) *resp = criu_run(&call, r->o->obstacles, e);
	return resp ? resp->restore->pid : -1;
}

static int restore(struct restore *r, struct err *e)
{
	struct err hook = { 0 };

	if (plan_ahead(r, e) < 0 || wait_go(r, e) < 0 || plan(r, e) < 0)
		return -1;
	pid_t pid = run_criu(r, e);
	if (pid < 0)
		return -1;
	if (r->o->pid)
		*r->o->pid = pid;
	/* Asked for at pre-resume; now it is waited for. */
	if (r->o->paused && cgroup_freeze(r->c.cgroup, true, FREEZE_LIMIT_MS, e) < 0)
		return -1;
	if (create_pid_file(r->o->create.pid_file, pid, e) < 0)
		return -1;
	/* config.md: a failing poststart hook is logged, and the container goes on. */
	if (run_hooks(&r->c, "running", true, &hook) < 0)
		log_err(LOG_LEVEL_WARN, r->c.dir.id, &hook);
	file_remove_tree(r->c.dir.fd, OVER_FOLDER, NULL);
	return 0;
}

int container_restore(const struct runtime *rt, const char *id, const struct restore_options *o, struct err *e)
{
	auto_cleanup(restore_free) struct restore r = { .own = *o,
							.images = -1,
							.work = -1,
							.over = -1,
							.timens = -1,
							.netns = -1,
							.console = -1,
							.stdio = { -1, -1, -1 },
							.userfault = USERFAULT_NONE };

	r.o = &r.own;
	r.create = o->create;
	r.create.no_filter = !o->check_images;
	r.expects = cgroup_attach_expect();
	if (create_begin(rt, id, &r.create, &r.c, e) < 0)
		return -1;
	if (restore(&r, e) == 0)
		return 0;
	create_abort(&r.c);
	return -1;
}
