/* start, state, delete, pause, resume: commands that name a container and little more. */
#include "proto/json.h"
#include "proto/pb.h"
#include "runtime/cli/cli.h"

static bool force;

static const struct cli_option delete_options[] = {
	{ { "force", no_argument, NULL, 'f' }, NULL, "kill it first, and be content if there is none" },
	{ { 0 }, NULL, NULL },
};

static int take_delete(struct cli *c, int val, const char *value, struct err *e)
{
	(void)c;
	(void)value;
	(void)e;
	force |= val == 'f';
	return 0;
}

static int run_start(struct cli *c, int argc, char **argv, struct err *e)
{
	(void)argc;
	return container_start(&c->rt, argv[0], e);
}

static int run_delete(struct cli *c, int argc, char **argv, struct err *e)
{
	(void)argc;
	return container_delete(&c->rt, argv[0], force, e);
}

static int run_pause(struct cli *c, int argc, char **argv, struct err *e)
{
	(void)argc;
	return container_pause(&c->rt, argv[0], e);
}

static int run_resume(struct cli *c, int argc, char **argv, struct err *e)
{
	(void)argc;
	return container_resume(&c->rt, argv[0], e);
}

static int run_state(struct cli *c, int argc, char **argv, struct err *e)
{
	auto_pb(Davit__OciState) *s = container_state(&c->rt, argv[0], e);
	auto_buf struct buf b = { 0 };

	(void)argc;
	return s && json_print(&s->base, true, &b, e) == 0 ? cli_print(&b, e) : -1;
}

#define ONE_CONTAINER .arguments = "ID", .min = 1, .max = 1
const struct cli_command cli_start = { .name = "start", ONE_CONTAINER, .help = "start the process of a created container", .run = run_start };
const struct cli_command cli_state = { .name = "state", ONE_CONTAINER, .help = "print the state of a container as JSON", .run = run_state };
const struct cli_command cli_pause = { .name = "pause", ONE_CONTAINER, .help = "freeze all processes of a container", .run = run_pause };
const struct cli_command cli_resume = { .name = "resume", ONE_CONTAINER, .help = "let a paused container go on", .run = run_resume };
const struct cli_command cli_delete = {
	.name = "delete",
	ONE_CONTAINER,
	.help = "delete a stopped container",
	.options = delete_options,
	.run = run_delete,
	.option = take_delete,
};
