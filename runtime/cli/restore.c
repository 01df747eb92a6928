/* restore. Options as runc's and create's, and davit's own for clocks, ids and a frozen start. */
#include <stdlib.h>
#include <string.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "proto/pb.h"
#include "runtime/cli/cli.h"
#include "runtime/rootless.h"

static struct restore_options options = { .image_path = "checkpoint", .cancel_fd = -1 };
static struct cli_create create;
static struct timens_offsets offsets;
static Davit__IdRange ids = DAVIT__ID_RANGE__INIT;
static bool detach;

static const struct cli_option restore_options[] = {
	CLI_CREATE_OPTIONS,
	{ { "detach", no_argument, NULL, 'd' }, NULL, "return when the processes run" },
	{ { "image-path", required_argument, NULL, 270 }, "DIR", "folder of the images (default: ./checkpoint)" },
	{ { "work-path", required_argument, NULL, 271 }, "DIR", "folder for CRIU's log (default: the state folder)" },
	{ { "tcp-established", no_argument, NULL, 272 }, NULL, "restore established TCP connections" },
	{ { "tcp-close", no_argument, NULL, 273 }, NULL, "restore established TCP connections as closed" },
	{ { "ext-unix-sk", no_argument, NULL, 274 }, NULL, "allow datagram unix sockets to the outside" },
	{ { "shell-job", no_argument, NULL, 275 }, NULL, "allow a terminal and session of the outside" },
	{ { "file-locks", no_argument, NULL, 276 }, NULL, "restore file locks" },
	{ { "lazy-pages", no_argument, NULL, 277 }, NULL, "fetch memory when it is used" },
	{ { "lsm-profile", required_argument, NULL, 278 }, "PROFILE", "apparmor:NAME or selinux:LABEL instead of the saved one" },
	{ { "offset-monotonic", required_argument, NULL, 279 }, "NS", "CLOCK_MONOTONIC of the container minus the host's" },
	{ { "offset-boottime", required_argument, NULL, 280 }, "NS", "CLOCK_BOOTTIME of the container minus the host's" },
	{ { "paused", no_argument, NULL, 281 }, NULL, "leave the processes frozen: resume starts them" },
	{ { "ids", required_argument, NULL, 282 }, "START:SIZE", "range of host ids for the user namespace" },
	{ { "manage-cgroups-mode", required_argument, NULL, 283 }, "MODE", "soft, full, strict or ignore: the cgroup comes from config.json in all" },
	{ { "empty-ns", required_argument, NULL, 284 }, "NAME", "network: a network of the container's own is always made anew" },
	{ { "no-subreaper", no_argument, NULL, 285 }, NULL, "accepted for runc's callers" },
	{ { "auto-dedup", no_argument, NULL, 286 }, NULL, "remove pages from the images as they are restored" },
	{ { "lsm-mount-context", required_argument, NULL, 287 }, "CONTEXT", "SELinux mount context instead of the saved one" },
	{ { "check-images", no_argument, NULL, 288 }, NULL, "refuse images that hold more than config.json gives" },
	{ { "go-fd", required_argument, NULL, 289 }, "N", "wait here for the rest of the options, having made what needs no images (davit's core)" },
	{ { 0 }, NULL, NULL },
};

static int take_go(const char *value, struct err *e)
{
	uint64_t fd;

	if (str_to_u64(value, 3, INT32_MAX, &fd, "go-fd", e) < 0)
		return -1;
	options.go_fd = (int)fd;
	return fd_set_cloexec(options.go_fd, true, e);
}

static int take_offset(const char *value, const char *what, int64_t *out, struct err *e)
{
	options.offsets = &offsets;
	return str_to_i64(value, INT64_MIN, INT64_MAX, out, what, e);
}

static int take_ids(const char *value, struct err *e)
{
	auto_free char *text = mem_strdup(value, e);
	char *colon = text ? strchr(text, ':') : NULL;
	uint64_t start, size;

	if (!colon)
		return text ? err_field(e, "ids", "\"%s\" is not START:SIZE", value) : -1;
	*colon = '\0';
	if (str_to_u64(text, 0, UINT32_MAX, &start, "ids", e) < 0 || str_to_u64(colon + 1, 1, UINT32_MAX - start, &size, "ids", e) < 0)
		return -1;
	ids.host_start = (uint32_t)start;
	ids.size = (uint32_t)size;
	options.ids = &ids;
	return 0;
}

static int take_value(int val, const char *value, struct err *e)
{
	switch (val) {
	case 270:
		options.image_path = value;
		return 0;
	case 271:
		options.work_path = value;
		return 0;
	case 278:
		options.lsm_profile = value;
		return 0;
	case 279:
		return take_offset(value, "offset-monotonic", &offsets.monotonic, e);
	case 280:
		return take_offset(value, "offset-boottime", &offsets.boottime, e);
	case 282:
		return take_ids(value, e);
	case 283:
		return cli_cgroups_mode(value, e);
	case 284:
		return cli_empty_ns(value, e);
	case 287:
		options.lsm_mount_context = value;
		return 0;
	case 289:
		return take_go(value, e);
	}
	return 0;
}

static int take(struct cli *c, int val, const char *value, struct err *e)
{
	(void)c;
	int taken = cli_create_option(&create, val, value, e);
	if (taken != 0)
		return taken < 0 ? -1 : 0;
	detach |= val == 'd';
	options.tcp_established |= val == 272;
	options.tcp_close |= val == 273;
	options.ext_unix_sk |= val == 274;
	options.shell_job |= val == 275;
	options.file_locks |= val == 276;
	options.lazy_pages |= val == 277;
	options.paused |= val == 281;
	options.auto_dedup |= val == 286;
	options.check_images |= val == 288;
	return take_value(val, value, e);
}

/* In the foreground init is our child, its status becomes ours, and the container goes with it, as with `run`. */
static int wait_init(struct cli *c, const char *id, pid_t pid, struct err *e)
{
	struct err gone = { 0 };

	int status = proc_wait(pid, -1, e); /* no limit: as long as the container lives */
	if (status < 0)
		return -1;
	if (container_delete(&c->rt, id, false, &gone) < 0 && gone.code != ERR_NOT_FOUND)
		log_err(LOG_LEVEL_WARN, id, &gone);
	return cli_status_of_wait(status);
}

static int run_restore(struct cli *c, int argc, char **argv, struct err *e)
{
	pid_t pid = 0;

	(void)argc;
	if (rootless_is())
		return rootless_refuse("a restore by criu", e);
	if (cli_create_finish(&create, e) < 0 || !(c->obstacles = pb_new(&davit__obstacle_list__descriptor, e)))
		return -1;
	options.create = create.o;
	options.obstacles = c->obstacles;
	options.pid = &pid;
	if (container_restore(&c->rt, argv[0], &options, e) < 0)
		return -1;
	return detach ? 0 : wait_init(c, argv[0], pid, e);
}

const struct cli_command cli_restore = {
	.name = "restore",
	.arguments = "ID",
	.help = "make a container from a folder of images",
	.options = restore_options,
	.min = 1,
	.max = 1,
	.run = run_restore,
	.option = take,
};
