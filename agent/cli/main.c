/* davit: the command line of one host's agent. */
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "agent/cli/cli.h"

static int command_help(struct cli *c, int argc, char **argv, struct err *e);

static const struct command commands[] = {
	{ "run", "[COMMAND [ARGUMENT]…]", "make a container and start it", command_run },
	{ "create", "[COMMAND [ARGUMENT]…]", "make a container", command_create },
	{ "start", "NAME…", "start containers", command_start },
	{ "stop", "NAME…", "end containers: their stop signal, then SIGKILL", command_stop },
	{ "kill", "NAME…", "send a signal", command_kill },
	{ "rm", "NAME…", "remove containers", command_rm },
	{ "pause", "NAME…", "freeze containers", command_pause },
	{ "resume", "NAME…", "let paused containers go on", command_resume },
	{ "update", "NAME…", "change limits of containers", command_update },
	{ "wait", "NAME", "wait until a container ends and print its exit code", command_wait },
	{ "ps", "", "list containers", command_ps },
	{ "inspect", "NAME", "all about one container, as JSON", command_inspect },
	{ "logs", "NAME", "a container's output", command_logs },
	{ "exec", "NAME COMMAND [ARGUMENT]…", "run a further process in a container", command_exec },
	{ "attach", "NAME", "connect to a container's first process", command_attach },
	{ "top", "NAME", "a container's processes", command_top },
	{ "stats", "[NAME]", "what containers use", command_stats },
	{ "clock", "NAME", "a container's clocks beside the host's", command_clock },
	{ "migrate", "NAME HOST", "move a running container to another host", command_migrate },
	{ "drain", "HOST…", "move all containers of this host to others", command_drain },
	{ "migrations", "ls|show|cancel|resume|resolve", "moves from and to this host; \"migrate ls\" and so on are the same", command_migrations },
	{ "checkpoint", "NAME", "keep a container's state and stop it", command_checkpoint },
	{ "restore", "NAME", "let a checkpointed container go on", command_restore },
	{ "snapshot", "create|list|restore|rm|prune", "snapshots of running containers", command_snapshot },
	{ "image", "import|list|rm", "root file systems", command_image },
	{ "events", "", "what happens, as it happens", command_events },
	{ "info", "", "the host and its agent", command_info },
	{ "version", "", "versions of davit and of the agent", command_version },
	{ "help", "[COMMAND]", "this, or the options of a command", command_help },
};

static void print_usage(void)
{
	printf("usage: davit [--host URL] COMMAND [OPTION]… [WORD]…\n\n");
	cli_print_commands(commands, ARRAY_LEN(commands));
	printf("\nCommon options:\n"
	       "  --host URL       unix:///run/davit/davit.sock (default; or $DAVIT_HOST), or https://HOST:PORT\n"
	       "  --cert, --key, --cacert FILE   for https (or $DAVIT_CERT, $DAVIT_KEY, $DAVIT_CACERT)\n"
	       "  --json           print the API's JSON\n"
	       "  --help           help on a command\n\n"
	       "Exit status: 0 done; 64 wrong usage; others name the error (docs/ERRORS.md); run and exec end as their process did.\n");
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int unknown(const char *name, struct err *e)
{
	err_set(e, ERR_INVALID, 0, "no command \"%s\"", name);
	return err_remedy(e, "see davit help");
}

static int command_help(struct cli *c, int argc, char **argv, struct err *e)
{
	char help[] = "--help", *args[] = { argc > 1 ? argv[1] : argv[0], help, NULL };

	if (argc < 2) {
		print_usage();
		return 0;
	}
	c->command = find(argv[1]);
	return c->command ? c->command->run(c, 2, args, e) : unknown(argv[1], e);
}

/* Common options may stand before the command too. Returns the index of the command. */
static int parse_common(struct cli *c, int argc, char **argv, struct err *e)
{
	const struct {
		const char *name, **to;
	} common[] = { { "--host", &c->host }, { "--cert", &c->cert }, { "--key", &c->key }, { "--cacert", &c->cacert } };
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		size_t k = 0, n = 0;

		if (strcmp(argv[i], "--json") == 0) {
			c->json = true;
			continue;
		}
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return 0;
		for (; k < ARRAY_LEN(common); k++) {
			n = strlen(common[k].name);
			if (strncmp(argv[i], common[k].name, n) == 0 && (argv[i][n] == 0 || argv[i][n] == '='))
				break;
		}
		if (k == ARRAY_LEN(common))
			return err_field(e, argv[i], "unknown option before the command"), err_remedy(e, "see davit help");
		if (argv[i][n] == '=')
			*common[k].to = argv[i] + n + 1;
		else if (i + 1 < argc)
			*common[k].to = argv[++i];
		else
			return err_field(e, argv[i], "needs a value");
	}
	return i;
}

/* One line, and one more for each reason of a refusal. */
static int fail(const struct cli *c, const struct err *e)
{
	fprintf(stderr, "davit: %s\n", err_line(e).s);
	if (c->client)
		client_print_details(c->client, stderr);
	return err_info(e->code)->exit;
}

int main(int argc, char **argv)
{
	struct cli c = { .terminal = isatty(STDERR_FILENO) };
	struct err e = { 0 };
	int at, status;

	setlocale(LC_ALL, "");
	at = parse_common(&c, argc, argv, &e);
	if (at < 0)
		return fail(&c, &e);
	if (at == 0 || at >= argc) {
		print_usage();
		return at == 0 ? 0 : err_info(ERR_INVALID)->exit;
	}
	c.command = find(argv[at]);
	if (!c.command)
		return unknown(argv[at], &e), fail(&c, &e);
	status = c.command->run(&c, argc - at, argv + at, &e) < 0 ? fail(&c, &e) : c.status;
	if (fflush(stdout) != 0 && status == 0)
		status = err_info(ERR_IO)->exit;
	client_close(c.client);
	return status;
}
