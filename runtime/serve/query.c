/* Requests that change nothing: get, list, stats, processes, clock, check. They take no lock: every file is replaced whole. */
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/log.h"
#include "proto/pb.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/criu/obstacle.h"
#include "runtime/layer/layer.h"
#include "runtime/net/net.h"
#include "runtime/serve/ops.h"
#include "runtime/serve/records.h"
#include "runtime/state.h"
#include "runtime/timens.h"

/* A part of a list is sent before it outgrows a datagram together with the largest spec. */
#define PART_MAX (PB_DATAGRAM_MAX / 4)
#define PROCESSES_MAX 2048

int op_get(const struct request *r, struct answer *a, struct err *e)
{
	return answer_status(a, r->core, r->name, e);
}

struct list {
	const struct request *r;
	Davit__CoreReply *reply;
	size_t bytes;
};

static int list_new(struct list *l, struct err *e)
{
	l->bytes = 0;
	l->reply->result_case = DAVIT__CORE_REPLY__RESULT_LIST;
	l->reply->list = pb_new(&davit__container_status_list__descriptor, e);
	return l->reply->list ? 0 : -1;
}

static int list_one(void *arg, const char *name, struct err *e)
{
	struct list *l = arg;
	struct err gone = { 0 };
	auto_pb(Davit__ContainerStatus) *s = record_status(l->r->core, name, &gone);
	if (!s) {
		if (gone.code != ERR_NOT_FOUND)
			log_err(LOG_LEVEL_WARN, name, &gone);
		return 0;
	}
	size_t n = protobuf_c_message_get_packed_size(&s->base);
	if (l->bytes && l->bytes + n > PART_MAX) {
		if (request_part(l->r, l->reply, e) < 0)
			return -1;
		l->reply->has_more = l->reply->more = false;
		pb_freep(&l->reply->list);
		if (list_new(l, e) < 0)
			return -1;
	}
	l->bytes += n;
	Davit__ContainerStatusList *list = l->reply->list;
	return pb_push(&list->n_containers, &list->containers, steal_ptr(&s), e);
}

int op_list(const struct request *r, struct answer *a, struct err *e)
{
	struct list l = { .r = r, .reply = a->reply };
	return list_new(&l, e) < 0 ? -1 : record_each(r->core, list_one, &l, e);
}

int op_stats(const struct request *r, struct answer *a, struct err *e)
{
	auto_place p = { 0 };
	auto_pb(Davit__ContainerStatus) *s = record_require(r->core, r->name, "created running paused", e);
	auto_pb(Davit__RuntimeState) *rs = s ? record_runtime(r->core, r->name, e) : NULL;
	auto_cgroup struct cgroup *cg = NULL;
	if (!rs || place_of(r->core, r->name, &p, e) < 0 || cgroup_open(rs, &cg, e) < 0)
		return -1;
	Davit__ContainerStats *out = pb_new(&davit__container_stats__descriptor, e);
	if (!out)
		return -1;
	a->reply->result_case = DAVIT__CORE_REPLY__RESULT_STATS;
	a->reply->stats = out;
	if (cgroup_stats(cg, out, e) < 0)
		return -1;
	auto_pb(Davit__RuntimeNetwork) *n = file_exists(AT_FDCWD, p.network) ? net_load(p.network, e) : NULL;
	if (!n || n->n_attachments == 0)
		return 0;
	out->has_rx_bytes = out->has_tx_bytes = true;
	return net_stats(n, r->name, &out->rx_bytes, &out->tx_bytes, e);
}

/* The command line with spaces, or [comm] of a process without one. */
static int set_command(Davit__ProcessInfo *out, pid_t pid, struct err *e)
{
	char path[64], comm[64];
	size_t n = 0;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	auto_free char *text = file_read(AT_FDCWD, path, 65536, &n, NULL);
	for (size_t i = 0; text && i + 1 < n; i++)
		if (text[i] == 0 || (unsigned char)text[i] < ' ')
			text[i] = ' ';
	if (text && n && text[0])
		return pb_set_str(&out->command, text, e);
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	if (file_read_line(AT_FDCWD, path, comm, sizeof(comm), NULL) < 0)
		return 0;
	snprintf(path, sizeof(path), "[%.60s]", comm);
	return pb_set_str(&out->command, path, e);
}

/* A line of /proc/PID/status: the last number of NSpid is the innermost namespace's. */
static void take_line(Davit__ProcessInfo *out, const char *line)
{
	if (str_prefix(line, "PPid:")) {
		out->has_ppid = true;
		out->ppid = atoi(line + 5);
	} else if (str_prefix(line, "Uid:")) {
		out->has_uid = true;
		out->uid = (uint32_t)strtoul(line + 4, NULL, 10);
	} else if (str_prefix(line, "NSpid:")) {
		const char *last = strrchr(line, '\t');
		out->has_container_pid = last != NULL;
		out->container_pid = last ? atoi(last + 1) : 0;
	}
}

/* NULL without an error for a process that has ended meanwhile. */
static Davit__ProcessInfo *process_info(pid_t pid, struct err *e)
{
	char path[64];
	size_t n = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	auto_free char *text = file_read(AT_FDCWD, path, 65536, &n, NULL);
	auto_pb(Davit__ProcessInfo) *out = text ? pb_new(&davit__process_info__descriptor, e) : NULL;
	if (!out)
		return NULL;
	out->pid = pid;
	for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		take_line(out, line);
	return set_command(out, pid, e) < 0 ? NULL : steal_ptr(&out);
}

int op_processes(const struct request *r, struct answer *a, struct err *e)
{
	auto_free pid_t *pids = NULL;
	size_t n = 0;
	auto_pb(Davit__ContainerStatus) *s = record_require(r->core, r->name, "created running paused", e);
	if (!s || container_pids(&r->core->rt, r->name, &pids, &n, e) < 0)
		return -1;
	Davit__ProcessList *list = pb_new(&davit__process_list__descriptor, e);
	if (!list)
		return -1;
	a->reply->result_case = DAVIT__CORE_REPLY__RESULT_PROCESSES;
	a->reply->processes = list;
	for (size_t i = 0; i < MIN(n, PROCESSES_MAX); i++) {
		Davit__ProcessInfo *info = process_info(pids[i], e);
		if (info && pb_push(&list->n_processes, &list->processes, info, e) < 0)
			return -1;
	}
	return 0;
}

int op_clock(const struct request *r, struct answer *a, struct err *e)
{
	auto_pb(Davit__ContainerStatus) *s = record_require(r->core, r->name, "created running paused", e);
	if (!s)
		return -1;
	a->reply->result_case = DAVIT__CORE_REPLY__RESULT_CLOCK;
	a->reply->clock = pb_new(&davit__clock_sample__descriptor, e);
	return a->reply->clock ? timens_sample(s->pid, a->reply->clock, e) : -1;
}

int op_check(const struct request *r, struct answer *a, struct err *e)
{
	auto_free pid_t *pids = NULL;
	size_t n = 0;
	auto_pb(Davit__ContainerStatus) *s = record_require(r->core, r->name, "running paused", e);
	if (!s || container_pids(&r->core->rt, r->name, &pids, &n, e) < 0)
		return -1;
	auto_state_dir struct state_dir dir = { .fd = -1, .lock = -1 };
	auto_pb(Davit__OciSpec) *spec = state_dir_open(r->core->rt.root, r->name, false, &dir, e) < 0 ? NULL : state_spec(&dir, e);
	if (!spec)
		return -1;
	auto_place p = { 0 };
	if (place_of(r->core, r->name, &p, e) < 0)
		return -1;
	auto_pb(Davit__RuntimeNetwork) *network = file_exists(AT_FDCWD, p.network) ? net_load(p.network, e) : NULL;
	/* As op_dump will ask CRIU. */
	const struct obstacle_scan scan = { .file_locks = true, .init = s->pid, .spec = spec, .network = network };
	a->reply->result_case = DAVIT__CORE_REPLY__RESULT_OBSTACLES;
	a->reply->obstacles = criu_obstacles(pids, n, &scan, e);
	if (!a->reply->obstacles)
		return -1;
	(void)layer_bytes(p.layer, &a->reply->obstacles->layer_bytes, NULL); /* an estimate, as the container goes on writing */
	a->reply->obstacles->has_layer_bytes = true;
	return 0;
}
