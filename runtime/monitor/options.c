/* The command line: one table of options. */
#include <getopt.h>
#include <stddef.h>
#include <string.h>
#include "base/mem.h"
#include "base/str.h"
#include "runtime/monitor/monitor.h"

enum kind { KIND_STRING, KIND_NUMBER, KIND_FD, KIND_FLAG, KIND_GROUP };
static const struct known {
	const char *name;
	enum kind kind;
	size_t offset;
	uint64_t min, max;
} table[] = {
	{ "id", KIND_STRING, offsetof(struct options, id), 0, 0 },
	{ "pid-file", KIND_STRING, offsetof(struct options, pid_file), 0, 0 },
	{ "exit-file", KIND_STRING, offsetof(struct options, exit_file), 0, 0 },
	{ "log", KIND_STRING, offsetof(struct options, log), 0, 0 },
	{ "log-max-bytes", KIND_NUMBER, offsetof(struct options, log_max_bytes), 4096, UINT64_MAX / 2 },
	{ "log-max-files", KIND_NUMBER, offsetof(struct options, log_max_files), 1, 1000 },
	{ "log-group", KIND_GROUP, offsetof(struct options, log_group), 0, UINT32_MAX - 1 },
	{ "attach", KIND_STRING, offsetof(struct options, attach), 0, 0 },
	{ "attach-fd", KIND_FD, offsetof(struct options, attach_fd), 3, 1 << 20 },
	{ "terminal", KIND_FLAG, offsetof(struct options, terminal), 0, 0 },
	{ "rows", KIND_NUMBER, offsetof(struct options, rows), 1, 65535 },
	{ "columns", KIND_NUMBER, offsetof(struct options, columns), 1, 65535 },
	{ "stdin", KIND_FLAG, offsetof(struct options, want_stdin), 0, 0 },
	{ "sync-fd", KIND_FD, offsetof(struct options, sync_fd), 3, 1 << 20 },
};

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
	struct option longs[ARRAY_LEN(table) + 1] = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		longs[i] = (struct option){ .name = table[i].name, .has_arg = table[i].kind != KIND_FLAG, .val = (int)i };
	*o = (struct options){ .sync_fd = -1, .attach_fd = -1, .log_max_files = 3 };
	opterr = 0;
	int i;
	while ((i = getopt_long(argc, argv, "+:", longs, NULL)) != -1) {
		if (i == '?' || i == ':')
			return err_field(e, "options", "%s is %s", argv[optind - 1],
					 i == '?' ? "no option of davit-monitor" : "given without its value");
		if (set(o, &table[i], optarg, e) < 0)
			return -1;
	}
	o->program = argv + optind;
	return check(o, e);
}
