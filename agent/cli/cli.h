/* davit, the command line: one table of commands, one kind of option table for all of them.
 *
 * A command parses its own arguments (options are the command's and the common ones, in any order with its words unless it runs a program),
 * speaks to the agent through struct client, prints, and returns 0 or -1 with e set; main.c turns an error into one line and an exit status
 * (base/err.h). cli->status overrides the exit status of a success: run and exec end as their process did. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "agent/cli/client.h"
#include "base/str.h"
#include "proto/pb.h"

struct cli {
	const char *host, *cert, *key, *cacert; /* as options; NULL: from the environment or the default */
	bool json;
	bool terminal; /* stderr is one: progress is shown */
	int status;
	const struct command *command;
	struct client *client; /* opened on first use */
};

struct command {
	const char *name, *words, *help; /* words: "NAME [COMMAND…]" */
	int (*run)(struct cli *c, int argc, char **argv, struct err *e);
};

enum option_kind {
	OPTION_FLAG,	/* bool */
	OPTION_STRING,	/* const char * */
	OPTION_LIST,	/* struct strv, repeatable */
	OPTION_NUMBER,	/* struct option_number */
	OPTION_BYTES,	/* struct option_number; "64m" */
	OPTION_SECONDS, /* struct option_number; "90", "2m" */
};
struct option_number {
	bool given;
	uint64_t value;
};
struct option {
	const char *name;
	char letter;	   /* or 0 */
	const char *value; /* what the help calls its value; NULL for flags */
	enum option_kind kind;
	void *to;
	const char *help;
};

struct words {
	char **v; /* borrowed from argv */
	int n;
};
/* Parses argv[1…]. options ends with a zero entry; may be NULL. program: the words after the first `min` are a program's and are not looked at.
 * Returns 0, 1 (help was printed: the command is done), or -1. */
int cli_parse(struct cli *c, const struct option *options, int argc, char **argv, int min, int max, bool program, struct words *out, struct err *e);
/* The client, opened as the options say. NULL on error. */
struct client *cli_client(struct cli *c, struct err *e);
/* A request whose answer is printed as JSON with --json (1), or is handed back in *out (0); -1. */
int cli_request(struct cli *c, const char *method, const char *path, const ProtobufCMessage *in, const ProtobufCMessageDescriptor *d, void *out,
		struct err *e);
/* Prints a message as JSON to stdout. */
int cli_print_json(const ProtobufCMessage *m, struct err *e);
/* A path with one name in it, which is checked. Owned. */
char *cli_path(struct err *e, const char *fmt, const char *name);
/* The option that stands for a field of the API's bodies; the field itself where there is none. */
void cli_field(const char *field, char *out, size_t cap);
/* A command whose arguments name things to delete, one or more; fmt as for cli_path. Returns as a command does. */
int cli_delete_each(struct cli *c, const char *fmt, int argc, char **argv, struct err *e);
/* A list of command names with a second word ("snapshot create"): runs the one that argv[1] names. */
int cli_group(struct cli *c, const struct command *table, size_t n, int argc, char **argv, struct err *e);
void cli_print_commands(const struct command *table, size_t n);

int command_run(struct cli *c, int argc, char **argv, struct err *e);
int command_create(struct cli *c, int argc, char **argv, struct err *e);
int command_start(struct cli *c, int argc, char **argv, struct err *e);
int command_stop(struct cli *c, int argc, char **argv, struct err *e);
int command_kill(struct cli *c, int argc, char **argv, struct err *e);
int command_rm(struct cli *c, int argc, char **argv, struct err *e);
int command_pause(struct cli *c, int argc, char **argv, struct err *e);
int command_update(struct cli *c, int argc, char **argv, struct err *e);
int command_resume(struct cli *c, int argc, char **argv, struct err *e);
int command_wait(struct cli *c, int argc, char **argv, struct err *e);
int command_ps(struct cli *c, int argc, char **argv, struct err *e);
int command_inspect(struct cli *c, int argc, char **argv, struct err *e);
int command_stats(struct cli *c, int argc, char **argv, struct err *e);
int command_clock(struct cli *c, int argc, char **argv, struct err *e);
int command_top(struct cli *c, int argc, char **argv, struct err *e);
int command_logs(struct cli *c, int argc, char **argv, struct err *e);
int command_exec(struct cli *c, int argc, char **argv, struct err *e);
int command_attach(struct cli *c, int argc, char **argv, struct err *e);
int command_checkpoint(struct cli *c, int argc, char **argv, struct err *e);
int command_restore(struct cli *c, int argc, char **argv, struct err *e);
int command_snapshot(struct cli *c, int argc, char **argv, struct err *e);
int command_migrate(struct cli *c, int argc, char **argv, struct err *e);
int command_drain(struct cli *c, int argc, char **argv, struct err *e);
/* Whether a word after migrate is one of migrations' commands. */
bool migrations_has(const char *word);
int command_migrations(struct cli *c, int argc, char **argv, struct err *e);
int command_image(struct cli *c, int argc, char **argv, struct err *e);
int command_events(struct cli *c, int argc, char **argv, struct err *e);
int command_info(struct cli *c, int argc, char **argv, struct err *e);
int command_version(struct cli *c, int argc, char **argv, struct err *e);
