/* Commands that change or remove containers. Several names: each is tried; the last failure is the one that counts, the others are printed. */
#include <stdio.h>
#include <string.h>
#include "agent/cli/cli.h"
#include "api.pb-c.h"

typedef int (*each_fn)(struct cli *c, const char *name, void *arg, struct err *e);

static int for_each(struct cli *c, const struct words *names, each_fn fn, void *arg, struct err *e)
{
	int r = 0;

	for (int i = 0; i < names->n; i++) {
		if (r < 0)
			fprintf(stderr, "davit: %s\n", e->msg);
		err_clear(e);
		if (fn(c, names->v[i], arg, e) < 0)
			r = -1;
		else if (r < 0)
			err_set(e, ERR_STATE, 0, "not all of it was done");
	}
	return r;
}

/* POST to one of a container's actions; the answer is printed only with --json. */
static int post(struct cli *c, const char *name, const char *fmt, const ProtobufCMessage *body, struct err *e)
{
	auto_free char *path = cli_path(e, fmt, name);

	return path && cli_request(c, "POST", path, body, &davit__container__descriptor, NULL, e) >= 0 ? 0 : -1;
}

static int do_post(struct cli *c, const char *name, void *arg, struct err *e)
{
	return post(c, name, arg, NULL, e);
}

static int simple(struct cli *c, int argc, char **argv, const char *fmt, struct err *e)
{
	struct words names;
	int r = cli_parse(c, NULL, argc, argv, 1, -1, false, &names, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	return for_each(c, &names, do_post, (void *)(uintptr_t)fmt, e);
}

int command_start(struct cli *c, int argc, char **argv, struct err *e)
{
	return simple(c, argc, argv, "/v1/containers/%s/start", e);
}

int command_pause(struct cli *c, int argc, char **argv, struct err *e)
{
	return simple(c, argc, argv, "/v1/containers/%s/pause", e);
}

int command_resume(struct cli *c, int argc, char **argv, struct err *e)
{
	return simple(c, argc, argv, "/v1/containers/%s/resume", e);
}

static int do_stop(struct cli *c, const char *name, void *arg, struct err *e)
{
	const Davit__StopRequest *body = arg;

	return post(c, name, "/v1/containers/%s/stop", &body->base, e);
}

int command_stop(struct cli *c, int argc, char **argv, struct err *e)
{
	struct option_number timeout = { 0 };
	const struct option options[] = {
		{ "timeout", 't', "SPAN", OPTION_SECONDS, &timeout, "how long to wait before SIGKILL" },
		{ 0 },
	};
	Davit__StopRequest body = DAVIT__STOP_REQUEST__INIT;
	struct words names;
	int r = cli_parse(c, options, argc, argv, 1, -1, false, &names, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	body.has_timeout_s = timeout.given;
	body.timeout_s = (uint32_t)MIN(timeout.value, (uint64_t)UINT32_MAX);
	return for_each(c, &names, do_stop, &body, e);
}

static int do_kill(struct cli *c, const char *name, void *arg, struct err *e)
{
	const Davit__SignalRequest *body = arg;

	return post(c, name, "/v1/containers/%s/kill", &body->base, e);
}

int command_kill(struct cli *c, int argc, char **argv, struct err *e)
{
	const char *signal = NULL;
	bool all = false;
	const struct option options[] = {
		{ "signal", 's', "SIGNAL", OPTION_STRING, &signal, "default SIGKILL" },
		{ "all", 'a', NULL, OPTION_FLAG, &all, "to all its processes, not only the first" },
		{ 0 },
	};
	Davit__SignalRequest body = DAVIT__SIGNAL_REQUEST__INIT;
	struct words names;
	int r = cli_parse(c, options, argc, argv, 1, -1, false, &names, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	body.signal = (char *)(uintptr_t)signal;
	body.has_all = body.all = all;
	return for_each(c, &names, do_kill, &body, e);
}

static int do_rm(struct cli *c, const char *name, void *arg, struct err *e)
{
	const bool *force = arg;
	auto_free char *path = cli_path(e, *force ? "/v1/containers/%s?force=true" : "/v1/containers/%s", name);

	return path ? cli_request(c, "DELETE", path, NULL, NULL, NULL, e) : -1;
}

int command_rm(struct cli *c, int argc, char **argv, struct err *e)
{
	bool force = false;
	const struct option options[] = { { "force", 'f', NULL, OPTION_FLAG, &force, "end it first if it runs" }, { 0 } };
	struct words names;
	int r = cli_parse(c, options, argc, argv, 1, -1, false, &names, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	return for_each(c, &names, do_rm, &force, e);
}

int command_wait(struct cli *c, int argc, char **argv, struct err *e)
{
	auto_free char *path = NULL;
	auto_pb(Davit__WaitAnswer) *a = NULL;
	struct words names;
	int r = cli_parse(c, NULL, argc, argv, 1, 1, false, &names, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	path = cli_path(e, "/v1/containers/%s/wait?timeout=3600", names.v[0]);
	/* The agent answers at least each hour; asked again until it ended. */
	do {
		pb_freep(&a);
		if (!path || !cli_client(c, e) || client_call(c->client, "GET", path, NULL, &davit__wait_answer__descriptor, &a, e) < 0)
			return -1;
	} while (!str_eq(a->state, "stopped"));
	if (c->json)
		return cli_print_json(&a->base, e);
	printf("%d\n", a->exit_code);
	return 0;
}
