/* spec: a config.json to start from. */
#include <fcntl.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "proto/json.h"
#include "proto/pb.h"
#include "runtime/cli/cli.h"
#include "runtime/seccomp/seccomp.h"

static const char *bundle = ".";
static bool rootless;

static const struct cli_option spec_options[] = {
	{ { "bundle", required_argument, NULL, 'b' }, "DIR", "where to write config.json (default: this folder)" },
	{ { "rootless", no_argument, NULL, 256 }, NULL, "for a caller without privileges: a user namespace that maps the caller to root" },
	{ { 0 }, NULL, NULL },
};

static const char head[] =
    "{\n"
    "  \"ociVersion\": \"1.0.2\",\n"
    "  \"process\": {\n"
    "    \"terminal\": true,\n"
    "    \"user\": { \"uid\": 0, \"gid\": 0 },\n"
    "    \"args\": [\"sh\"],\n"
    "    \"env\": [\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\", \"TERM=xterm\"],\n"
    "    \"cwd\": \"/\",\n"
    "    \"capabilities\": {\n"
    "      \"bounding\": [\"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\"],\n"
    "      \"effective\": [\"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\"],\n"
    "      \"permitted\": [\"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\"]\n"
    "    },\n"
    "    \"rlimits\": [{ \"type\": \"RLIMIT_NOFILE\", \"hard\": 1024, \"soft\": 1024 }],\n"
    "    \"noNewPrivileges\": true\n"
    "  },\n"
    "  \"root\": { \"path\": \"rootfs\", \"readonly\": true },\n"
    "  \"hostname\": \"davit\",\n"
    "  \"mounts\": [\n"
    "    { \"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\", \"options\": [\"nosuid\", \"noexec\", \"nodev\"] },\n"
    "    { \"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\",\n"
    "      \"options\": [\"nosuid\", \"strictatime\", \"mode=755\", \"size=65536k\"] },\n"
    "    { \"destination\": \"/dev/pts\", \"type\": \"devpts\", \"source\": \"devpts\",\n"
    "      \"options\": [\"nosuid\", \"noexec\", \"newinstance\", \"ptmxmode=0666\", \"mode=0620\"";
static const char middle[] =
    "] },\n"
    "    { \"destination\": \"/dev/shm\", \"type\": \"tmpfs\", \"source\": \"shm\",\n"
    "      \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"mode=1777\", \"size=65536k\"] },\n"
    "    { \"destination\": \"/dev/mqueue\", \"type\": \"mqueue\", \"source\": \"mqueue\", \"options\": [\"nosuid\", \"noexec\", \"nodev\"] },\n"
    "    { \"destination\": \"/sys\", \"type\": \"sysfs\", \"source\": \"sysfs\", \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"ro\"] },\n"
    "    { \"destination\": \"/sys/fs/cgroup\", \"type\": \"cgroup\", \"source\": \"cgroup\",\n"
    "      \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"relatime\", \"ro\"] }\n"
    "  ],\n"
    "  \"linux\": {\n"
    "    \"resources\": { \"devices\": [{ \"allow\": false, \"access\": \"rwm\" }] },\n"
    "    \"namespaces\": [\n"
    "      { \"type\": \"pid\" }, { \"type\": \"network\" }, { \"type\": \"ipc\" }, { \"type\": \"uts\" }, { \"type\": \"mount\" }, { \"type\": "
    "\"cgroup\" }";
static const char tail[] =
    "\n    ],\n"
    "    \"maskedPaths\": [\"/proc/acpi\", \"/proc/asound\", \"/proc/kcore\", \"/proc/keys\", \"/proc/latency_stats\", \"/proc/timer_list\",\n"
    "      \"/proc/timer_stats\", \"/proc/sched_debug\", \"/proc/scsi\", \"/sys/firmware\", \"/sys/devices/virtual/powercap\"],\n"
    "    \"readonlyPaths\": [\"/proc/bus\", \"/proc/fs\", \"/proc/irq\", \"/proc/sys\", \"/proc/sysrq-trigger\"],\n"
    "    \"seccomp\": ";
/* Those of the text above. */
static char *const spec_caps[] = { "CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE" };

static int take(struct cli *c, int val, const char *value, struct err *e)
{
	(void)c;
	(void)e;
	rootless |= val == 256;
	if (val == 'b')
		bundle = value;
	return 0;
}

static int compose(struct buf *b, struct err *e)
{
	if (buf_puts(b, head, e) < 0 || buf_puts(b, rootless ? "" : ", \"gid=5\"", e) < 0 || buf_puts(b, middle, e) < 0)
		return -1;
	if (rootless && buf_printf(b, e,
				   ", { \"type\": \"user\" }\n    ],\n"
				   "    \"uidMappings\": [{ \"containerID\": 0, \"hostID\": %u, \"size\": 1 }],\n"
				   "    \"gidMappings\": [{ \"containerID\": 0, \"hostID\": %u, \"size\": 1 }],\n",
				   geteuid(), getegid()) < 0)
		return -1;
	if (buf_puts(b, rootless ? tail + sizeof("\n    ],\n") - 1 : tail, e) < 0)
		return -1;
	auto_pb(Davit__OciSeccomp) *filter = seccomp_default(spec_caps, ARRAY_LEN(spec_caps), e);
	/* On one line: it is long, and rarely what a person wants to change here. */
	return !filter || json_print(&filter->base, false, b, e) < 0 ? -1 : buf_puts(b, "\n  }\n}\n", e);
}

static int run(struct cli *c, int argc, char **argv, struct err *e)
{
	auto_close int dir = file_open_dir(AT_FDCWD, bundle, e);
	auto_buf struct buf b = { 0 };

	(void)c;
	(void)argc;
	(void)argv;
	if (dir < 0)
		return -1;
	if (file_exists(dir, "config.json")) {
		err_set(e, ERR_EXISTS, 0, "%s/config.json is there already", bundle);
		return err_remedy(e, "remove it first, or write to another folder with --bundle");
	}
	return compose(&b, e) < 0 ? -1 : file_write_atomic(dir, "config.json", b.data, b.len, 0644, false, e);
}

const struct cli_command cli_spec = {
	.name = "spec",
	.arguments = "",
	.help = "write a config.json to start from",
	.options = spec_options,
	.run = run,
	.option = take,
};
