/* Options of a command by its table, and what several commands share. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/cli/cli.h"

#define OPTIONS_MAX 48

/* "+": options end at the first argument. ":": a missing argument is told apart. */
static void build(const struct cli_command *cmd, struct option *longs, char *shorts)
{
	size_t n = 0;

	if (cmd->stop_at_first)
		*shorts++ = '+';
	*shorts++ = ':';
	for (const struct cli_option *o = cmd->options; o && o->o.name && n < OPTIONS_MAX - 2; o++) {
		longs[n++] = o->o;
		if (o->o.val >= 256)
			continue;
		*shorts++ = (char)o->o.val;
		if (o->o.has_arg)
			*shorts++ = ':';
	}
	longs[n++] = (struct option){ "help", no_argument, NULL, 'h' };
	longs[n] = (struct option){ 0 };
	*shorts++ = 'h';
	*shorts = 0;
}

static int unknown(const struct cli_command *cmd, int opt, char **argv, struct err *e)
{
	const char *text = argv[optind - 1];

	err_field(e, "options", opt == ':' ? "option %s needs an argument" : "unknown option %s", text);
	return err_remedy(e, "see davit-runtime %s%s--help", cmd->name, *cmd->name ? " " : "");
}

int cli_parse(struct cli *c, const struct cli_command *cmd, int argc, char **argv, int *first, struct err *e)
{
	struct option longs[OPTIONS_MAX];
	char shorts[3 * OPTIONS_MAX];
	int opt;

	build(cmd, longs, shorts);
	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (opt == 'h') {
			if (*cmd->name)
				cli_print_command_help(cmd);
			return 1;
		}
		if (opt == 'v' && !*cmd->name)
			return 2;
		if (opt == '?' || opt == ':')
			return unknown(cmd, opt, argv, e);
		if (cmd->option && cmd->option(c, opt, optarg, e) < 0)
			return -1;
	}
	*first = optind;
	if (argc - optind >= cmd->min && (cmd->max < 0 || argc - optind <= cmd->max))
		return 0;
	err_field(e, "arguments", "%s takes %s", cmd->name, *cmd->arguments ? cmd->arguments : "no arguments");
	return err_remedy(e, "see davit-runtime %s --help", cmd->name);
}

int cli_print(const struct buf *b, struct err *e)
{
	return fd_write_all(1, b->data, b->len, e) < 0 ? err_prefix(e, "standard output") : 0;
}

int cli_status_of_wait(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int cli_preserve_fds(unsigned n, struct err *e)
{
	for (unsigned i = 0; i < n; i++)
		if (fcntl((int)(3 + i), F_SETFD, 0) < 0) {
			err_field(e, "preserve-fds", "descriptor %u is not open", 3 + i);
			return err_remedy(e, "open 3 to %u, or ask for fewer", 2 + n);
		}
	return 0;
}

int cli_create_option(struct cli_create *o, int val, const char *value, struct err *e)
{
	uint64_t n;

	switch (val) {
	case 'b':
		o->bundle = value;
		return 1;
	case 256:
		o->o.console_socket = value;
		return 1;
	case 257:
		o->o.pid_file = value;
		return 1;
	case 258:
		o->o.network_file = value;
		return 1;
	case 259:
		if (str_to_u64(value, 0, 1024, &n, "preserve-fds", e) < 0)
			return -1;
		o->o.preserve_fds = (unsigned)n;
		return 1;
	case 260:
		o->o.no_pivot = true;
		return 1;
	case 261:
		o->o.no_new_keyring = true;
		return 1;
	default:
		return 0;
	}
}

/* Socket activation: descriptors from 3 on, as many as LISTEN_FDS says (sd_listen_fds(3)). */
static int add_listen_fds(struct cli_create *o, struct err *e)
{
	const char *text = getenv("LISTEN_FDS");
	uint64_t n;

	if (!text)
		return 0;
	if (str_to_u64(text, 0, 1024, &n, "LISTEN_FDS", e) < 0)
		return -1;
	o->o.listen_fds = (unsigned)n;
	o->o.preserve_fds += (unsigned)n;
	return 0;
}

int cli_create_finish(struct cli_create *o, struct err *e)
{
	static char path[PATH_MAX];

	if (o->o.no_pivot) {
		err_set(e, ERR_UNSUPPORTED, 0, "--no-pivot: a root that is not pivoted can be left by the container");
		return err_remedy(e, "leave the option away; a root on the initramfs has to be bind mounted elsewhere first");
	}
	if (!realpath(o->bundle ? o->bundle : ".", path))
		return err_sys(e, errno, "bundle %s", o->bundle ? o->bundle : ".");
	o->o.bundle = path;
	o->o.protect_self = true;
	for (int i = 0; i < 3; i++)
		o->o.stdio[i] = i;
	return add_listen_fds(o, e) < 0 ? -1 : cli_preserve_fds(o->o.preserve_fds, e);
}

int cli_cgroups_mode(const char *value, struct err *e)
{
	static const char *const modes[] = { "soft", "full", "strict", "ignore" };

	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		if (strcmp(value, modes[i]) == 0)
			return 0;
	err_field(e, "manage-cgroups-mode", "unknown mode \"%s\"", value);
	return err_remedy(e, "use soft, full, strict or ignore");
}

int cli_empty_ns(const char *value, struct err *e)
{
	if (strcmp(value, "network") == 0)
		return 0;
	err_field(e, "empty-ns", "the %s namespace cannot be left empty", value);
	return err_remedy(e, "use network, or leave the option away");
}
