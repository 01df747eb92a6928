/* create and run. */
#include "runtime/cli/cli.h"

static struct cli_create options;
static bool detach, keep;

static const struct cli_option create_options[] = { CLI_CREATE_OPTIONS, { { 0 }, NULL, NULL } };
static const struct cli_option run_options[] = {
	CLI_CREATE_OPTIONS,
	{ { "detach", no_argument, NULL, 'd' }, NULL, "return when the process runs" },
	{ { "keep", no_argument, NULL, 262 }, NULL, "do not delete the container when it has ended" },
	{ { "no-subreaper", no_argument, NULL, 263 }, NULL, "accepted for runc's callers" },
	{ { 0 }, NULL, NULL },
};

static int take(struct cli *c, int val, const char *value, struct err *e)
{
	(void)c;
	detach |= val == 'd';
	keep |= val == 262;
	return cli_create_option(&options, val, value, e) < 0 ? -1 : 0;
}

static int run_create(struct cli *c, int argc, char **argv, struct err *e)
{
	(void)argc;
	if (cli_create_finish(&options, e) < 0)
		return -1;
	return container_create(&c->rt, argv[0], &options.o, e);
}

static int run_run(struct cli *c, int argc, char **argv, struct err *e)
{
	int status;

	(void)argc;
	if (cli_create_finish(&options, e) < 0)
		return -1;
	status = container_run(&c->rt, argv[0], &options.o, detach, keep, e);
	return status < 0 ? -1 : cli_status_of_wait(status);
}

const struct cli_command cli_create = {
	.name = "create",
	.arguments = "ID",
	.help = "make a container from a bundle; its process waits for start",
	.options = create_options,
	.min = 1,
	.max = 1,
	.run = run_create,
	.option = take,
};
const struct cli_command cli_run = {
	.name = "run",
	.arguments = "ID",
	.help = "make and start a container, and wait for it",
	.options = run_options,
	.min = 1,
	.max = 1,
	.run = run_run,
	.option = take,
};
