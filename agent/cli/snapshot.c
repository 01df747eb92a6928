/* checkpoint, restore, snapshot. Silent when all is well unless a person looks on, as cron likes it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "agent/cli/cli.h"
#include "agent/cli/progress.h"

static int add_labels(Davit__SnapshotCreate *m, const struct strv *labels, struct err *e)
{
	for (size_t i = 0; i < labels->n; i++) {
		const char *equals = strchr(labels->v[i], '=');
		Davit__KeyValue *kv = pb_new(&davit__key_value__descriptor, e);

		if (!kv || pb_push(&m->n_labels, &m->labels, kv, e) < 0)
			return -1;
		if (!equals || equals == labels->v[i])
			return err_field(e, "--label", "\"%s\" is no KEY=VALUE", labels->v[i]);
		kv->key = mem_printf(e, "%.*s", (int)(equals - labels->v[i]), labels->v[i]);
		if (!kv->key || pb_set_str(&kv->value, equals + 1, e) < 0)
			return -1;
	}
	return 0;
}

static int report_snapshot(const struct cli *c, const Davit__Operation *op, struct err *e)
{
	const Davit__Snapshot *s = op->snapshot;
	char bytes[32], stored[32], frozen[32];

	if (c->json)
		return cli_print_json(s ? &s->base : &op->base, e);
	if (!s || !isatty(STDOUT_FILENO))
		return 0;
	printf("%s: %s of %s, %s new in the store, stood still for %s\n", s->id, str_human_bytes(s->bytes, bytes, sizeof(bytes)), s->container,
	       str_human_bytes(s->stored_bytes, stored, sizeof(stored)), str_human_ns(s->frozen_us * 1000, frozen, sizeof(frozen)));
	return 0;
}

static int create(struct cli *c, const char *fmt, int argc, char **argv, struct err *e)
{
	auto_strv struct strv labels = { 0 };
	const struct option options[] = { { "label", 'l', "KEY=VALUE", OPTION_LIST, &labels, "a label for the snapshot" }, { 0 } };
	auto_pb(Davit__SnapshotCreate) *body = pb_new(&davit__snapshot_create__descriptor, e);
	auto_pb(Davit__Operation) *op = NULL;
	auto_free char *path = NULL;
	struct words words;
	int r = cli_parse(c, options, argc, argv, 1, 1, false, &words, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	path = cli_path(e, fmt, words.v[0]);
	if (!body || !path || add_labels(body, &labels, e) < 0)
		return -1;
	op = progress_run(c, path, &body->base, e);
	return op ? report_snapshot(c, op, e) : -1;
}

static int snapshot_create(struct cli *c, int argc, char **argv, struct err *e)
{
	return create(c, "/v1/containers/%s/snapshots", argc, argv, e);
}

int command_checkpoint(struct cli *c, int argc, char **argv, struct err *e)
{
	return create(c, "/v1/containers/%s/checkpoint", argc, argv, e);
}

static int list(struct cli *c, int argc, char **argv, struct err *e)
{
	auto_pb(Davit__SnapshotList) *all = NULL;
	auto_free char *path = NULL;
	struct words words;
	int r = cli_parse(c, NULL, argc, argv, 0, 1, false, &words, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	path = words.n ? cli_path(e, "/v1/containers/%s/snapshots", words.v[0]) : mem_strdup("/v1/snapshots", e);
	r = cli_request(c, "GET", path, NULL, &davit__snapshot_list__descriptor, &all, e);
	if (r != 0)
		return r < 0 ? -1 : 0;
	printf("%-33s %-20s %-20s %-10s %-10s %s\n", "ID", "CONTAINER", "CREATED", "SIZE", "STORED", "REASON");
	for (size_t i = 0; i < all->n_snapshots; i++) {
		const Davit__Snapshot *s = all->snapshots[i];
		char bytes[32], stored[32];

		printf("%-33s %-20s %-20.19s %-10s %-10s %s\n", s->id, s->container, s->created_at ? s->created_at : "",
		       str_human_bytes(s->bytes, bytes, sizeof(bytes)), str_human_bytes(s->stored_bytes, stored, sizeof(stored)),
		       s->reason ? s->reason : "");
	}
	return 0;
}

static int restore(struct cli *c, const char *fmt, bool clone, int argc, char **argv, struct err *e)
{
	const char *name = NULL, *policy = NULL;
	bool paused = false;
	const struct option options[] = {
		{ "clock-policy", 0, "POLICY", OPTION_STRING, &policy, "suspend (default), continue or freeze" },
		{ "paused", 0, NULL, OPTION_FLAG, &paused, "leave it paused" },
		{ clone ? "name" : NULL, 'n', "NEW", OPTION_STRING, &name, "as a clone: new identity and addresses, connections closed" },
		{ 0 },
	};
	Davit__SnapshotRestore body = DAVIT__SNAPSHOT_RESTORE__INIT;
	auto_pb(Davit__Operation) *op = NULL;
	auto_free char *path = NULL;
	struct words words;
	int r = cli_parse(c, options, argc, argv, 1, 1, false, &words, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	body.new_name = (char *)(uintptr_t)name;
	body.clock_policy = (char *)(uintptr_t)policy;
	body.has_leave_paused = body.leave_paused = paused;
	path = cli_path(e, fmt, words.v[0]);
	op = path ? progress_run(c, path, &body.base, e) : NULL;
	if (!op)
		return -1;
	if (c->json)
		return cli_print_json(op->result ? &op->result->base : &op->base, e);
	if (isatty(STDOUT_FILENO))
		printf("%s goes on\n", op->container);
	return 0;
}

static int snapshot_restore(struct cli *c, int argc, char **argv, struct err *e)
{
	return restore(c, "/v1/snapshots/%s/restore", true, argc, argv, e);
}

int command_restore(struct cli *c, int argc, char **argv, struct err *e)
{
	return restore(c, "/v1/containers/%s/restore", false, argc, argv, e);
}

static int rm(struct cli *c, int argc, char **argv, struct err *e)
{
	return cli_delete_each(c, "/v1/snapshots/%s", argc, argv, e);
}

static void set_rule(const struct option_number *n, protobuf_c_boolean *has, uint32_t *to)
{
	*has = n->given;
	*to = (uint32_t)MIN(n->value, (uint64_t)UINT32_MAX);
}

static int report_prune(const struct cli *c, const Davit__PruneResult *p, bool dry, struct err *e)
{
	char freed[32];

	if (c->json)
		return cli_print_json(&p->base, e);
	if (!isatty(STDOUT_FILENO) && !dry)
		return 0;
	for (size_t i = 0; i < p->n_removed; i++)
		printf("%s %s\n", dry ? "would remove" : "removed", p->removed[i]);
	printf("%zu removed, %zu kept, %s freed\n", p->n_removed, p->n_kept, str_human_bytes(p->bytes_freed, freed, sizeof(freed)));
	return 0;
}

static int prune(struct cli *c, int argc, char **argv, struct err *e)
{
	struct option_number last = { 0 }, hourly = { 0 }, daily = { 0 }, weekly = { 0 };
	bool dry = false;
	const struct option options[] = {
		{ "keep-last", 0, "N", OPTION_NUMBER, &last, "the newest N" },
		{ "keep-hourly", 0, "N", OPTION_NUMBER, &hourly, "one of each of the last N hours" },
		{ "keep-daily", 0, "N", OPTION_NUMBER, &daily, "one of each of the last N days" },
		{ "keep-weekly", 0, "N", OPTION_NUMBER, &weekly, "one of each of the last N weeks" },
		{ "dry-run", 0, NULL, OPTION_FLAG, &dry, "only tell" },
		{ 0 },
	};
	Davit__SnapshotPrune body = DAVIT__SNAPSHOT_PRUNE__INIT;
	auto_pb(Davit__PruneResult) *p = NULL;
	struct words words;
	int r = cli_parse(c, options, argc, argv, 0, 1, false, &words, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	body.container = words.n ? words.v[0] : NULL;
	set_rule(&last, &body.has_keep_last, &body.keep_last);
	set_rule(&hourly, &body.has_keep_hourly, &body.keep_hourly);
	set_rule(&daily, &body.has_keep_daily, &body.keep_daily);
	set_rule(&weekly, &body.has_keep_weekly, &body.keep_weekly);
	body.has_dry_run = body.dry_run = dry;
	if (!cli_client(c, e) || client_call(c->client, "POST", "/v1/snapshots/prune", &body.base, &davit__prune_result__descriptor, &p, e) < 0)
		return -1;
	return report_prune(c, p, dry, e);
}

int command_snapshot(struct cli *c, int argc, char **argv, struct err *e)
{
	static const struct command table[] = {
		{ "create", "NAME", "keep a running container's state; it goes on", snapshot_create },
		{ "list", "[NAME]", "snapshots, the oldest first", list },
		{ "restore", "ID", "bring a container back, or a clone of it", snapshot_restore },
		{ "rm", "ID…", "remove snapshots", rm },
		{ "prune", "[NAME]", "remove those that no rule keeps", prune },
	};

	return cli_group(c, table, ARRAY_LEN(table), argc, argv, e);
}
