/* restore_prepare, restore_run, restore_drop: a container arrives.
 *
 * With `memory` a page store (runtime/pagestore) takes what the dump leaves behind, from before the dump until the container has all of it.
 *
 * prepare makes its place and takes the four streams at the same time: the layer unpacked in a jail, CRIU's images and memory into
 * RUN/tmp/moves/NAME/images, the log. run lets CRIU restore it, frozen before its first instruction. Images come from another host, and what they
 * restore must be no more than this host's policy gave: davit-runtime compares them with config.json before CRIU reads them (runtime/criu/trust.h),
 * and what came out is looked at again (restore_check.c). drop undoes either.
 *
 * "ready" with phase "restored" is on disk when run answers, so that from then on no fall of ours takes the container away; only restore_drop does.
 * It is written while CRIU works, since the container stands still meanwhile. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include "base/file.h"
#include "base/log.h"
#include "proto/pb.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/criu/criu.h"
#include "runtime/criu/page_server.h"
#include "runtime/layer/layer.h"
#include "runtime/net/conntrack.h"
#include "runtime/net/net.h"
#include "runtime/pagestore/pagestore.h"
#include "runtime/seccomp/seccomp.h"
#include "runtime/serve/ahead.h"
#include "runtime/serve/bundle.h"
#include "runtime/serve/facts.h"
#include "runtime/serve/lifecycle.h"
#include "runtime/serve/logs.h"
#include "runtime/serve/ops.h"
#include "runtime/serve/prepare.h"
#include "runtime/serve/records.h"
#include "runtime/serve/restore_check.h"
#include "runtime/serve/stream.h"
#include "runtime/serve/task.h"
#include "runtime/supervise/supervise.h"
#include "runtime/timens.h"
#include "runtime/userfault.h"

#define LOG_MAX_BYTES (48ULL << 20)

enum { IMAGES, LAYER, PAGES, LOG, STREAMS };

struct arrival {
	const struct request *r;
	struct place place;
	int ours[STREAMS], theirs[STREAMS];
	int images_dir, memory; /* memory: the agent's end of the page store's socket */
	char *criu;
	struct task tasks[STREAMS];
};

static void arrival_free(struct arrival *a)
{
	for (size_t i = 0; i < STREAMS; i++) {
		fd_closep(&a->ours[i]);
		fd_closep(&a->theirs[i]);
	}
	task_end_all(a->tasks, STREAMS);
	fd_closep(&a->images_dir);
	fd_closep(&a->memory);
	free(a->criu);
	place_free(&a->place);
}

static int open_streams(struct arrival *a, struct err *e)
{
	int p[2];
	for (int i = 0; i < STREAMS; i++) {
		if (stream_open(i == PAGES, p, e) < 0)
			return -1;
		a->ours[i] = p[0];
		a->theirs[i] = p[1];
	}
	return 0;
}

/* What arrives comes from a container that stands still, so packets for it may come here from the first byte on: they wait for its resume. Without
 * this they are lost until it is restored, which is no failure. */
static void catch_packets(const struct arrival *a, int stream)
{
	auto_pb(Davit__RuntimeNetwork) *n = file_exists(AT_FDCWD, a->place.network) ? net_load(a->place.network, NULL) : NULL;
	if (n && fd_wait(stream, POLLIN, -1, NULL) > 0) /* no limit: as the stream itself */
		(void)net_catch(n, a->r->name, NULL);
}

static int take_images(void *arg, uint64_t *bytes, struct err *e)
{
	const struct arrival *a = arg;
	static const struct layer_limits none;
	if (a->r->msg->restore_prepare->without_layer)
		catch_packets(a, a->ours[IMAGES]);
	/* They come when the container was dumped: its restore is next. */
	if (fd_wait(a->ours[IMAGES], POLLIN, -1, NULL) > 0) /* no limit: as the stream itself */
		(void)cgroup_attach_expect();
	return layer_import_flat(a->images_dir, a->ours[IMAGES], &none, bytes, e);
}

static int take_layer(void *arg, uint64_t *bytes, struct err *e)
{
	const struct arrival *a = arg;
	static const struct layer_limits none;
	catch_packets(a, a->ours[LAYER]);
	return layer_import(a->place.layer, a->ours[LAYER], &none, bytes, e);
}

/* Of a lazy dump what is not left behind is among the images, so the stream stays empty. */
static int take_no_pages(const struct arrival *a, struct err *e)
{
	char byte;
	int rc = fd_read_exact(a->ours[PAGES], &byte, 1, e);
	return rc > 0 ? err_set(e, ERR_PROTOCOL, 0, "pages come by two ways") : rc;
}

/* A source that ends before it sent any memory (its dump failed) is no error of ours: the images tell whether there is something to restore. */
static int take_pages(void *arg, uint64_t *bytes, struct err *e)
{
	struct arrival *a = arg;
	(void)bytes;
	if (a->r->msg->restore_prepare->memory)
		return take_no_pages(a, e);
	pid_t pid = criu_page_server(a->criu, a->r->core->criu_tmp, a->images_dir, a->ours[PAGES], e);
	if (pid < 0)
		return -1;
	fd_closep(&a->ours[PAGES]);
	return criu_page_server_wait(pid, a->images_dir, -1, e); /* no limit: the other host sends as fast as it can */
}

static int take_log(void *arg, uint64_t *bytes, struct err *e)
{
	const struct arrival *a = arg;
	return logs_receive(a->r->core, &a->place, a->ours[LOG], LOG_MAX_BYTES, bytes, e);
}

static int start_tasks(struct arrival *a, struct err *e)
{
	static const struct {
		const char *what;
		int (*run)(void *arg, uint64_t *bytes, struct err *e);
	} takers[STREAMS] = { [IMAGES] = { "images", take_images },
			      [LAYER] = { "layer", take_layer },
			      [PAGES] = { "pages", take_pages },
			      [LOG] = { "log", take_log } };
	for (size_t i = 0; i < STREAMS; i++)
		if (task_start(&a->tasks[i], takers[i].what, (int[]){ a->ours[i], a->images_dir }, 2, takers[i].run, a, e) < 0)
			return -1;
	for (size_t i = 0; i < STREAMS; i++)
		fd_closep(&a->ours[i]);
	return 0;
}

/* Processes that share pages since a fork have them each for itself after a move, hence more than the container's own limit. */
static uint64_t memory_limit(const Davit__ContainerSpec *s)
{
	uint64_t available = facts_memory_available();
	const Davit__Limits *l = s->limits;
	if (!l || !l->has_memory_bytes)
		return available;
	return MIN(available, 2 * MAX(l->memory_bytes, l->memory_swap_bytes));
}

static int start_store(struct arrival *a, struct err *e)
{
	const struct pagestore_options o = { .folder = a->place.monitor,
					     .work = a->place.move,
					     .images_dirfd = a->images_dir,
					     .limit = memory_limit(a->r->msg->restore_prepare->spec) };
	a->memory = pagestore_start(&o, e);
	return a->memory < 0 ? -1 : 0;
}

static int give_streams(struct arrival *a, struct err *e)
{
	int fds[STREAMS + 1];
	memcpy(fds, a->theirs, sizeof(a->theirs));
	fds[STREAMS] = a->memory;
	if (request_streams(a->r, fds, a->memory >= 0 ? STREAMS + 1 : STREAMS, e) < 0)
		return -1;
	for (size_t i = 0; i < STREAMS; i++)
		fd_closep(&a->theirs[i]);
	fd_closep(&a->memory);
	return 0;
}

static int add(struct strv *v, const char *option, const char *value, struct err *e)
{
	return strv_add(v, option, e) < 0 || (value && strv_add(v, value, e) < 0) ? -1 : 0;
}

/* davit-runtime restore, as far as it is known before the source stands still. The name has to follow. */
static int restore_command(const Davit__ContainerSpec *s, const Davit__IdRange *ids, const struct place *p, bool memory, struct strv *v,
			   struct err *e)
{
	if (launch_command(v, "restore", p->pid, e) < 0 || add(v, "--detach", NULL, e) < 0 || add(v, "--paused", NULL, e) < 0 ||
	    add(v, "--file-locks", NULL, e) < 0 || add(v, "--check-images", NULL, e) < 0)
		return -1;
	if (add(v, "--bundle", p->bundle, e) < 0 || add(v, "--image-path", p->images, e) < 0 || add(v, "--work-path", p->move, e) < 0)
		return -1;
	if (memory && add(v, "--lazy-pages", NULL, e) < 0)
		return -1;
	if (file_exists(AT_FDCWD, p->network) && add(v, "--network", p->network, e) < 0)
		return -1;
	return s->host_user_namespace ? 0 : add(v, "--ids", NULL, e) < 0 ? -1 : strv_addf(v, e, "%u:%u", ids->host_start, ids->size);
}

/* When the layer is there, while the last of what is dumped still comes. */
static int make_root(const struct arrival *a, struct err *e)
{
	const Davit__CoreRestorePrepare *q = a->r->msg->restore_prepare;
	return prepare_mounts(a->r->core, q->spec, q->ids, &a->place, e) < 0 ? -1
									     : prepare_bundle(a->r->core, q->spec, q->ids, &a->place, false, true, e);
}

/* The restore puts the spec's filter beside those of the images (runtime/criu/trust.h). It is compiled while the container still runs elsewhere. */
static void prepare_filter(const struct request *r)
{
	const Davit__ContainerSpec *spec = r->msg->restore_prepare->spec;
	struct seccomp_filter f = { 0 };
	auto_pb(Davit__OciSeccomp) *s = NULL;
	if (bundle_seccomp(spec, &s, NULL) == 0 && s)
		(void)seccomp_compile_cached(r->core->runtime_root, s, supervise_calls(spec->seccomp_supervisor), &f, NULL);
	seccomp_filter_free(&f);
}

/* Only where memory comes by a way of its own: else it follows the layer, and the restore would wait long. What fails here fails again in its turn,
 * and is told then. */
static void begin_ahead(const struct arrival *a)
{
	const Davit__CoreRestorePrepare *q = a->r->msg->restore_prepare;
	auto_strv struct strv command = { 0 };
	struct err e = { 0 };
	if (!q->memory)
		return;
	struct launch l = lifecycle_monitor(q->spec, &a->place, &command);
	if (restore_command(q->spec, q->ids, &a->place, true, &command, &e) < 0 || strv_add(&command, "--go-fd", &e) < 0 ||
	    strv_addf(&command, &e, "%d", LAUNCH_GO) < 0 || strv_add(&command, a->r->name, &e) < 0 || ahead_begin(a->r->core, &l, &a->place, &e) < 0)
		log_err(LOG_LEVEL_WARN, "begin a restore ahead", &e);
}

/* With a kept layer the stream must be empty. */
static int take_streams(struct arrival *a, struct err *e)
{
	const struct request *r = a->r;
	if (file_remove_tree(AT_FDCWD, a->place.move, e) < 0 || file_mkdir_p(a->place.move, 0700, e) < 0 ||
	    file_mkdir_p(a->place.images, 0755, e) < 0)
		return -1;
	if ((a->images_dir = file_open_dir(AT_FDCWD, a->place.images, e)) < 0 || !(a->criu = criu_find(r->core->criu, r->core->criu_tmp, e)))
		return -1;
	if ((r->msg->restore_prepare->memory && start_store(a, e) < 0) || open_streams(a, e) < 0 || give_streams(a, e) < 0)
		return -1;
	if (start_tasks(a, e) < 0)
		return -1;
	prepare_filter(r);
	if (r->msg->restore_prepare->without_layer)
		task_end_all(&a->tasks[LAYER], 1);
	if (task_wait_one(a->tasks, STREAMS, LAYER, r->cancel, e) < 0 || make_root(a, e) < 0)
		return -1;
	begin_ahead(a);
	return task_wait_all(a->tasks, STREAMS, r->cancel, e);
}

static int prepare(struct arrival *a, struct err *e)
{
	const Davit__CoreRestorePrepare *q = a->r->msg->restore_prepare;
	if (!q->without_layer && layer_create(a->place.layer, e) < 0)
		return -1;
	return prepare_network(a->r->core, q->spec, &a->place, true, NULL, e) < 0 ? -1 : take_streams(a, e);
}

/* Its processes have the files of that image mapped and open. */
static int check_image(const struct core *c, const Davit__CoreRestorePrepare *q, struct err *e)
{
	if (!q->image_digest || !q->image_digest[0])
		return 0;
	auto_pb(Davit__ImageInfo) *image = image_get(c->images_dir, q->spec->image, e);
	if (!image)
		return -1;
	if (str_eq(image->digest, q->image_digest))
		return 0;
	err_set(e, ERR_INCOMPATIBLE, 0, "image %s is another one than container %s ran on (%s, not %s)", image->name, q->spec->name, image->digest,
		q->image_digest);
	return err_remedy(e, "import the one it ran on");
}

int op_restore_prepare(const struct request *r, struct answer *answer, struct err *e)
{
	const Davit__CoreRestorePrepare *q = r->msg->restore_prepare;
	auto_cleanup(
	    arrival_free) struct arrival a = { .r = r, .ours = { -1, -1, -1, -1 }, .theirs = { -1, -1, -1, -1 }, .images_dir = -1, .memory = -1 };
	if ((q->has_cpuinfo && facts_check_cpu(r->core, &q->cpuinfo, e) < 0) || check_image(r->core, q, e) < 0)
		return -1;
	if (place_of(r->core, r->name, &a.place, e) < 0 || prepare_place(r->core, q->spec, q->ids, &a.place, "restoring", q->without_layer, e) < 0)
		return -1;
	if (prepare(&a, e) == 0) {
		answer->reply->result_case = DAVIT__CORE_REPLY__RESULT_RESTORE;
		answer->reply->restore = pb_new(&davit__restore_done__descriptor, e);
		return answer->reply->restore ? 0 : -1;
	}
	struct err undo = { 0 };
	task_end_all(a.tasks, STREAMS);
	if (prepare_undo(r->core, r->name, &a.place, q->without_layer, &undo) < 0)
		log_err(LOG_LEVEL_ERROR, "undo restore_prepare", &undo);
	return -1;
}

/* The layer is on disk before "restored" is: who has been told that the container is here lets go of its own. */
static int mark_restored(void *arg, uint64_t *bytes, struct err *e)
{
	const struct place *p = arg;
	(void)bytes;
	return layer_sync(p->layer, e) < 0 ? -1 : lifecycle_whole(p, "restored", e);
}

/* Back to what prepare had made. */
static void unmark(const struct core *c, const char *name, const struct place *p)
{
	struct err e = { 0 };
	auto_pb(Davit__ContainerRecord) *r = record_load(p, &e);
	if (container_delete(&c->rt, name, true, &e) < 0 && e.code != ERR_NOT_FOUND)
		log_err(LOG_LEVEL_ERROR, "undo restore_run", &e);
	if (!r || pb_set_str(&r->phase, "restoring", &e) < 0 || record_save(p, r, true, &e) < 0 || record_unready(p, &e) < 0)
		log_err(LOG_LEVEL_ERROR, "undo restore_run", &e);
}

static int note_restored(const struct place *p, bool held, struct err *e)
{
	auto_pb(Davit__ContainerRecord) *r = record_load(p, e);
	if (!r)
		return -1;
	r->has_network_held = true;
	r->network_held = held;
	return record_save(p, r, false, e);
}

/* Before its first packet, which this host would else translate anew. */
static int give_connections(const struct request *r, const struct place *p, struct err *e)
{
	const Davit__CoreRestoreRun *q = r->msg->restore_run;
	if (!q->n_connections || !file_exists(AT_FDCWD, p->network))
		return 0;
	auto_pb(Davit__RuntimeNetwork) *n = net_load(p->network, e);
	return n ? conntrack_add(n, q->connections, q->n_connections, e) : -1;
}

static int add_clock(struct strv *v, const Davit__CoreRestoreRun *q, struct err *e)
{
	if (strv_add(v, "--offset-monotonic", e) < 0 || strv_addf(v, e, "%lld", (long long)q->offset_monotonic) < 0)
		return -1;
	return strv_add(v, "--offset-boottime", e) < 0 || strv_addf(v, e, "%lld", (long long)q->offset_boottime) < 0 ? -1 : 0;
}

static pid_t launch(const struct request *r, const Davit__ContainerSpec *s, const Davit__ContainerRecord *rec, const struct place *p,
		    struct answer *a, struct err *e)
{
	const Davit__CoreRestoreRun *q = r->msg->restore_run;
	const struct restore_go go = { .go = true,
				       .has_offsets = !s->host_clocks,
				       .tcp_close = q->tcp_close,
				       .offset_monotonic = q->offset_monotonic,
				       .offset_boottime = q->offset_boottime };
	auto_strv struct strv command = { 0 };
	bool there;
	pid_t pid = ahead_go(p, &go, &there, &a->error, e);
	if (there)
		return pid;
	if (restore_command(s, rec->ids, p, q->memory, &command, e) < 0 ||
	    add(&command, q->tcp_close ? "--tcp-close" : "--tcp-established", NULL, e) < 0 || (!s->host_clocks && add_clock(&command, q, e) < 0) ||
	    strv_add(&command, r->name, e) < 0)
		return -1;
	const struct launch l = lifecycle_monitor(s, p, &command);
	return launch_run(r->core, &l, &a->error, e);
}

static int run(const struct request *r, const Davit__ContainerSpec *s, const Davit__ContainerRecord *rec, const struct place *p, struct answer *a,
	       struct err *e)
{
	struct task mark = { .fd = -1, .done = true };
	const Davit__CoreRestoreRun *q = r->msg->restore_run;
	bool held = q->hold_network;
	if (q->memory && pagestore_restore(p->monitor, q->memory_round, e) < 0)
		return -1;
	if (prepare_network(r->core, s, p, held, r->msg->restore_run, e) < 0 || give_connections(r, p, e) < 0)
		return -1;
	if (task_start(&mark, "mark as restored", NULL, 0, mark_restored, (void *)p, e) < 0)
		return -1;
	pid_t pid = launch(r, s, rec, p, a, e);
	struct err marked = { 0 };
	if (pid < 0)
		(void)userfault_put_back(r->core->criu_tmp, NULL); /* it may have been killed */
	if (task_wait_all(&mark, 1, -1, &marked) < 0 && pid >= 0) {
		*e = marked;
		return -1;
	}
	if (pid < 0 || restore_check(r->core, s, rec->ids, pid, e) < 0)
		return -1;
	if (q->memory && pagestore_running(p->monitor, pid, e) < 0)
		return -1;
	return note_restored(p, held, e);
}

static int answer_restored(const struct request *r, struct answer *a, struct err *e)
{
	Davit__RestoreDone *out = pb_new(&davit__restore_done__descriptor, e);
	if (!out)
		return -1;
	a->reply->result_case = DAVIT__CORE_REPLY__RESULT_RESTORE;
	a->reply->restore = out;
	if (!(out->status = record_status(r->core, r->name, e)) || !(out->clock = pb_new(&davit__clock_sample__descriptor, e)))
		return -1;
	return timens_sample(out->status->pid, out->clock, e);
}

int op_restore_run(const struct request *r, struct answer *a, struct err *e)
{
	auto_place p = { 0 };
	auto_pb(Davit__ContainerStatus) *status = record_require(r->core, r->name, "restoring", e);
	if (!status || place_of(r->core, r->name, &p, e) < 0)
		return -1;
	auto_pb(Davit__ContainerRecord) *rec = record_load(&p, e);
	if (!rec || run(r, status->spec, rec, &p, a, e) < 0 || answer_restored(r, a, e) < 0) {
		unmark(r->core, r->name, &p);
		return -1;
	}
	(void)file_remove_tree(AT_FDCWD, p.move, NULL); /* memory that is in the container now */
	return 0;
}

int op_restore_drop(const struct request *r, struct answer *a, struct err *e)
{
	auto_place p = { 0 };
	(void)a;
	if (place_of(r->core, r->name, &p, e) < 0)
		return -1;
	if (!file_exists(AT_FDCWD, p.bundle))
		return 0;
	auto_pb(Davit__ContainerRecord) *rec = record_load(&p, e);
	if (!rec)
		return -1;
	if (!rec->phase || str_eq(rec->phase, "creating")) {
		err_set(e, ERR_STATE, 0, "container %s is not being restored", r->name);
		return err_remedy(e, "delete it, if that is what is wanted");
	}
	if (record_unready(&p, e) < 0)
		return -1;
	return prepare_undo(r->core, r->name, &p, !rec->own_layer, e);
}
