/* The OCI command line: one table of commands, each with its own table of options (getopt_long(3)). A command's file holds its options and one
 * function; it prints only its result. Errors go up to main(), which prints one line and, for `serve`, the whole error. */
#pragma once
#include <getopt.h>
#include <stdbool.h>
#include "base/err.h"
#include "base/str.h"
#include "runtime/container.h"

/* Statuses: of the command itself as runc has them, or the container's process's own. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_UNKNOWN = 3 };

struct cli {
	struct runtime rt;
	const char *command;
	bool json_log;
	int failed;			/* the exit status of an error */
	Davit__ObstacleList *obstacles; /* of checkpoint and restore; told through DAVIT_ERROR_FD */
};

struct cli_option {
	struct option o;      /* val: a letter, or a number from 256 on */
	const char *argument; /* its name in the help, or NULL */
	const char *help;
};
struct cli_command {
	const char *name;
	const char *arguments; /* "ID", "ID [ARGS…]" */
	const char *help;
	const struct cli_option *options; /* ends with a zero entry */
	int min, max;			  /* count of arguments; max -1: any */
	int failed;			  /* the exit status when `run` fails, or 0: CLI_FAILED */
	bool stop_at_first;		  /* options end at the first argument: what follows is another program's */
	/* argv: arguments only. Returns a status or -1. */
	int (*run)(struct cli *c, int argc, char **argv, struct err *e);
	/* Takes one option; `value` is its argument or NULL. 0 or -1. NULL where there are none. */
	int (*option)(struct cli *c, int val, const char *value, struct err *e);
};

extern const struct cli_command cli_create, cli_start, cli_state, cli_kill, cli_delete, cli_run, cli_exec, cli_ps, cli_list, cli_pause, cli_resume,
    cli_spec, cli_features, cli_checkpoint, cli_restore, cli_serve, cli_update, cli_events;

/* Parses a command's options and arguments: *first gets the index of the first argument. 0, 1 if help was printed, or -1. */
int cli_parse(struct cli *c, const struct cli_command *cmd, int argc, char **argv, int *first, struct err *e);
void cli_print_command_help(const struct cli_command *cmd);
/* Writes everything to stdout. 0 or -1. */
int cli_print(const struct buf *b, struct err *e);
/* The status that a caller sees of a wait status. */
int cli_status_of_wait(int status);
/* Keeps the descriptors 3 to 2 + n open over exec. They must be there: ours can then not take their numbers. */
int cli_preserve_fds(unsigned n, struct err *e);
/* Check the values of --manage-cgroups-mode and --empty-ns, which checkpoint and restore take from runc's callers. */
int cli_cgroups_mode(const char *value, struct err *e);
int cli_empty_ns(const char *value, struct err *e);
/* What create, run and restore share: --bundle, --console-socket, --pid-file, --network, --preserve-fds, --no-pivot, --no-new-keyring. */
struct cli_create {
	struct create_options o;
	const char *bundle;
};
#define CLI_CREATE_OPTIONS                                                                                                                           \
	{ { "bundle", required_argument, NULL, 'b' }, "DIR", "the bundle (default: this folder)" },                                                  \
	    { { "console-socket", required_argument, NULL, 256 }, "PATH", "unix socket that gets the terminal" },                                    \
	    { { "pid-file", required_argument, NULL, 257 }, "FILE", "file for the process id" },                                                     \
	    { { "network", required_argument, NULL, 258 }, "FILE", "network to configure in the container's namespace" },                            \
	    { { "preserve-fds", required_argument, NULL, 259 }, "N", "pass N further descriptors, from 3 on" },                                      \
	    { { "no-pivot", no_argument, NULL, 260 }, NULL, "refused: the root is always pivoted" },                                                 \
	{                                                                                                                                            \
		{ "no-new-keyring", no_argument, NULL, 261 }, NULL, "keep the caller's session keyring"                                              \
	}
/* Returns 1 if the option was one of these, 0 if not, -1. */
int cli_create_option(struct cli_create *o, int val, const char *value, struct err *e);
/* Fills in the defaults and checks. */
int cli_create_finish(struct cli_create *o, struct err *e);
