/* davit-runtime: the OCI command line over runtime/container.h.
 *
 * Before anything else: every inherited descriptor beyond stdio is marked O_CLOEXEC, and for commands that put a process of ours into a container,
 * the program goes on as a sealed copy of itself (runtime/self.h). Then global options, the command's options, the command. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"
#include "proto/pb.h"
#include "runtime/cli/cli.h"
#include "runtime/rootless.h"
#include "runtime/self.h"
#include "runtime/supervise/supervise.h"

#define DEFAULT_ROOT "/run/davit-runtime"

static const struct cli_command *const commands[] = {
	&cli_create, &cli_start,  &cli_state, &cli_kill,     &cli_delete,     &cli_run,	    &cli_exec,	&cli_ps,     &cli_list,
	&cli_pause,  &cli_resume, &cli_spec,  &cli_features, &cli_checkpoint, &cli_restore, &cli_serve, &cli_update, &cli_events,
};

static const struct cli_option globals[] = {
	{ { "root", required_argument, NULL, 256 }, "DIR", "state folder (default: " DEFAULT_ROOT ", of users $XDG_RUNTIME_DIR/davit-runtime)" },
	{ { "log", required_argument, NULL, 257 }, "FILE", "log file (default: standard error)" },
	{ { "log-format", required_argument, NULL, 258 }, "FORMAT", "text (default) or json" },
	{ { "debug", no_argument, NULL, 259 }, NULL, "log more" },
	{ { "systemd-cgroup", no_argument, NULL, 260 }, NULL, "let systemd make cgroups; cgroupsPath is SLICE:PREFIX:NAME" },
	{ { "rootless", required_argument, NULL, 261 }, "WHEN", "accepted for runc's callers: true, false or auto" },
	{ { "criu", required_argument, NULL, 262 }, "PATH", "the criu to use (default: the first that works)" },
	{ { "criu-tmp", required_argument, NULL, 263 }, "DIR", "folder on a tmpfs for CRIU's cache and images" },
	{ { "policy", required_argument, NULL, 264 }, "FILE", "what a supervisor of system calls may do (default: " SUPERVISE_POLICY ")" },
	{ { "version", no_argument, NULL, 'v' }, NULL, "print the version" },
	{ { "help", no_argument, NULL, 'h' }, NULL, "print this" },
	{ { 0 }, NULL, NULL },
};

static void print_options(const struct cli_option *o)
{
	for (; o && o->o.name; o++) {
		char left[48];
		snprintf(left, sizeof(left), "--%s%s%s", o->o.name, o->argument ? " " : "", o->argument ? o->argument : "");
		printf("  %-27s %s\n", left, o->help);
	}
}

static void print_help(void)
{
	printf("Usage: davit-runtime [OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]\n\nRuns OCI containers.\n\nCommands:\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		printf("  %-12s %s\n", commands[i]->name, commands[i]->help);
	printf("\nOptions:\n");
	print_options(globals);
}

void cli_print_command_help(const struct cli_command *cmd)
{
	printf("Usage: davit-runtime %s%s %s\n\n%s\n", cmd->name, cmd->options ? " [OPTIONS]" : "", cmd->arguments, cmd->help);
	if (cmd->options)
		printf("\nOptions:\n");
	print_options(cmd->options);
}

static const char *log_path;
static enum log_level level = LOG_LEVEL_WARN;

static int take_global(struct cli *c, int val, const char *value, struct err *e)
{
	switch (val) {
	case 256:
		c->rt.root = value;
		return 0;
	case 257:
		log_path = value;
		return 0;
	case 258:
		c->json_log = strcmp(value, "json") == 0;
		return c->json_log || strcmp(value, "text") == 0 ? 0 : err_field(e, "log-format", "\"%s\" is neither text nor json", value);
	case 259:
		level = LOG_LEVEL_DEBUG;
		return 0;
	case 260:
		c->rt.systemd_cgroup = true;
		return 0;
	case 262:
		c->rt.criu = value;
		return 0;
	case 263:
		c->rt.criu_tmp = value;
		return 0;
	case 264:
		c->rt.policy = value;
		return 0;
	default:
		return 0;
	}
}

static int open_log(const struct cli *c, struct err *e)
{
	int fd = 2;

	if (log_path && *log_path && (fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) < 0)
		return err_sys(e, errno, "log file %s", log_path);
	log_setup(fd, level, c->json_log ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
	return 0;
}

/* Both where a person looks and, with --log, where a program does, as runc. DAVIT_ERROR_FD: the whole of it, for davit's own callers. */
static int report(struct cli *c, const struct err *e)
{
	const char *fd = getenv("DAVIT_ERROR_FD");

	if (log_path && *log_path)
		log_error("%s", err_line(e).s);
	if (c->json_log && !(log_path && *log_path))
		log_error("%s", err_line(e).s);
	else
		dprintf(2, "davit-runtime: %s\n", err_line(e).s);
	if (fd) {
		auto_pb(Davit__Error) *m = pb_error(e);
		auto_buf struct buf b = { 0 };

		if (m && c->obstacles) {
			m->n_obstacles = c->obstacles->n_obstacles;
			m->obstacles = c->obstacles->obstacles;
			c->obstacles->n_obstacles = 0;
			c->obstacles->obstacles = NULL;
		}
		if (m && pb_pack(&m->base, &b, NULL) == 0)
			fd_write_all(atoi(fd), b.data, b.len, NULL);
	}
	return c->failed;
}

static const struct cli_command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static int unknown_command(struct cli *c, const char *name, struct err *e)
{
	c->failed = CLI_UNKNOWN;
	err_field(e, "command", "unknown command \"%s\"", name);
	return err_remedy(e, "see davit-runtime --help");
}

static int print_help_of(struct cli *c, const char *name, struct err *e)
{
	const struct cli_command *cmd = find_command(name);

	if (!cmd)
		return unknown_command(c, name, e);
	cli_print_command_help(cmd);
	return CLI_OK;
}

/* Returns a status, or -1 with an error. */
static int run_command(struct cli *c, int argc, char **argv, struct err *e)
{
	const struct cli_command *cmd = find_command(argv[0]);
	int first, rc;

	if (!cmd)
		return unknown_command(c, argv[0], e);
	c->command = cmd->name;
	rc = cli_parse(c, cmd, argc, argv, &first, e);
	if (rc != 0)
		return rc < 0 ? -1 : CLI_OK;
	c->failed = cmd->failed ? cmd->failed : CLI_FAILED;
	return cmd->run(c, argc - first, argv + first, e);
}

static const struct cli_command global_command = { .name = "", .options = globals, .stop_at_first = true, .max = -1, .option = take_global };

static int start(struct cli *c, int argc, char **argv, struct err *e)
{
	int first, rc = cli_parse(c, &global_command, argc, argv, &first, e);
	bool help = rc == 0 && first < argc && (strcmp(argv[first], "help") == 0 || strcmp(argv[first], "h") == 0);

	if (rc == 1 || (rc == 0 && first >= argc) || (help && first + 1 >= argc)) {
		print_help();
		return CLI_OK;
	}
	if (help)
		return print_help_of(c, argv[first + 1], e);
	if (rc == 2) {
		printf("davit-runtime version " DAVIT_VERSION "\nspec: 1.2.0\n");
		return CLI_OK;
	}
	if (rc < 0 || open_log(c, e) < 0)
		return -1;
	return run_command(c, argc - first, argv + first, e);
}

/* An ordinary user has a folder of its own below /run, where there is a session (XDG Base Directory). So has the root that podman makes of it in a
 * user namespace, unless it took that name too, as for runc. */
static bool is_user(void)
{
	return geteuid() != 0 || (!str_eq(getenv("USER"), "root") && rootless_is());
}

static const char *default_root(void)
{
	static char path[PATH_MAX];
	const char *run = getenv("XDG_RUNTIME_DIR");

	if (!run || *run != '/' || !is_user() || snprintf(path, sizeof(path), "%s/davit-runtime", run) >= (int)sizeof(path))
		return DEFAULT_ROOT;
	return path;
}

int main(int argc, char **argv)
{
	struct cli c = { .rt = { .root = default_root() }, .failed = CLI_FAILED };
	struct err e = { 0 };
	int status;

	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	status = start(&c, argc, argv, &e);
	return status < 0 ? report(&c, &e) : status;
}
