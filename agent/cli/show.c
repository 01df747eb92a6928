/* Commands that show: ps, inspect, stats, top, clock. */
#include <stdio.h>
#include <string.h>
#include "agent/cli/cli.h"
#include "api.pb-c.h"
#include "base/clock.h"

/* "3 minutes" since an RFC 3339 time. */
static const char *age(const char *time, char *out, size_t cap)
{
	int64_t at, s;

	if (!time || clock_rfc3339_parse(time, &at, "time", &(struct err){ 0 }) < 0)
		return "";
	s = (clock_now_ns(CLOCK_REALTIME) - at) / NSEC_PER_SEC;
	if (s < 120)
		snprintf(out, cap, "%lld s", (long long)MAX(s, 0));
	else if (s < 7200)
		snprintf(out, cap, "%lld min", (long long)(s / 60));
	else if (s < 172800)
		snprintf(out, cap, "%lld h", (long long)(s / 3600));
	else
		snprintf(out, cap, "%lld days", (long long)(s / 86400));
	return out;
}

static void print_state(const Davit__Container *k, char *out, size_t cap)
{
	if (str_eq(k->state, "stopped") && k->has_exit_code)
		snprintf(out, cap, "stopped (%d)", k->exit_code);
	else
		snprintf(out, cap, "%s", k->state);
}

static void print_row(const Davit__Container *k)
{
	const Davit__NetworkAttachment *a = k->spec && k->spec->n_attachments ? k->spec->attachments[0] : NULL;
	char state[48], since[32];
	int n = a && a->address ? (int)strcspn(a->address, "/") : 0;

	print_state(k, state, sizeof(state));
	printf("%-24s %-14s %-8s %-16s %-16.*s %s\n", k->name, state, age(k->started_at, since, sizeof(since)),
	       k->spec && k->spec->image ? k->spec->image : "", n, n ? a->address : "",
	       k->spec && k->spec->process && k->spec->process->n_args ? k->spec->process->args[0] : "");
}

static bool is_shown(const Davit__Container *k, bool all)
{
	return all || (!str_eq(k->state, "stopped") && !str_eq(k->state, "created") && !str_eq(k->state, "checkpointed"));
}

/* The same choice for people and for programs. */
static void keep_shown(Davit__ContainerList *list, bool all)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->n_containers; i++) {
		if (is_shown(list->containers[i], all))
			list->containers[kept++] = list->containers[i];
		else
			pb_freep(&list->containers[i]);
	}
	list->n_containers = kept;
}

int command_ps(struct cli *c, int argc, char **argv, struct err *e)
{
	bool all = false, quiet = false;
	const struct option options[] = {
		{ "all", 'a', NULL, OPTION_FLAG, &all, "also those that do not run" },
		{ "quiet", 'q', NULL, OPTION_FLAG, &quiet, "names only" },
		{ 0 },
	};
	auto_pb(Davit__ContainerList) *list = NULL;
	struct words words;
	int r = cli_parse(c, options, argc, argv, 0, 0, false, &words, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	if (!cli_client(c, e) || client_call(c->client, "GET", "/v1/containers", NULL, &davit__container_list__descriptor, &list, e) < 0)
		return -1;
	keep_shown(list, all);
	if (c->json)
		return cli_print_json(&list->base, e);
	if (!quiet)
		printf("%-24s %-14s %-8s %-16s %-16s %s\n", "NAME", "STATE", "SINCE", "IMAGE", "ADDRESS", "COMMAND");
	for (size_t i = 0; i < list->n_containers; i++) {
		if (quiet)
			printf("%s\n", list->containers[i]->name);
		else
			print_row(list->containers[i]);
	}
	return 0;
}

/* One GET about one container. As cli_request. */
static int get(struct cli *c, int argc, char **argv, const char *fmt, const ProtobufCMessageDescriptor *d, void *out, struct err *e)
{
	auto_free char *path = NULL;
	struct words words;
	int r = cli_parse(c, NULL, argc, argv, 1, 1, false, &words, e);

	if (r != 0)
		return r;
	path = cli_path(e, fmt, words.v[0]);
	return cli_request(c, "GET", path, NULL, d, out, e);
}

int command_inspect(struct cli *c, int argc, char **argv, struct err *e)
{
	c->json = true;
	return get(c, argc, argv, "/v1/containers/%s", &davit__container__descriptor, NULL, e) < 0 ? -1 : 0;
}

int command_top(struct cli *c, int argc, char **argv, struct err *e)
{
	auto_pb(Davit__ProcessList) *list = NULL;
	int r = get(c, argc, argv, "/v1/containers/%s/processes", &davit__process_list__descriptor, &list, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	printf("%8s %8s %8s %8s  %s\n", "PID", "INSIDE", "PARENT", "UID", "COMMAND");
	for (size_t i = 0; i < list->n_processes; i++) {
		const Davit__ProcessInfo *p = list->processes[i];

		printf("%8d %8d %8d %8u  %s\n", p->pid, p->container_pid, p->ppid, p->uid, p->command ? p->command : "");
	}
	return 0;
}

static void print_stats(const char *name, const Davit__ContainerStats *s)
{
	char cpu[32], memory[32], limit[32] = "-", rx[32], tx[32];

	str_human_ns(s->cpu_ns, cpu, sizeof(cpu));
	str_human_bytes(s->memory_bytes, memory, sizeof(memory));
	if (s->has_memory_limit_bytes)
		str_human_bytes(s->memory_limit_bytes, limit, sizeof(limit));
	str_human_bytes(s->rx_bytes, rx, sizeof(rx));
	str_human_bytes(s->tx_bytes, tx, sizeof(tx));
	printf("%-24s %-12s %-12s %-12s %-6llu %-12s %s\n", name, cpu, memory, limit, (unsigned long long)s->pids, rx, tx);
}

static int stats_of(struct cli *c, const char *name, struct err *e)
{
	auto_free char *path = cli_path(e, "/v1/containers/%s/stats", name);
	auto_pb(Davit__ContainerStats) *s = NULL;
	int r = cli_request(c, "GET", path, NULL, &davit__container_stats__descriptor, &s, e);

	if (r == 0)
		print_stats(name, s);
	return r < 0 ? -1 : 0;
}

int command_stats(struct cli *c, int argc, char **argv, struct err *e)
{
	auto_pb(Davit__ContainerList) *list = NULL;
	struct words words;
	int r = cli_parse(c, NULL, argc, argv, 0, 1, false, &words, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	if (words.n == 0 && c->json)
		return err_field(e, "--json", "needs the name of one container");
	if (!c->json)
		printf("%-24s %-12s %-12s %-12s %-6s %-12s %s\n", "NAME", "CPU TIME", "MEMORY", "LIMIT", "PIDS", "RECEIVED", "SENT");
	if (words.n)
		return stats_of(c, words.v[0], e);
	if (!cli_client(c, e) || client_call(c->client, "GET", "/v1/containers", NULL, &davit__container_list__descriptor, &list, e) < 0)
		return -1;
	for (size_t i = 0; i < list->n_containers; i++)
		if (str_eq(list->containers[i]->state, "running") && stats_of(c, list->containers[i]->name, e) < 0)
			return -1;
	return 0;
}

static void print_clock(const char *what, int64_t host, int64_t container, int64_t offset)
{
	printf("%-18s %20.6f %20.6f %+20.6f\n", what, (double)host / 1e9, (double)container / 1e9, (double)offset / 1e9);
}

static void print_moved(const Davit__ContainerClock *k)
{
	const Davit__ClockResult *m = k->moved;

	if (!m)
		return;
	printf("last move          %s, policy %s: error at most %.1f µs", k->last_move, m->policy ? m->policy : "continue", (double)m->bound / 1e3);
	if (m->has_downtime)
		printf(", stood still %.3f ms", (double)m->downtime / 1e6);
	printf("%s\n", m->backwards ? ", WENT BACK" : "");
	if (m->has_realtime_difference)
		printf("                   the wall clock here was %+.6f s against the source's\n", (double)m->realtime_difference / 1e9);
}

int command_clock(struct cli *c, int argc, char **argv, struct err *e)
{
	auto_pb(Davit__ContainerClock) *s = NULL;
	char now[32];
	int r = get(c, argc, argv, "/v1/containers/%s/clock", &davit__container_clock__descriptor, &s, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	printf("%-18s %20s %20s %20s\n", "", "HOST", "CONTAINER", "OFFSET");
	print_clock("CLOCK_MONOTONIC", s->host_monotonic, s->container_monotonic, s->offset_monotonic);
	print_clock("CLOCK_BOOTTIME", s->host_boottime, s->container_boottime, s->offset_boottime);
	printf("%-18s %s\n", "CLOCK_REALTIME", clock_rfc3339(s->realtime, now));
	print_moved(s);
	return 0;
}
