/* exec: the process comes from a file (--process), or from arguments upon the container's own process. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/path.h"
#include "proto/json.h"
#include "proto/pb.h"
#include "runtime/cli/cli.h"
#include "runtime/state.h"
#include "runtime/validate.h"

#define PROCESS_MAX (1 << 20)

static struct {
	struct exec_options o;
	const char *process, *cwd, *user, *apparmor, *label;
	struct strv env, caps, cgroups;
	struct buf gids; /* uint32_t[] */
	bool tty, no_new_privs;
} x;

static const struct cli_option exec_options[] = {
	{ { "console-socket", required_argument, NULL, 256 }, "PATH", "unix socket that gets the terminal" },
	{ { "cwd", required_argument, NULL, 257 }, "DIR", "working folder in the container" },
	{ { "env", required_argument, NULL, 'e' }, "NAME=VALUE", "set an environment variable" },
	{ { "tty", no_argument, NULL, 't' }, NULL, "give it a terminal" },
	{ { "user", required_argument, NULL, 'u' }, "UID[:GID]", "ids of the process" },
	{ { "additional-gids", required_argument, NULL, 'g' }, "GID", "a further group" },
	{ { "process", required_argument, NULL, 'p' }, "FILE", "the process as JSON" },
	{ { "detach", no_argument, NULL, 'd' }, NULL, "return when the process runs" },
	{ { "pid-file", required_argument, NULL, 258 }, "FILE", "file for the process id" },
	{ { "process-label", required_argument, NULL, 259 }, "LABEL", "SELinux label" },
	{ { "apparmor", required_argument, NULL, 260 }, "PROFILE", "AppArmor profile" },
	{ { "no-new-privs", no_argument, NULL, 261 }, NULL, "set no_new_privs" },
	{ { "cap", required_argument, NULL, 'c' }, "CAPABILITY", "a further capability" },
	{ { "preserve-fds", required_argument, NULL, 262 }, "N", "pass N further descriptors, from 3 on" },
	{ { "ignore-paused", no_argument, NULL, 263 }, NULL, "start it in a paused container too; it runs when that is resumed" },
	{ { "cgroup", required_argument, NULL, 264 }, "[LIST:]PATH", "a cgroup below the container's, of these controllers" },
	{ { 0 }, NULL, NULL },
};

static int add_gid(const char *value, struct err *e)
{
	uint64_t n;

	if (str_to_u64(value, 0, UINT32_MAX - 1, &n, "additional-gids", e) < 0)
		return -1;
	uint32_t gid = (uint32_t)n;
	return buf_append(&x.gids, &gid, sizeof(gid), e);
}

static int take(struct cli *c, int val, const char *value, struct err *e)
{
	uint64_t n;

	(void)c;
	switch (val) {
	case 256:
		x.o.console_socket = value;
		break;
	case 257:
		x.cwd = value;
		break;
	case 'e':
		return strv_add(&x.env, value, e);
	case 't':
		x.tty = true;
		break;
	case 'u':
		x.user = value;
		break;
	case 'g':
		return add_gid(value, e);
	case 'p':
		x.process = value;
		break;
	case 'd':
		x.o.detach = true;
		break;
	case 258:
		x.o.pid_file = value;
		break;
	case 259:
		x.label = value;
		break;
	case 260:
		x.apparmor = value;
		break;
	case 261:
		x.no_new_privs = true;
		break;
	case 'c':
		return strv_add(&x.caps, value, e);
	case 262:
		if (str_to_u64(value, 0, 1024, &n, "preserve-fds", e) < 0)
			return -1;
		x.o.preserve_fds = (unsigned)n;
		break;
	case 263:
		x.o.ignore_paused = true;
		break;
	case 264:
		return strv_add(&x.cgroups, value, e);
	}
	return 0;
}

static Davit__OciProcess *read_process(const char *path, struct err *e)
{
	size_t n = 0;
	auto_free char *text = file_read(AT_FDCWD, path, PROCESS_MAX, &n, e);
	Davit__OciProcess *p = text ? json_parse(&davit__oci_process__descriptor, text, n, JSON_KEEP, NULL, e) : NULL;

	if (!p)
		err_prefix(e, "process file %s", path);
	return p;
}

/* "uid" or "uid:gid"; names are the business of who knows the image. */
static int set_user(Davit__OciUser *u, const char *text, struct err *e)
{
	char uid[16];
	const char *colon = strchr(text, ':');
	uint64_t n;

	snprintf(uid, sizeof(uid), "%.*s", colon ? (int)(colon - text) : 15, text);
	if (str_to_u64(uid, 0, UINT32_MAX - 1, &n, "user", e) < 0)
		return -1;
	u->has_uid = true;
	u->uid = (uint32_t)n;
	if (!colon)
		return 0;
	if (str_to_u64(colon + 1, 0, UINT32_MAX - 1, &n, "user", e) < 0)
		return -1;
	u->has_gid = true;
	u->gid = (uint32_t)n;
	return 0;
}

static void clear_list(size_t *n, char ***list)
{
	for (size_t i = 0; i < *n; i++)
		free((*list)[i]);
	*n = 0;
}

static int add_capabilities(Davit__OciProcess *p, struct err *e)
{
	if (x.caps.n > 0 && !p->capabilities && !(p->capabilities = pb_new(&davit__oci_capabilities__descriptor, e)))
		return -1;
	for (size_t i = 0; i < x.caps.n; i++) {
		Davit__OciCapabilities *c = p->capabilities;

		if (pb_push_str(&c->n_bounding, &c->bounding, x.caps.v[i], e) < 0 ||
		    pb_push_str(&c->n_effective, &c->effective, x.caps.v[i], e) < 0 ||
		    pb_push_str(&c->n_permitted, &c->permitted, x.caps.v[i], e) < 0)
			return -1;
	}
	return 0;
}

static int set_groups(Davit__OciUser *u, struct err *e)
{
	size_t n = x.gids.len / sizeof(uint32_t);

	if (n == 0)
		return 0;
	u->additional_gids = realloc(u->additional_gids, x.gids.len);
	if (!u->additional_gids)
		return err_set(e, ERR_RESOURCE, ENOMEM, "additional groups");
	memcpy(u->additional_gids, x.gids.data, x.gids.len);
	u->n_additional_gids = n;
	return 0;
}

static int apply_options(Davit__OciProcess *p, int argc, char **argv, struct err *e)
{
	if (argc > 0)
		clear_list(&p->n_args, &p->args);
	for (int i = 0; i < argc; i++)
		if (pb_push_str(&p->n_args, &p->args, argv[i], e) < 0)
			return -1;
	for (size_t i = 0; i < x.env.n; i++)
		if (pb_push_str(&p->n_env, &p->env, x.env.v[i], e) < 0)
			return -1;
	if (!p->user && !(p->user = pb_new(&davit__oci_user__descriptor, e)))
		return -1;
	if ((x.user && set_user(p->user, x.user, e) < 0) || set_groups(p->user, e) < 0 || add_capabilities(p, e) < 0)
		return -1;
	if ((x.cwd && pb_set_str(&p->cwd, x.cwd, e) < 0) || (x.apparmor && pb_set_str(&p->apparmor_profile, x.apparmor, e) < 0) ||
	    (x.label && pb_set_str(&p->selinux_label, x.label, e) < 0))
		return -1;
	if (x.no_new_privs)
		p->has_no_new_privileges = p->no_new_privileges = true;
	return 0;
}

/* The container's own process with other arguments. Its terminal is not taken over, as in runc. */
static Davit__OciProcess *derive_process(struct cli *c, const char *id, int argc, char **argv, struct err *e)
{
	auto_state_dir struct state_dir d = { .fd = -1, .lock = -1 };
	auto_pb(Davit__OciSpec) *spec = NULL;
	auto_pb(Davit__OciProcess) *p = NULL;

	if (argc == 0) {
		err_field(e, "process.args", "name the program to run, or a --process file");
		return NULL;
	}
	if (state_dir_open(c->rt.root, id, false, &d, e) < 0 || !(spec = state_spec(&d, e)))
		return NULL;
	p = steal_ptr(&spec->process);
	p->has_terminal = true;
	p->terminal = false;
	return apply_options(p, argc, argv, e) < 0 ? NULL : steal_ptr(&p);
}

static int run(struct cli *c, int argc, char **argv, struct err *e)
{
	auto_pb(Davit__OciProcess) *p = NULL;
	int status;

	if (cli_preserve_fds(x.o.preserve_fds, e) < 0)
		return -1;
	p = x.process ? read_process(x.process, e) : derive_process(c, argv[0], argc - 1, argv + 1, e);
	if (!p)
		return -1;
	if (x.tty)
		p->has_terminal = p->terminal = true;
	if (validate_process(p, e) < 0)
		return -1;
	x.o.process = p;
	x.o.cgroups = &x.cgroups;
	x.o.protect_self = true;
	for (int i = 0; i < 3; i++)
		x.o.stdio[i] = i;
	status = container_exec(&c->rt, argv[0], &x.o, e);
	return status < 0 ? -1 : cli_status_of_wait(status);
}

const struct cli_command cli_exec = {
	.name = "exec",
	.arguments = "ID [PROGRAM [ARGUMENTS]]",
	.help = "run a further process in a running container",
	.options = exec_options,
	.min = 1,
	.max = -1,
	.failed = 255, /* as runc: 1 would look like the program's own */
	.stop_at_first = true,
	.run = run,
	.option = take,
};
