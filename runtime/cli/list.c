/* list and ps: tables and JSON as runc prints them. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "base/fd.h"
#include "base/proc.h"
#include "proto/json.h"
#include "proto/pb.h"
#include "runtime/cli/cli.h"

static bool json, quiet;

static const struct cli_option list_options[] = {
	{ { "format", required_argument, NULL, 'f' }, "FORMAT", "table (default) or json" },
	{ { "quiet", no_argument, NULL, 'q' }, NULL, "ids only" },
	{ { 0 }, NULL, NULL },
};
static const struct cli_option ps_options[] = {
	{ { "format", required_argument, NULL, 'f' }, "FORMAT", "table (default) or json" },
	{ { 0 }, NULL, NULL },
};

static int take(struct cli *c, int val, const char *value, struct err *e)
{
	(void)c;
	quiet |= val == 'q';
	if (val != 'f')
		return 0;
	json = strcmp(value, "json") == 0;
	return json || strcmp(value, "table") == 0 ? 0 : err_field(e, "format", "\"%s\" is neither table nor json", value);
}

static int print_json_list(const Davit__OciStateList *l, struct err *e)
{
	auto_buf struct buf b = { 0 };

	if (buf_puts(&b, "[", e) < 0)
		return -1;
	for (size_t i = 0; i < l->n_containers; i++)
		if ((i > 0 && buf_puts(&b, ",", e) < 0) || json_print(&l->containers[i]->base, false, &b, e) < 0)
			return -1;
	return buf_puts(&b, "]\n", e) < 0 ? -1 : cli_print(&b, e);
}

/* Columns as wide as their longest cell, three spaces between them: as Go's tabwriter(12, 1, 3, ' '). */
static int print_table(const Davit__OciStateList *l, struct err *e)
{
	auto_buf struct buf b = { 0 };
	int id = 12, bundle = 12;

	for (size_t i = 0; i < l->n_containers; i++) {
		id = MAX(id, (int)strlen(l->containers[i]->id) + 3);
		bundle = MAX(bundle, (int)strlen(l->containers[i]->bundle) + 3);
	}
	if (buf_printf(&b, e, "%-*s%-12s%-12s%-*s%-30s%s\n", id, "ID", "PID", "STATUS", bundle, "BUNDLE", "CREATED", "OWNER") < 0)
		return -1;
	for (size_t i = 0; i < l->n_containers; i++) {
		const Davit__OciState *s = l->containers[i];

		if (buf_printf(&b, e, "%-*s%-12d%-12s%-*s%-30s%s\n", id, s->id, s->pid, s->status, bundle, s->bundle, s->created, s->owner) < 0)
			return -1;
	}
	return cli_print(&b, e);
}

static int run_list(struct cli *c, int argc, char **argv, struct err *e)
{
	auto_pb(Davit__OciStateList) *l = container_list(&c->rt, e);

	(void)argc;
	(void)argv;
	if (!l)
		return -1;
	if (json)
		return print_json_list(l, e);
	if (!quiet)
		return print_table(l, e);
	for (size_t i = 0; i < l->n_containers; i++)
		puts(l->containers[i]->id);
	return 0;
}

static int print_pids(const pid_t *pids, size_t n, struct err *e)
{
	auto_buf struct buf b = { 0 };

	for (size_t i = 0; i < n; i++)
		if (buf_printf(&b, e, "%s%d", i ? "," : "[", (int)pids[i]) < 0)
			return -1;
	return buf_puts(&b, n ? "]\n" : "null\n", e) < 0 ? -1 : cli_print(&b, e);
}

/* Starts ps(1) with its output into a pipe, and reads it whole. Owned text. */
static char *run_ps_program(int argc, char **argv, struct err *e)
{
	const char *args[64] = { "ps" };
	int p[2], n = 1;

	if (argc == 0)
		args[n++] = "-ef";
	for (int i = 0; i < argc && n < 62; i++)
		args[n++] = argv[i];
	if (fd_pipe(p, e) < 0)
		return NULL;
	auto_close int in = p[0], out = p[1];
	struct proc_fd fds[] = { { out, 1 }, { 2, 2 } };
	struct proc_spawn s = { .path = "/bin/ps", .argv = (char *const *)args, .fds = fds, .nfds = 2 };
	pid_t pid = proc_spawn(&s, NULL, e);
	fd_closep(&out);
	if (pid < 0)
		return NULL;
	char *text = fd_read_all(in, 64 << 20, NULL, e);
	/* No limit: its output has ended. */
	if (proc_wait(pid, -1, e) != 0 && text) {
		err_set(e, ERR_IO, 0, "ps failed");
		mem_freep(&text);
	}
	return text;
}

/* The column of a header's word, or -1. */
static int column_of(const char *header, const char *word)
{
	char line[1024];
	char *rest = line, *cell;
	int n = 0;

	snprintf(line, sizeof(line), "%s", header);
	while ((cell = strtok_r(rest, " ", &rest)))
		if (strcmp(cell, word) == 0)
			return n;
		else
			n++;
	return -1;
}

static bool is_wanted(const char *line, int column, const pid_t *pids, size_t n)
{
	char copy[1024];
	char *rest = copy, *cell = NULL;

	snprintf(copy, sizeof(copy), "%s", line);
	for (int i = 0; i <= column; i++)
		cell = strtok_r(rest, " ", &rest);
	for (size_t i = 0; cell && i < n; i++)
		if (atoi(cell) == pids[i])
			return true;
	return false;
}

static int print_ps_table(const pid_t *pids, size_t n, int argc, char **argv, struct err *e)
{
	auto_free char *text = run_ps_program(argc, argv, e);
	char *rest = text, *line = text ? strsep(&rest, "\n") : NULL;
	int column = line ? column_of(line, "PID") : -1;

	if (!text)
		return -1;
	if (column < 0)
		return err_field(e, "arguments", "the output of ps has no column PID");
	puts(line);
	while ((line = strsep(&rest, "\n")))
		if (is_wanted(line, column, pids, n))
			puts(line);
	return 0;
}

static int run_ps(struct cli *c, int argc, char **argv, struct err *e)
{
	auto_free pid_t *pids = NULL;
	size_t n = 0;

	if (container_pids(&c->rt, argv[0], &pids, &n, e) < 0)
		return -1;
	return json ? print_pids(pids, n, e) : print_ps_table(pids, n, argc - 1, argv + 1, e);
}

const struct cli_command cli_list = {
	.name = "list",
	.arguments = "",
	.help = "list containers",
	.options = list_options,
	.run = run_list,
	.option = take,
};
const struct cli_command cli_ps = {
	.name = "ps",
	.arguments = "ID [PS OPTIONS]",
	.help = "list the processes of a container",
	.options = ps_options,
	.min = 1,
	.max = -1,
	.stop_at_first = true,
	.run = run_ps,
	.option = take,
};
