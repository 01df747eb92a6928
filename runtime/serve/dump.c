/* dump: a paused container leaves as four streams.
 *
 * The layer and the log are written by tasks of their own while CRIU dumps; CRIU's memory pages go straight to the agent's socket and touch no disk;
 * its other images, small, are written to RUN/tmp (a tmpfs) and follow as a tar when CRIU is done. The container stays paused whatever happens; so
 * its network, held since the pause, stays held. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "proto/pb.h"
#include "runtime/criu/images.h"
#include "runtime/layer/layer.h"
#include "runtime/serve/facts.h"
#include "runtime/serve/logs.h"
#include "runtime/serve/ops.h"
#include "runtime/serve/peers.h"
#include "runtime/serve/records.h"
#include "runtime/serve/stream.h"
#include "runtime/serve/task.h"
#include "runtime/timens.h"

enum { IMAGES, LAYER, PAGES, LOG, STREAMS };
enum { TASK_LAYER, TASK_LOG, TASKS };

struct dump {
	const struct request *r;
	struct place place;
	int ours[STREAMS], theirs[STREAMS];
	int done[2]; /* closed when nothing more comes to the log */
	struct task tasks[TASKS];
	struct peers peers;
};

static void close_all(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fd_closep(&fds[i]);
}

static void dump_free(struct dump *d)
{
	close_all(d->ours, STREAMS);
	close_all(d->theirs, STREAMS);
	close_all(d->done, 2);
	task_end_all(d->tasks, TASKS);
	peers_end(&d->peers);
	if (d->place.move)
		(void)file_remove_tree(AT_FDCWD, d->place.move, NULL);
	place_free(&d->place);
}

static int open_streams(struct dump *d, struct err *e)
{
	int p[2];
	for (int i = 0; i < STREAMS; i++) {
		if (stream_open(i == PAGES, p, e) < 0)
			return -1;
		d->theirs[i] = p[0];
		d->ours[i] = p[1];
	}
	return fd_pipe(d->done, e);
}

static int open_folders(const struct dump *d, struct err *e)
{
	if (file_remove_tree(AT_FDCWD, d->place.move, e) < 0 || file_mkdir_p(d->place.move, 0700, e) < 0 ||
	    file_mkdir_p(d->place.images, 0755, e) < 0)
		return -1;
	return 0;
}

static int send_layer(void *arg, uint64_t *bytes, struct err *e)
{
	const struct dump *d = arg;
	return layer_export(d->place.layer, d->ours[LAYER], bytes, e);
}

static int send_log(void *arg, uint64_t *bytes, struct err *e)
{
	const struct dump *d = arg;
	return logs_send(&d->place, d->ours[LOG], d->done[0], bytes, e);
}

static int start_tasks(struct dump *d, struct err *e)
{
	d->tasks[TASK_LAYER].done = d->r->msg->dump->without_layer;
	if (!d->tasks[TASK_LAYER].done && task_start(&d->tasks[TASK_LAYER], "layer", (int[]){ d->ours[LAYER] }, 1, send_layer, d, e) < 0)
		return -1;
	if (task_start(&d->tasks[TASK_LOG], "log", (int[]){ d->ours[LOG], d->done[0] }, 2, send_log, d, e) < 0)
		return -1;
	fd_closep(&d->ours[LAYER]);
	fd_closep(&d->ours[LOG]);
	fd_closep(&d->done[0]);
	return 0;
}

static int checkpoint(struct dump *d, Davit__ObstacleList *obstacles, struct err *e)
{
	const struct request *r = d->r;
	const struct checkpoint_options o = {
		.image_path = d->place.images,
		.work_path = d->place.move,
		.leave_running = true, /* paused, as it is */
		.tcp_established = !r->msg->dump->tcp_close,
		.tcp_close = r->msg->dump->tcp_close,
		.file_locks = true,
		.lazy_pages = r->msg->dump->lazy_pages,
		.lazy_elsewhere = r->msg->dump->lazy_pages,
		.page_server_fd = r->msg->dump->lazy_pages ? -1 : d->ours[PAGES],
		.cancel_fd = r->cancel,
		.obstacles = obstacles,
	};
	int rc = container_checkpoint(&r->core->rt, r->name, &o, e);
	fd_closep(&d->ours[PAGES]);
	return rc;
}

static int send_images(struct dump *d, uint64_t *bytes, struct err *e)
{
	auto_close int dir = file_open_dir(AT_FDCWD, d->place.images, e);
	if (dir < 0 || layer_export_flat(dir, d->ours[IMAGES], NULL, bytes, e) < 0)
		return -1;
	fd_closep(&d->ours[IMAGES]);
	return 0;
}

/* The causes go with the error, all of them: the whole list is what a person needs. */
static void add_obstacles(Davit__ObstacleList *list, struct answer *a, const struct err *e)
{
	Davit__Error *error = list->n_obstacles ? pb_error(e) : NULL;
	if (!error)
		return;
	error->n_obstacles = list->n_obstacles;
	error->obstacles = steal_ptr(&list->obstacles);
	list->n_obstacles = 0;
	a->error = error;
}

static int run_dump(struct dump *d, const Davit__ContainerStatus *s, struct answer *a, Davit__DumpDone *out, struct err *e)
{
	auto_pb(Davit__ObstacleList) *obstacles = pb_new(&davit__obstacle_list__descriptor, e);
	if (!obstacles || open_folders(d, e) < 0 || open_streams(d, e) < 0 || request_streams(d->r, d->theirs, STREAMS, e) < 0)
		return -1;
	close_all(d->theirs, STREAMS);
	if (start_tasks(d, e) < 0 || (s->spec->n_attachments && peers_begin(&d->peers, &d->place, s->pid, !d->r->msg->dump->tcp_close, e) < 0))
		return -1;
	if (checkpoint(d, obstacles, e) < 0) {
		add_obstacles(obstacles, a, e);
		return -1;
	}
	fd_closep(&d->done[1]);
	if (send_images(d, &out->images_bytes, e) < 0 || task_wait_all(d->tasks, TASKS, d->r->cancel, e) < 0 || peers_take(&d->peers, out, e) < 0)
		return -1;
	out->has_images_bytes = out->has_layer_bytes = out->has_log_bytes = true;
	out->layer_bytes = d->tasks[TASK_LAYER].bytes;
	out->log_bytes = d->tasks[TASK_LOG].bytes;
	return 0;
}

/* Its peers are told if it is deleted here (lifecycle.c). */
static int note_reset(const struct dump *d, struct err *e)
{
	auto_pb(Davit__ContainerRecord) *r = record_load(&d->place, e);
	if (!r)
		return -1;
	r->has_tcp_reset = r->tcp_reset = true;
	return record_save(&d->place, r, false, e);
}

static int set_clock(const struct dump *d, const Davit__ContainerStatus *s, Davit__DumpDone *out, struct err *e)
{
	auto_pb(Davit__ContainerRecord) *r = record_load(&d->place, e);
	if (!r)
		return -1;
	if (!r->paused) { /* paused by other hands than ours: the clocks of now are the nearest that can be known */
		out->clock = pb_new(&davit__clock_sample__descriptor, e);
		return out->clock ? timens_sample(s->pid, out->clock, e) : -1;
	}
	out->clock = steal_ptr(&r->paused);
	out->has_frozen_us = true;
	out->frozen_us = (uint64_t)(clock_now_ns(CLOCK_BOOTTIME) - out->clock->host_boottime) / 1000;
	return 0;
}

static int set_details(const struct dump *d, Davit__DumpDone *out, struct err *e)
{
	auto_pb(Davit__RuntimeState) *rs = record_runtime(d->r->core, d->r->name, e);
	if (!rs)
		return -1;
	for (size_t i = 0; i < rs->n_descriptors; i++)
		if (pb_push_str(&out->n_descriptors, &out->descriptors, rs->descriptors[i], e) < 0)
			return -1;
	auto_pb(Davit__HostFacts) *criu = facts_criu_known(d->r->core);
	if (criu && criu->criu_version && pb_set_str(&out->criu_version, criu->criu_version, e) < 0)
		return -1;
	auto_close int work = file_open_dir(AT_FDCWD, d->place.move, NULL);
	auto_pb(Criu__StatsEntry) *stats = NULL;
	if (work >= 0 && criu_images_dump_stats(work, &stats, NULL) == 0 && stats && stats->dump) {
		out->has_pages = true;
		out->pages = stats->dump->pages_written;
	}
	return 0;
}

int op_dump(const struct request *r, struct answer *a, struct err *e)
{
	auto_cleanup(
	    dump_free) struct dump d = { .r = r, .ours = { -1, -1, -1, -1 }, .theirs = { -1, -1, -1, -1 }, .done = { -1, -1 }, .peers = PEERS_NONE };
	auto_pb(Davit__ContainerStatus) *s = record_require(r->core, r->name, "paused", e);
	if (!s || place_of(r->core, r->name, &d.place, e) < 0)
		return -1;
	if (filling_wait(r, e) < 0)
		return -1;
	Davit__DumpDone *out = pb_new(&davit__dump_done__descriptor, e);
	if (!out)
		return -1;
	a->reply->result_case = DAVIT__CORE_REPLY__RESULT_DUMP;
	a->reply->dump = out;
	if (run_dump(&d, s, a, out, e) < 0 || (r->msg->dump->tcp_close && note_reset(&d, e) < 0))
		return -1;
	return set_clock(&d, s, out, e) < 0 ? -1 : set_details(&d, out, e);
}
