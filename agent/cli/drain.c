/* drain: moves every container of this host to others.
 *
 * The largest begin first and a few move at once, so that the link is never idle and no large one is left to the end; each goes to the host that got
 * the fewest bytes so far. Nothing is remembered here: a drain that was interrupted (what moves then goes on moving) is taken up by the same command
 * again, which finds what is left. What cannot move is told, with the reason, and makes the exit status that of the first of them. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/cli/cli.h"
#include "agent/cli/migrate.h"

#define PARALLEL 2
#define PARALLEL_MAX 8
#define LOOK_MS 200

struct target {
	const char *name;
	uint64_t bytes;
};

struct item {
	const char *name, *state; /* of the list of containers */
	uint64_t bytes;
	struct target *target;
	Davit__Operation *op; /* owned; how it stands, once begun or refused */
	bool running, told;
};

struct drain {
	struct cli *cli;
	bool check;
	struct target *targets;
	size_t n_targets;
	struct item *items;
	size_t n, n_running;
	struct err first; /* why the first could not move */
	size_t failed;
};

static void drain_free(struct drain *d)
{
	for (size_t i = 0; i < d->n; i++)
		pb_freep(&d->items[i].op);
	free(d->items);
	free(d->targets);
}

static uint64_t memory_of(struct cli *c, const char *name)
{
	auto_free char *path = cli_path(NULL, "/v1/containers/%s/stats", name);
	auto_pb(Davit__ContainerStats) *s = NULL;

	if (!path || client_call(c->client, "GET", path, NULL, &davit__container_stats__descriptor, &s, &(struct err){ 0 }) < 0)
		return 0;
	return s->memory_bytes;
}

static int larger_first(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return x->bytes < y->bytes ? 1 : x->bytes > y->bytes ? -1 : strcmp(x->name, y->name);
}

static int make_items(struct drain *d, const Davit__ContainerList *list, struct err *e)
{
	d->items = mem_new(list->n_containers + 1, sizeof(*d->items), e);
	if (!d->items)
		return -1;
	for (size_t i = 0; i < list->n_containers; i++) {
		struct item *x = &d->items[d->n++];

		x->name = list->containers[i]->name;
		x->state = list->containers[i]->state;
		x->bytes = memory_of(d->cli, x->name);
	}
	qsort(d->items, d->n, sizeof(*d->items), larger_first);
	return 0;
}

/* What could not move, as the operation that it would have been. */
static int refuse(struct drain *d, struct item *x, const struct err *why, struct err *e)
{
	x->op = x->op ? x->op : pb_new(&davit__operation__descriptor, e);
	if (!x->op || pb_set_str(&x->op->id, "", e) < 0 || pb_set_str(&x->op->kind, d->check ? "migrate.check" : "migrate", e) < 0 ||
	    pb_set_str(&x->op->state, "failed", e) < 0 || pb_set_str(&x->op->container, x->name, e) < 0)
		return -1;
	x->op->error = pb_error(why);
	return x->op->error ? 0 : err_set(e, ERR_RESOURCE, 0, "out of memory");
}

/* Ends the item: tells it, and counts it if it did not go. */
static void tell(struct drain *d, struct item *x)
{
	struct err why = { 0 };

	x->told = true;
	if (str_eq(x->op->state, "succeeded")) {
		if (!d->cli->json)
			migrate_tell(x->op, x->name, x->target->name, d->check);
		return;
	}
	if (x->op->error)
		pb_error_get(x->op->error, &why);
	else
		err_set(&why, ERR_CANCELLED, 0, "the move of %s was %s", x->name, x->op->state);
	if (d->failed++ == 0)
		d->first = why;
	if (d->cli->json)
		return;
	fprintf(stderr, "davit: %s stays: %s\n", x->name, err_line(&why).s);
	client_print_error(x->op->error, stderr);
}

static int begin(struct drain *d, struct item *x, struct err *e)
{
	Davit__MigrateRequest body = DAVIT__MIGRATE_REQUEST__INIT;
	auto_free char *path = cli_path(e, "/v1/containers/%s/migrate", x->name);
	struct err why = { 0 };

	if (!path)
		return -1;
	x->target = d->targets;
	for (size_t i = 1; i < d->n_targets; i++)
		if (d->targets[i].bytes < x->target->bytes)
			x->target = &d->targets[i];
	body.target = (char *)(uintptr_t)x->target->name;
	body.has_check_only = body.check_only = d->check;
	if (!str_eq(x->state, "running") && !str_eq(x->state, "paused")) {
		err_set(&why, ERR_STATE, 0, "container %s is %s: only a running one can move", x->name, x->state);
		err_remedy(&why, "start it, or remove it");
	} else if (client_call(d->cli->client, "POST", path, &body.base, &davit__operation__descriptor, &x->op, &why) == 0) {
		x->target->bytes += x->bytes;
		x->running = true;
		d->n_running++;
		return 0;
	} else if (why.code == ERR_NOT_FOUND && !str_prefix(why.field, "HOST")) {
		x->told = true; /* removed meanwhile, or gone by another's move: not here any more */
		return 0;
	}
	if (refuse(d, x, &why, e) < 0)
		return -1;
	tell(d, x);
	return 0;
}

static int look(struct drain *d, struct item *x, struct err *e)
{
	auto_free char *path = mem_printf(e, "/v1/operations/%s", x->op->id);
	Davit__Operation *op = NULL;

	if (!path || client_call(d->cli->client, "GET", path, NULL, &davit__operation__descriptor, &op, e) < 0)
		return -1;
	pb_freep(&x->op);
	x->op = op;
	if (str_eq(op->state, "running"))
		return 0;
	x->running = false;
	d->n_running--;
	tell(d, x);
	return 0;
}

static int run(struct drain *d, size_t parallel, struct err *e)
{
	size_t next = 0;

	while (next < d->n || d->n_running) {
		while (next < d->n && d->n_running < parallel)
			if (begin(d, &d->items[next++], e) < 0)
				return -1;
		if (d->n_running)
			poll(NULL, 0, LOOK_MS);
		for (size_t i = 0; i < next; i++)
			if (d->items[i].running && look(d, &d->items[i], e) < 0)
				return -1;
	}
	return 0;
}

static int print_list(const struct drain *d, struct err *e)
{
	Davit__OperationList list = DAVIT__OPERATION_LIST__INIT;
	auto_free Davit__Operation **ops = mem_new(d->n + 1, sizeof(*ops), e);

	if (!ops)
		return -1;
	for (size_t i = 0; i < d->n; i++)
		if (d->items[i].op)
			ops[list.n_operations++] = d->items[i].op;
	list.operations = ops;
	return cli_print_json(&list.base, e);
}

static int drain(struct drain *d, const struct words *hosts, size_t parallel, struct err *e)
{
	auto_pb(Davit__ContainerList) *list = NULL;

	d->targets = mem_new((size_t)hosts->n, sizeof(*d->targets), e);
	if (!d->targets || !cli_client(d->cli, e))
		return -1;
	for (int i = 0; i < hosts->n; i++)
		d->targets[d->n_targets++].name = hosts->v[i];
	if (client_call(d->cli->client, "GET", "/v1/containers", NULL, &davit__container_list__descriptor, &list, e) < 0 ||
	    make_items(d, list, e) < 0 || run(d, parallel, e) < 0)
		return -1;
	if (d->cli->json && print_list(d, e) < 0)
		return -1;
	if (d->failed == 0)
		return 0;
	err_set(e, d->first.code, 0, "%zu of %zu containers %s", d->failed, d->n, d->check ? "cannot move" : "are still here");
	return -1;
}

int command_drain(struct cli *c, int argc, char **argv, struct err *e)
{
	struct drain d = { .cli = c };
	struct option_number parallel = { .value = PARALLEL };
	const struct option options[] = {
		{ "parallel", 0, "N", OPTION_NUMBER, &parallel, "so many at once (default 2)" },
		{ "check", 0, NULL, OPTION_FLAG, &d.check, "only see what could move" },
		{ 0 },
	};
	struct words words;
	int r = cli_parse(c, options, argc, argv, 1, -1, false, &words, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	if (parallel.value == 0 || parallel.value > PARALLEL_MAX)
		return err_field(e, "--parallel", "1 to %d", PARALLEL_MAX);
	r = drain(&d, &words, parallel.value, e);
	drain_free(&d);
	return r;
}
