/* checkpoint. Options as runc's, and davit's own --tcp-close and --page-server-fd. */
#include <fcntl.h>
#include <string.h>
#include "base/str.h"
#include "proto/pb.h"
#include "runtime/cli/cli.h"
#include "runtime/rootless.h"

static struct checkpoint_options options = { .image_path = "checkpoint", .page_server_fd = -1, .status_fd = -1, .cancel_fd = -1 };

static const struct cli_option checkpoint_options[] = {
	{ { "image-path", required_argument, NULL, 256 }, "DIR", "folder for the images (default: ./checkpoint)" },
	{ { "work-path", required_argument, NULL, 257 }, "DIR", "folder for CRIU's log (default: that of the images)" },
	{ { "leave-running", no_argument, NULL, 258 }, NULL, "let the container go on" },
	{ { "tcp-established", no_argument, NULL, 259 }, NULL, "keep established TCP connections" },
	{ { "tcp-close", no_argument, NULL, 260 }, NULL, "close established TCP connections" },
	{ { "ext-unix-sk", no_argument, NULL, 261 }, NULL, "allow datagram unix sockets to the outside" },
	{ { "shell-job", no_argument, NULL, 262 }, NULL, "allow a terminal and session of the outside" },
	{ { "file-locks", no_argument, NULL, 263 }, NULL, "keep file locks" },
	{ { "lazy-pages", no_argument, NULL, 264 }, NULL, "leave memory behind, to be fetched later" },
	{ { "page-server-fd", required_argument, NULL, 265 }, "N", "connected socket that takes the memory pages" },
	{ { "lsm-profile", required_argument, NULL, 266 }, "PROFILE", "apparmor:NAME or selinux:LABEL to restore with" },
	{ { "manage-cgroups-mode", required_argument, NULL, 267 }, "MODE", "soft, full, strict or ignore: the cgroup comes from config.json in all" },
	{ { "empty-ns", required_argument, NULL, 268 }, "NAME", "network: a network of the container's own is always left out" },
	{ { "parent-path", required_argument, NULL, 269 }, "DIR", "save what changed since this --pre-dump; relative to --image-path" },
	{ { "pre-dump", no_argument, NULL, 270 }, NULL, "save memory alone and let the container go on" },
	{ { "auto-dedup", no_argument, NULL, 271 }, NULL, "remove from the parent's images what is saved anew" },
	{ { "page-server", required_argument, NULL, 272 }, "ADDRESS:PORT", "send memory there; with --lazy-pages serve it there" },
	{ { "status-fd", required_argument, NULL, 273 }, "N", "descriptor that gets a NUL byte when lazy pages are served" },
	{ { 0 }, NULL, NULL },
};

static int take_fd(const char *value, const char *what, int *out, struct err *e)
{
	uint64_t fd;

	if (str_to_u64(value, 3, 1 << 20, &fd, what, e) < 0)
		return -1;
	if (fcntl((int)fd, F_GETFD) < 0)
		return err_field(e, what, "descriptor %s is not open", value);
	*out = (int)fd;
	return 0;
}

static int take(struct cli *c, int val, const char *value, struct err *e)
{
	(void)c;
	switch (val) {
	case 256:
		options.image_path = value;
		return 0;
	case 257:
		options.work_path = value;
		return 0;
	case 265:
		return take_fd(value, "page-server-fd", &options.page_server_fd, e);
	case 266:
		options.lsm_profile = value;
		return 0;
	case 267:
		return cli_cgroups_mode(value, e);
	case 268:
		return cli_empty_ns(value, e);
	case 269:
		options.parent_path = value;
		return 0;
	case 272:
		options.page_server = value;
		return 0;
	case 273:
		return take_fd(value, "status-fd", &options.status_fd, e);
	}
	options.pre_dump |= val == 270;
	options.auto_dedup |= val == 271;
	options.leave_running |= val == 258;
	options.tcp_established |= val == 259;
	options.tcp_close |= val == 260;
	options.ext_unix_sk |= val == 261;
	options.shell_job |= val == 262;
	options.file_locks |= val == 263;
	options.lazy_pages |= val == 264;
	return 0;
}

static int run_checkpoint(struct cli *c, int argc, char **argv, struct err *e)
{
	(void)argc;
	if (rootless_is())
		return rootless_refuse("a checkpoint by criu", e);
	if (!(c->obstacles = pb_new(&davit__obstacle_list__descriptor, e)))
		return -1;
	options.obstacles = c->obstacles;
	if (options.lazy_pages && !options.page_server && options.page_server_fd < 0) {
		err_field(e, "page-server", "--lazy-pages needs somebody who asks for the pages");
		return err_remedy(e, "add --page-server ADDRESS:PORT, where `criu lazy-pages` will connect");
	}
	return container_checkpoint(&c->rt, argv[0], &options, e);
}

const struct cli_command cli_checkpoint = {
	.name = "checkpoint",
	.arguments = "ID",
	.help = "save a running container to a folder of images",
	.options = checkpoint_options,
	.min = 1,
	.max = 1,
	.run = run_checkpoint,
	.option = take,
};
