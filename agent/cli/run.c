/* run, create, exec, attach. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "agent/cli/session.h"
#include "agent/cli/spec.h"
#include "api.pb-c.h"

static int create(struct cli *c, const struct spec_options *o, const struct words *args, bool start, Davit__Container **out, struct err *e)
{
	Davit__ContainerCreate body = DAVIT__CONTAINER_CREATE__INIT;
	auto_pb(Davit__ContainerSpec) *spec = spec_make(o, args, e);

	if (!spec || !cli_client(c, e))
		return -1;
	body.spec = spec;
	body.has_start = 1;
	body.start = start;
	return client_call(c->client, "POST", "/v1/containers", &body.base, &davit__container__descriptor, out, e);
}

static int print_made(const struct cli *c, const Davit__Container *made, struct err *e)
{
	if (c->json)
		return cli_print_json(&made->base, e);
	printf("%s\n", made->name);
	return 0;
}

static char *attach(struct cli *c, const char *name, struct err *e)
{
	auto_free char *path = cli_path(e, "/v1/containers/%s/attach", name);
	auto_pb(Davit__ExecSession) *s = NULL;

	if (!path || !cli_client(c, e) || client_call(c->client, "POST", path, NULL, &davit__exec_session__descriptor, &s, e) < 0)
		return NULL;
	return steal_ptr(&s->id);
}

struct foreground {
	struct cli *cli;
	const char *name;
};

static int start_it(void *arg, struct err *e)
{
	const struct foreground *f = arg;
	auto_free char *path = cli_path(e, "/v1/containers/%s/start", f->name);

	return path ? client_call(f->cli->client, "POST", path, NULL, NULL, NULL, e) : -1;
}

/* SIGINT and SIGTERM to us are for the container. */
static void *pass_signals(void *arg)
{
	const struct foreground *f = arg;
	struct client *client = client_clone(f->cli->client, NULL);
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	while (client && sigwait(&set, &sig) == 0) {
		Davit__SignalRequest body = DAVIT__SIGNAL_REQUEST__INIT;
		auto_free char *path = cli_path(NULL, "/v1/containers/%s/kill", f->name);
		char number[12];

		snprintf(number, sizeof(number), "%d", sig);
		body.signal = number;
		if (path)
			client_call(client, "POST", path, &body.base, NULL, NULL, &(struct err){ 0 });
	}
	return NULL;
}

static int start_passing(struct foreground *f, struct err *e)
{
	pthread_t thread;
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	r = pthread_create(&thread, NULL, pass_signals, f);
	return r == 0 ? 0 : err_sys(e, r, "start a thread");
}

static void remove_it(struct cli *c, const char *name)
{
	auto_free char *path = mem_printf(NULL, "/v1/containers/%s?force=true", name);
	struct err e = { 0 };

	if (path && client_call(c->client, "DELETE", path, NULL, NULL, NULL, &e) < 0)
		fprintf(stderr, "davit: remove %s: %s\n", name, e.msg);
}

/* Made, attached to, and only then started, so that no output is missed. */
static int run_foreground(struct cli *c, const struct spec_options *o, const struct words *args, struct err *e)
{
	static struct foreground f; /* the signals' thread outlives this function */
	struct session_options so = { .stdin_open = o->interactive, .terminal = o->terminal, .opened = start_it, .arg = &f };
	auto_pb(Davit__Container) *made = NULL;
	auto_free char *session = NULL;
	int code;

	if (create(c, o, args, false, &made, e) < 0)
		return -1;
	f = (struct foreground){ c, o->name };
	session = attach(c, o->name, e);
	code = session && start_passing(&f, e) == 0 ? session_run(c, session, &so, e) : -1;
	if (o->remove)
		remove_it(c, o->name);
	if (code < 0)
		return -1;
	c->status = code;
	return 0;
}

static int run(struct cli *c, struct spec_options *o, bool start, int argc, char **argv, struct err *e)
{
	struct option options[SPEC_OPTIONS];
	auto_pb(Davit__Container) *made = NULL;
	struct words args;
	int r;

	spec_options_table(o, start, options);
	r = cli_parse(c, options, argc, argv, 1, -1, true, &args, e);
	if (r != 0)
		return r < 0 ? -1 : 0;
	if (o->detach && o->remove)
		return err_field(e, "--rm", "goes without --detach: remove a detached container with davit rm");
	if (start && !o->detach)
		return run_foreground(c, o, &args, e);
	return create(c, o, &args, start, &made, e) < 0 ? -1 : print_made(c, made, e);
}

int command_run(struct cli *c, int argc, char **argv, struct err *e)
{
	struct spec_options o = { 0 };
	int r = run(c, &o, true, argc, argv, e);

	spec_options_free(&o);
	return r;
}

int command_create(struct cli *c, int argc, char **argv, struct err *e)
{
	struct spec_options o = { 0 };
	int r = run(c, &o, false, argc, argv, e);

	spec_options_free(&o);
	return r;
}

struct exec_options {
	bool interactive, terminal;
	const char *user, *workdir;
	struct strv env;
};

static int exec_in(struct cli *c, const struct exec_options *o, const struct words *words, struct err *e)
{
	struct words args = { words->v + 1, words->n - 1 };
	struct session_options so = { .stdin_open = o->interactive, .terminal = o->terminal };
	auto_free char *path = cli_path(e, "/v1/containers/%s/exec", words->v[0]);
	auto_pb(Davit__ProcessSpec) *p = NULL;
	auto_pb(Davit__ExecSession) *s = NULL;
	int code;

	p = path ? spec_make_process(&args, &o->env, o->user, o->workdir, o->interactive, o->terminal, e) : NULL;
	if (!p || !cli_client(c, e) || client_call(c->client, "POST", path, &p->base, &davit__exec_session__descriptor, &s, e) < 0)
		return -1;
	code = session_run(c, s->id, &so, e);
	if (code < 0)
		return -1;
	c->status = code;
	return 0;
}

int command_exec(struct cli *c, int argc, char **argv, struct err *e)
{
	struct exec_options o = { 0 };
	const struct option options[] = {
		{ "interactive", 'i', NULL, OPTION_FLAG, &o.interactive, "pass stdin on" },
		{ "tty", 't', NULL, OPTION_FLAG, &o.terminal, "give it a terminal" },
		{ "user", 'u', "UID[:GID]|NAME", OPTION_STRING, &o.user, "who runs it" },
		{ "workdir", 'w', "PATH", OPTION_STRING, &o.workdir, "where it starts" },
		{ "env", 'e', "KEY=VALUE", OPTION_LIST, &o.env, "an environment variable" },
		{ 0 },
	};
	struct words words;
	int r = cli_parse(c, options, argc, argv, 2, -1, true, &words, e);

	if (r == 0)
		r = exec_in(c, &o, &words, e);
	strv_free(&o.env);
	return r < 0 ? -1 : 0;
}

int command_attach(struct cli *c, int argc, char **argv, struct err *e)
{
	bool terminal = false, no_stdin = false;
	const struct option options[] = {
		{ "tty", 't', NULL, OPTION_FLAG, &terminal, "the container has a terminal: pass keys and size on" },
		{ "no-stdin", 0, NULL, OPTION_FLAG, &no_stdin, "only watch" },
		{ 0 },
	};
	auto_free char *session = NULL;
	struct words words;
	int r = cli_parse(c, options, argc, argv, 1, 1, false, &words, e), code;

	if (r != 0)
		return r < 0 ? -1 : 0;
	session = attach(c, words.v[0], e);
	struct session_options so = { .stdin_open = !no_stdin, .terminal = terminal };
	code = session ? session_run(c, session, &so, e) : -1;
	if (code < 0)
		return -1;
	c->status = code;
	return 0;
}
