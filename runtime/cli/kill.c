/* kill: a signal by name ("TERM", "SIGTERM") or number; 0 only asks whether there is a process to signal. */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "runtime/cli/cli.h"

static bool all;

static const struct cli_option kill_options[] = {
	{ { "all", no_argument, NULL, 'a' }, NULL, "signal all processes of the container" },
	{ { 0 }, NULL, NULL },
};

static int take(struct cli *c, int val, const char *value, struct err *e)
{
	(void)c;
	(void)value;
	(void)e;
	all |= val == 'a';
	return 0;
}

static int signal_of(const char *text, struct err *e)
{
	char name[32];
	uint64_t n;
	int offset = 0;

	if (isdigit((unsigned char)*text))
		return str_to_u64(text, 0, SIGRTMAX, &n, "signal", e) < 0 ? -1 : (int)n;
	snprintf(name, sizeof(name), "%s", strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text);
	for (char *p = name; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	for (int s = 1; s < NSIG; s++)
		if (sigabbrev_np(s) && strcmp(sigabbrev_np(s), name) == 0)
			return s;
	if (strcmp(name, "RTMIN") == 0 || sscanf(name, "RTMIN+%d", &offset) == 1)
		return SIGRTMIN + offset <= SIGRTMAX ? SIGRTMIN + offset : err_field(e, "signal", "\"%s\" is out of range", text);
	if (strcmp(name, "RTMAX") == 0 || sscanf(name, "RTMAX-%d", &offset) == 1)
		return SIGRTMAX - offset >= SIGRTMIN ? SIGRTMAX - offset : err_field(e, "signal", "\"%s\" is out of range", text);
	err_field(e, "signal", "unknown signal \"%s\"", text);
	return err_remedy(e, "use a name of kill -l, or a number");
}

static int run(struct cli *c, int argc, char **argv, struct err *e)
{
	int sig = argc > 1 ? signal_of(argv[1], e) : SIGTERM;

	return sig < 0 ? -1 : container_kill(&c->rt, argv[0], sig, all, e);
}

const struct cli_command cli_kill = {
	.name = "kill",
	.arguments = "ID [SIGNAL]",
	.help = "send a signal (default: TERM) to the first process of a container",
	.options = kill_options,
	.min = 1,
	.max = 2,
	.run = run,
	.option = take,
};
