/* migrate NAME HOST. Its other words (ls, show, …) are migrations.c's. */
#include "agent/cli/migrate.h"
#include <stdio.h>
#include <string.h>
#include "agent/cli/progress.h"
#include "base/clock.h"
#include "migrate/group.h"

static void print_summary(const Davit__MoveRecord *m)
{
	char bytes[32], rate[32], total[32], down[32];

	if (!m->has_downtime_us || !m->has_total_us) { /* the connection broke in between, and the outcome was asked for afterwards */
		printf("%s runs on %s\n", m->container, m->peer ? m->peer : "its target");
		return;
	}
	printf("%s moved to %s in %s: downtime %s, %s at %s/s\n", m->container, m->peer ? m->peer : "its target",
	       str_human_ns((uint64_t)m->total_us * 1000, total, sizeof(total)), str_human_ns((uint64_t)m->downtime_us * 1000, down, sizeof(down)),
	       str_human_bytes(m->bytes, bytes, sizeof(bytes)), str_human_bytes(m->rate, rate, sizeof(rate)));
	if (m->mode)
		printf("mode: %s%s%s%s", m->mode, m->mode_why && *m->mode_why ? " (" : "", m->mode_why ? m->mode_why : "",
		       m->mode_why && *m->mode_why ? ")" : "");
	if (m->n_rounds)
		printf(", %zu round%s, then %s", m->n_rounds, m->n_rounds == 1 ? "" : "s", m->rounds_why ? m->rounds_why : "frozen");
	if (m->followed_bytes)
		printf("; %s followed in %s", str_human_bytes(m->followed_bytes, bytes, sizeof(bytes)),
		       str_human_ns((uint64_t)m->filled_us * 1000, total, sizeof(total)));
	if (m->mode)
		printf("\n");
	if (m->clock && m->clock->has_bound)
		printf("clocks: policy %s, error at most %.1f µs\n", m->clock->policy ? m->clock->policy : "continue", (double)m->clock->bound / 1e3);
}

void migrate_tell(const Davit__Operation *op, const char *name, const char *target, bool check)
{
	if (check)
		printf("%s can move to %s%s\n", name, target,
		       op->move && op->move->tcp_reset ? ", where it gets other addresses; its TCP connections are closed" : "");
	else if (op->move)
		print_summary(op->move);
}

/* Not worth a word below. */
#define FROZEN_LEAST (1 << 20)

static void print_frozen(const Davit__Mobility *m)
{
	char bytes[32];

	if (m->frozen_memory_bytes >= FROZEN_LEAST)
		printf("%s of it go while the container stands still: shared memory, tmpfs, locked pages\n",
		       str_human_bytes(m->frozen_memory_bytes, bytes, sizeof(bytes)));
}

/* What it would take, as far as is known. */
static void print_estimate(const struct cli *c, const char *name, const char *target)
{
	auto_free char *path = cli_path(NULL, "/v1/containers/%s/mobility", name);
	auto_pb(Davit__Mobility) *m = NULL;
	char bytes[32], rate[32], total[32], down[32];

	if (!path || client_call(c->client, "GET", path, NULL, &davit__mobility__descriptor, &m, &(struct err){ 0 }) < 0)
		return;
	for (size_t i = 0; i < m->n_estimates; i++) {
		const Davit__MobilityEstimate *x = m->estimates[i];

		if (!str_eq(x->peer, target))
			continue;
		printf("as the last move there was (%s, %s/s): %s in about %s, downtime about %s\n", x->mode,
		       str_human_bytes(x->rate, rate, sizeof(rate)), str_human_bytes(x->bytes, bytes, sizeof(bytes)),
		       str_human_ns(x->total_ms * NSEC_PER_MSEC, total, sizeof(total)),
		       str_human_ns(x->downtime_ms * NSEC_PER_MSEC, down, sizeof(down)));
		print_frozen(m);
		return;
	}
	printf("%s of memory and files would go\n", str_human_bytes(m->memory_bytes + m->layer_bytes, bytes, sizeof(bytes)));
	print_frozen(m);
}

static int report(const struct cli *c, const Davit__Operation *op, const char *name, const char *target, bool check, struct err *e)
{
	if (c->json)
		return cli_print_json(op->move ? &op->move->base : &op->base, e);
	migrate_tell(op, name, target, check);
	if (check)
		print_estimate(c, name, target);
	return 0;
}

static int move(struct cli *c, int argc, char **argv, struct err *e)
{
	struct option_number bandwidth = { 0 }, timeout = { 0 }, downtime = { 0 }, rounds = { 0 };
	const char *policy = NULL, *mode = NULL, *compress = NULL;
	bool check = false, converge = false, reset = false, group = false;
	const struct option options[] = {
		{ "check", 0, NULL, OPTION_FLAG, &check, "only see whether it could" },
		{ "group", 0, NULL, OPTION_FLAG, &group, "several containers as one: they stand still together, and all go or none" },
		{ "clock-policy", 0, "POLICY", OPTION_STRING, &policy, "continue (default), suspend or freeze" },
		{ "mode", 0, "MODE", OPTION_STRING, &mode, "stop-and-copy, pre-copy, hybrid or post-copy; default: the best that both hosts can" },
		{ "downtime", 0, "MS", OPTION_NUMBER, &downtime, "wanted standstill in milliseconds (default 100)" },
		{ "max-rounds", 0, "N", OPTION_NUMBER, &rounds, "passes over the memory while it runs (default 30)" },
		{ "auto-converge", 0, NULL, OPTION_FLAG, &converge, "take CPU from a container that writes faster than the network takes" },
		{ "compress", 0, "HOW", OPTION_STRING, &compress, "none (default), lz4, zstd, zstd:LEVEL or auto" },
		{ "allow-tcp-reset", 0, NULL, OPTION_FLAG, &reset, "where its addresses cannot be: give it others and close its TCP connections" },
		{ "bandwidth", 0, "BYTES", OPTION_BYTES, &bandwidth, "at most so many bytes a second, such as 50m" },
		{ "timeout", 0, "SPAN", OPTION_SECONDS, &timeout, "take the move back if it takes longer" },
		{ 0 },
	};
	Davit__MigrateRequest body = DAVIT__MIGRATE_REQUEST__INIT;
	auto_free char *path = NULL;
	auto_pb(Davit__Operation) *op = NULL;
	struct words words;
	int r = cli_parse(c, options, argc, argv, 2, GROUP_MAX + 1, false, &words, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	if (group ? words.n < 3 : words.n > 2)
		return err_set(e, ERR_INVALID, 0, group ? "a group takes two containers or more, and a host" : "one container at a time, or --group");
	body.target = words.v[words.n - 1];
	body.clock_policy = (char *)(uintptr_t)policy;
	body.has_check_only = body.check_only = check;
	body.has_allow_tcp_reset = body.allow_tcp_reset = reset;
	body.has_bandwidth = bandwidth.given;
	body.bandwidth = bandwidth.value;
	body.mode = (char *)(uintptr_t)mode;
	body.compress = (char *)(uintptr_t)compress;
	body.has_downtime_ms = downtime.given;
	body.downtime_ms = (uint32_t)MIN(downtime.value, (uint64_t)UINT32_MAX);
	body.has_max_rounds = rounds.given;
	body.max_rounds = (uint32_t)MIN(rounds.value, (uint64_t)UINT32_MAX);
	body.has_auto_converge = body.auto_converge = converge;
	body.has_timeout_s = timeout.given;
	body.timeout_s = (uint32_t)MIN(timeout.value, (uint64_t)UINT32_MAX);
	if (group)
		return migrate_group(c, &words, &body, e);
	path = cli_path(e, "/v1/containers/%s/migrate", words.v[0]);
	op = path ? progress_run(c, path, &body.base, e) : NULL;
	return op ? report(c, op, words.v[0], words.v[1], check, e) : -1;
}

int command_migrate(struct cli *c, int argc, char **argv, struct err *e)
{
	/* A container that is called like a word of ours: davit migrate -- show host-b. */
	return argc > 1 && migrations_has(argv[1]) ? command_migrations(c, argc, argv, e) : move(c, argc, argv, e);
}
