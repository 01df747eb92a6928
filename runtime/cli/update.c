/* update: other limits for a container that is there.
 *
 * What is not named stays; as with runc, zero stands for "not named" but for --cpu-burst and --cpu-idle. config.json, the bundle's and the kept one,
 * stays as it was given: whoever wants the new limits at the next create or restore writes them there, as podman and containerd do. */
#include <fcntl.h>
#include <string.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "proto/json.h"
#include "proto/pb.h"
#include "runtime/cli/cli.h"

#define RESOURCES_MAX (1 << 20)

static Davit__OciMemory memory = DAVIT__OCI_MEMORY__INIT;
static Davit__OciCpu cpu = DAVIT__OCI_CPU__INIT;
static Davit__OciPids pids = DAVIT__OCI_PIDS__INIT;
static Davit__OciBlockIo block_io = DAVIT__OCI_BLOCK_IO__INIT;
static const char *file;

enum {
	MEMORY = 256,
	RESERVATION,
	SWAP,
	QUOTA,
	PERIOD,
	BURST,
	SHARE,
	RT_PERIOD,
	RT_RUNTIME,
	IDLE,
	CPUS,
	MEMS,
	PIDS,
	WEIGHT,
	KERNEL,
	KERNEL_TCP,
	L3_CACHE,
	MEM_BW
};

static const struct cli_option options[] = {
	{ { "resources", required_argument, NULL, 'r' }, "FILE", "JSON of linux.resources, - for standard input; no other option counts" },
	{ { "memory", required_argument, NULL, MEMORY }, "BYTES", "limit of memory; -1: none" },
	{ { "memory-reservation", required_argument, NULL, RESERVATION }, "BYTES", "memory kept when the host is short of it" },
	{ { "memory-swap", required_argument, NULL, SWAP }, "BYTES", "limit of memory and swap together; -1: none" },
	{ { "cpu-quota", required_argument, NULL, QUOTA }, "USEC", "CPU time in each period; -1: no limit" },
	{ { "cpu-period", required_argument, NULL, PERIOD }, "USEC", "length of a period" },
	{ { "cpu-burst", required_argument, NULL, BURST }, "USEC", "unused quota that may be spent later" },
	{ { "cpu-share", required_argument, NULL, SHARE }, "N", "share of CPU time against other containers" },
	{ { "cpu-rt-period", required_argument, NULL, RT_PERIOD }, "USEC", "length of a realtime period" },
	{ { "cpu-rt-runtime", required_argument, NULL, RT_RUNTIME }, "USEC", "realtime CPU time in each of them" },
	{ { "cpu-idle", required_argument, NULL, IDLE }, "0|1", "1: runs only when nothing else wants the CPU" },
	{ { "cpuset-cpus", required_argument, NULL, CPUS }, "LIST", "CPUs to run on" },
	{ { "cpuset-mems", required_argument, NULL, MEMS }, "LIST", "memory nodes to use" },
	{ { "pids-limit", required_argument, NULL, PIDS }, "N", "limit of processes and threads; -1: none" },
	{ { "blkio-weight", required_argument, NULL, WEIGHT }, "N", "weight of input and output, 10 to 1000" },
	{ { "kernel-memory", required_argument, NULL, KERNEL }, "BYTES", "limit of the kernel's memory for it, where the kernel still has one" },
	{ { "kernel-memory-tcp", required_argument, NULL, KERNEL_TCP },
	  "BYTES",
	  "limit of memory of TCP sockets, where the kernel has one (cgroup v1)" },
	{ { "l3-cache-schema", required_argument, NULL, L3_CACHE }, "TEXT", "refused: there is no Intel RDT" },
	{ { "mem-bw-schema", required_argument, NULL, MEM_BW }, "TEXT", "refused: there is no Intel RDT" },
	{ { 0 }, NULL, NULL },
};

/* The options by the fields that errors name. */
static const struct {
	const char *field;
	int val;
} fields[] = {
	{ "memory.limit", MEMORY },
	{ "memory.reservation", RESERVATION },
	{ "memory.swap", SWAP },
	{ "cpu.quota", QUOTA },
	{ "cpu.period", PERIOD },
	{ "cpu.burst", BURST },
	{ "cpu.shares", SHARE },
	{ "cpu.realtimePeriod", RT_PERIOD },
	{ "cpu.realtimeRuntime", RT_RUNTIME },
	{ "cpu.idle", IDLE },
	{ "cpu.cpus", CPUS },
	{ "cpu.mems", MEMS },
	{ "pids.limit", PIDS },
	{ "blockIO.weight", WEIGHT },
	{ "memory.kernel", KERNEL },
	{ "memory.kernelTCP", KERNEL_TCP },
};

static const char *name_of(int val)
{
	const struct cli_option *o = options;

	while (o->o.name && o->o.val != val)
		o++;
	return o->o.name;
}

static int take_bytes(int val, const char *value, int64_t *out, struct err *e)
{
	uint64_t n;

	if (strcmp(value, "-1") == 0) {
		*out = -1;
		return 0;
	}
	if (str_to_bytes(value, &n, name_of(val), e) < 0)
		return -1;
	if (n > INT64_MAX)
		return err_field(e, name_of(val), "\"%s\" is too much", value);
	*out = (int64_t)n;
	return 0;
}

#define BYTES(m, f) (m.has_##f = true, take_bytes(val, value, &m.f, e))
#define SIGNED(m, f, low, high) (m.has_##f = true, str_to_i64(value, low, high, &m.f, name_of(val), e))
#define UNSIGNED(m, f) (m.has_##f = true, str_to_u64(value, 0, UINT64_MAX, &m.f, name_of(val), e))

static int take_weight(const char *value, struct err *e)
{
	uint64_t n;

	if (str_to_u64(value, 0, 1000, &n, name_of(WEIGHT), e) < 0)
		return -1;
	block_io.has_weight = true;
	block_io.weight = (uint32_t)n;
	return 0;
}

static int take(struct cli *c, int val, const char *value, struct err *e)
{
	(void)c;
	switch (val) {
	case 'r':
		file = value;
		return 0;
	case MEMORY:
		return BYTES(memory, limit);
	case RESERVATION:
		return BYTES(memory, reservation);
	case SWAP:
		return BYTES(memory, swap);
	case KERNEL:
		return BYTES(memory, kernel);
	case KERNEL_TCP:
		return BYTES(memory, kernel_tcp);
	case QUOTA:
		return SIGNED(cpu, quota, -1, INT64_MAX);
	case PERIOD:
		return UNSIGNED(cpu, period);
	case BURST:
		return UNSIGNED(cpu, burst);
	case SHARE:
		return UNSIGNED(cpu, shares);
	case RT_PERIOD:
		return UNSIGNED(cpu, realtime_period);
	case RT_RUNTIME:
		return SIGNED(cpu, realtime_runtime, -1, INT64_MAX);
	case IDLE:
		return SIGNED(cpu, idle, 0, 1);
	case CPUS:
		cpu.cpus = (char *)value;
		return 0;
	case MEMS:
		cpu.mems = (char *)value;
		return 0;
	case PIDS:
		return SIGNED(pids, limit, -1, INT64_MAX);
	case WEIGHT:
		return take_weight(value, e);
	default:
		return err_set(e, ERR_UNSUPPORTED, 0, "--%s: Intel RDT is not supported", name_of(val));
	}
}

/* Puts the option's name before what is wrong with its field. */
static int name_option(struct err *e)
{
	const char *field = e->field;

	if (strncmp(field, "linux.resources.", 16) == 0)
		field += 16;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (strcmp(field, fields[i].field) == 0)
			return err_prefix(e, "--%s", name_of(fields[i].val));
	return -1;
}

static char *read_file(size_t *len, struct err *e)
{
	return strcmp(file, "-") == 0 ? fd_read_all(0, RESOURCES_MAX, len, e) : file_read(AT_FDCWD, file, RESOURCES_MAX, len, e);
}

/* Device rules are left alone, as runc does: callers hand over all resources, and those rules lack the defaults that create adds. */
static int update_from_file(struct cli *c, const char *id, struct err *e)
{
	size_t len = 0;
	auto_free char *text = read_file(&len, e);
	auto_pb(Davit__OciResources) *r = text ? json_parse(&davit__oci_resources__descriptor, text, len, JSON_KEEP, NULL, e) : NULL;

	if (!r)
		return err_prefix(e, "--resources %s", file);
	Davit__OciResources without = *r;
	without.n_devices = 0;
	without.devices = NULL;
	return container_update(&c->rt, id, &without, e) < 0 ? err_prefix(e, "--resources %s", file) : 0;
}

static int run_update(struct cli *c, int argc, char **argv, struct err *e)
{
	Davit__OciResources r = DAVIT__OCI_RESOURCES__INIT;

	(void)argc;
	if (file)
		return update_from_file(c, argv[0], e);
	r.memory = &memory;
	r.cpu = &cpu;
	r.pids = pids.has_limit && pids.limit ? &pids : NULL;
	r.block_io = &block_io;
	return container_update(&c->rt, argv[0], &r, e) < 0 ? name_option(e) : 0;
}

const struct cli_command cli_update = {
	.name = "update",
	.arguments = "ID",
	.help = "change the limits of a container",
	.options = options,
	.min = 1,
	.max = 1,
	.run = run_update,
	.option = take,
};
