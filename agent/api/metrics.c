/* GET /metrics in Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/). */
#include "agent/api/api.h"
#include "agent/db/operation.h"
#include "agent/view.h"
#include "base/file.h"

static const char *const states[] = { "created", "running", "paused", "stopped", "checkpointed", "migrating", "restoring", "lost" };

static int put_containers(const Davit__ContainerList *list, struct buf *b, struct err *e)
{
	if (buf_puts(b, "# HELP davit_containers Containers by state.\n# TYPE davit_containers gauge\n", e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		unsigned n = 0;

		for (size_t j = 0; j < list->n_containers; j++)
			n += str_eq(list->containers[j]->state, states[i]);
		if (buf_printf(b, e, "davit_containers{state=\"%s\"} %u\n", states[i], n) < 0)
			return -1;
	}
	return 0;
}

/* One counter or gauge of a running container. */
static const struct gauge {
	const char *name, *type, *help;
	size_t offset;
	double scale;
} gauges[] = {
#define GAUGE(name, type, field, scale, help)                                                                                                        \
	{                                                                                                                                            \
		name, type, help, offsetof(Davit__ContainerStats, field), scale                                                                      \
	}
	GAUGE("davit_container_cpu_seconds_total", "counter", cpu_ns, 1e-9, "CPU time used."),
	GAUGE("davit_container_memory_bytes", "gauge", memory_bytes, 1, "Memory in use."),
	GAUGE("davit_container_memory_limit_bytes", "gauge", memory_limit_bytes, 1, "Memory limit."),
	GAUGE("davit_container_pids", "gauge", pids, 1, "Tasks."),
	GAUGE("davit_container_io_read_bytes_total", "counter", io_read_bytes, 1, "Bytes read from block devices."),
	GAUGE("davit_container_io_write_bytes_total", "counter", io_write_bytes, 1, "Bytes written to block devices."),
	GAUGE("davit_container_network_receive_bytes_total", "counter", rx_bytes, 1, "Bytes received."),
	GAUGE("davit_container_network_transmit_bytes_total", "counter", tx_bytes, 1, "Bytes sent."),
	GAUGE("davit_container_oom_kills_total", "counter", oom_kills, 1, "Processes killed for lack of memory."),
};

static int put_stats(struct request *r, const Davit__ContainerList *list, struct buf *b, struct err *e)
{
	Davit__ContainerStats **stats = mem_new(list->n_containers + 1, sizeof(*stats), e);
	int result = stats ? 0 : -1;

	for (size_t i = 0; stats && i < list->n_containers; i++)
		if (str_eq(list->containers[i]->state, "running"))
			stats[i] = core_stats(&r->agent->core, list->containers[i]->name, &(struct err){ 0 });
	for (size_t g = 0; result == 0 && g < ARRAY_LEN(gauges); g++) {
		result = buf_printf(b, e, "# HELP %s %s\n# TYPE %s %s\n", gauges[g].name, gauges[g].help, gauges[g].name, gauges[g].type);
		for (size_t i = 0; result == 0 && i < list->n_containers; i++)
			if (stats[i])
				result = buf_printf(b, e, "%s{container=\"%s\"} %.9g\n", gauges[g].name, list->containers[i]->name,
						    (double)*(const uint64_t *)((const char *)stats[i] + gauges[g].offset) * gauges[g].scale);
	}
	for (size_t i = 0; stats && i < list->n_containers; i++)
		pb_freep(&stats[i]);
	free(stats);
	return result;
}

static int put_moves(struct request *r, struct buf *b, struct err *e)
{
	static const char *const ends[][2] = { { "source", "done" }, { "source", "aborted" }, { "target", "done" }, { "target", "dropped" } };
	auto_pb(Davit__MigrationList) *moves = pb_new(&davit__migration_list__descriptor, e);

	if (!moves || db_move_list(r->agent->db, NULL, moves, e) < 0 ||
	    buf_puts(b, "# HELP davit_migrations Migrations on record by role and state.\n# TYPE davit_migrations gauge\n", e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		unsigned n = 0;

		for (size_t j = 0; j < moves->n_migrations; j++)
			n += str_eq(moves->migrations[j]->role, ends[i][0]) && str_eq(moves->migrations[j]->state, ends[i][1]);
		if (buf_printf(b, e, "davit_migrations{role=\"%s\",state=\"%s\"} %u\n", ends[i][0], ends[i][1], n) < 0)
			return -1;
	}
	return 0;
}

int metrics_get(struct request *r, struct err *e)
{
	auto_pb(Davit__ContainerList) *list = view_containers(r->agent, e);
	auto_buf struct buf b = { 0 };

	if (!list || put_containers(list, &b, e) < 0 || put_stats(r, list, &b, e) < 0 || put_moves(r, &b, e) < 0 ||
	    buf_printf(
		&b, e,
		"# HELP davit_operations_running Operations that run now.\n# TYPE davit_operations_running gauge\ndavit_operations_running %u\n",
		r->agent->jobs.running) < 0)
		return -1;
	r->response = MHD_create_response_from_buffer(b.len, b.data, MHD_RESPMEM_MUST_COPY);
	return r->response ? 0 : err_set(e, ERR_RESOURCE, 0, "no memory for an answer");
}
