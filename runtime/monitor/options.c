/* The command line: one table of options. */
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "base/str.h"
#include "runtime/monitor/monitor.h"

enum kind { KIND_STRING, KIND_NUMBER, KIND_FD, KIND_FLAG, KIND_GROUP };
static const struct known {
	const char *name, *argument, *help; /* argument: NULL for a flag */
	enum kind kind;
	size_t offset;
	uint64_t min, max;
} table[] = {
	{ "id", "ID", "the container's name, to be seen among processes", KIND_STRING, offsetof(struct options, id), 0, 0 },
	{ "pid-file", "FILE", "PROGRAM writes the container's process id here", KIND_STRING, offsetof(struct options, pid_file), 0, 0 },
	{ "exit-file", "FILE", "the exit record is written here", KIND_STRING, offsetof(struct options, exit_file), 0, 0 },
	{ "log", "FILE", "log of stdout and stderr; without it none is kept", KIND_STRING, offsetof(struct options, log), 0, 0 },
	{ "log-max-bytes", "N", "a larger log is rotated", KIND_NUMBER, offsetof(struct options, log_max_bytes), 4096, UINT64_MAX / 2 },
	{ "log-max-files", "N", "how many files of a log are kept (default 3)", KIND_NUMBER, offsetof(struct options, log_max_files), 1, 1000 },
	{ "log-group", "GID", "who may read the log", KIND_GROUP, offsetof(struct options, log_group), 0, UINT32_MAX - 1 },
	{ "attach", "PATH", "the socket for clients is made here", KIND_STRING, offsetof(struct options, attach), 0, 0 },
	{ "attach-fd", "N", "a connected socket: the first client", KIND_FD, offsetof(struct options, attach_fd), 3, 1 << 20 },
	{ "terminal", NULL, "give the container a terminal", KIND_FLAG, offsetof(struct options, terminal), 0, 0 },
	{ "rows", "N", "its height", KIND_NUMBER, offsetof(struct options, rows), 1, 65535 },
	{ "columns", "N", "its width", KIND_NUMBER, offsetof(struct options, columns), 1, 65535 },
	{ "stdin", NULL, "keep stdin open until a client ends it", KIND_FLAG, offsetof(struct options, want_stdin), 0, 0 },
	{ "sync-fd", "N", "how it went is told here: {\"pid\":N} or {\"error\":\"…\"}", KIND_FD, offsetof(struct options, sync_fd), 3, 1 << 20 },
};

static void print_help(void)
{
	printf("usage: davit-monitor OPTION… -- PROGRAM [ARGUMENT]…\n"
	       "Holds one container that PROGRAM makes: its stdio, log, terminal and exit status. Started by the runtime core alone.\n\n");
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		char left[48];
		snprintf(left, sizeof(left), "--%s%s%s", table[i].name, table[i].argument ? " " : "", table[i].argument ? table[i].argument : "");
		printf("  %-20s %s\n", left, table[i].help);
	}
	printf("  %-20s %s\n", "--help", "print this and end");
}

static int set(struct options *o, const struct known *k, const char *arg, struct err *e)
{
	void *at = (char *)o + k->offset;
	uint64_t n = 0;
	if (k->kind == KIND_FLAG) {
		*(bool *)at = true;
		return 0;
	}
	if (k->kind == KIND_STRING) {
		*(const char **)at = arg;
		return *arg ? 0 : err_field(e, k->name, "--%s is empty", k->name);
	}
	if (str_to_u64(arg, k->min, k->max, &n, k->name, e) < 0)
		return -1;
	if (k->kind == KIND_FD)
		*(int *)at = (int)n;
	else
		*(uint64_t *)at = n;
	if (k->kind == KIND_GROUP)
		o->has_log_group = true;
	return 0;
}

static int check(const struct options *o, struct err *e)
{
	const struct {
		const char *name;
		bool given;
	} needed[] = {
		{ "id", o->id }, { "pid-file", o->pid_file }, { "exit-file", o->exit_file }, { "attach", o->attach }, { "sync-fd", o->sync_fd >= 0 }
	};
	for (size_t i = 0; i < ARRAY_LEN(needed); i++)
		if (!needed[i].given)
			return err_field(e, needed[i].name, "--%s is needed", needed[i].name);
	if (!o->program[0] || o->program[0][0] != '/')
		return err_field(e, "PROGRAM", "the absolute path of a program must follow \"--\"");
	return 0;
}

int options_parse(int argc, char **argv, struct options *o, struct err *e)
{
	struct option longs[ARRAY_LEN(table) + 2] = { [ARRAY_LEN(table)] = { .name = "help", .val = 'h' } };
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		longs[i] = (struct option){ .name = table[i].name, .has_arg = table[i].kind != KIND_FLAG, .val = (int)i };
	*o = (struct options){ .sync_fd = -1, .attach_fd = -1, .log_max_files = 3 };
	opterr = 0;
	int i;
	while ((i = getopt_long(argc, argv, "+:", longs, NULL)) != -1) {
		if (i == '?' || i == ':')
			return err_field(e, "options", "%s is %s", argv[optind - 1],
					 i == '?' ? "no option of davit-monitor" : "given without its value");
		if (i == 'h') {
			print_help();
			return 1;
		}
		if (set(o, &table[i], optarg, e) < 0)
			return -1;
	}
	o->program = argv + optind;
	return check(o, e);
}
