/* Resources to files of cgroup v2. Source: kernel Documentation/admin-guide/cgroup-v2.rst.
 *
 * What v2 has no like of is refused by its name rather than left out: a limit that someone asked for and that does not hold is worse
 * than an error. */
#include <stdio.h>
#include <string.h>
#include "runtime/cgroup/internal.h"

/* A number of which every negative one is "max". */
static void add_limit(struct plan *p, enum step_kind kind, enum controller c, const char *field, const char *file, int64_t value)
{
	if (value < 0)
		plan_add(p, kind, c, field, file, "max");
	else
		plan_add(p, kind, c, field, file, "%lld", (long long)value);
}

/* The OCI spec's swap counts memory too; memory.swap.max does not. */
static void swap(const Davit__OciMemory *m, const struct plan_now *now, struct plan *p)
{
	int64_t limit = m->has_limit && m->limit ? m->limit : now->memory_limit;
	if (m->has_limit && m->limit == -1 && !(m->has_swap && m->swap))
		add_limit(p, STEP_ABSENT_IS_FINE, CONTROLLER_MEMORY, "memory.swap", "memory.swap.max", -1);
	else if (m->has_swap && m->swap == -1)
		add_limit(p, STEP_ABSENT_IS_FINE, CONTROLLER_MEMORY, "memory.swap", "memory.swap.max", -1);
	else if (m->has_swap && m->swap && limit < 0)
		plan_refuse(p, "memory.swap", "cgroup v2 limits swap alone, which cannot be told from memory and swap without memory.limit");
	else if (m->has_swap && m->swap && m->swap < limit)
		plan_refuse(p, "memory.swap", "counts memory and swap together and is less than the limit of memory, %lld", (long long)limit);
	else if (m->has_swap && m->swap)
		add_limit(p, STEP_MUST, CONTROLLER_MEMORY, "memory.swap", "memory.swap.max", m->swap - limit);
}

static void memory(const Davit__OciMemory *m, const struct plan_now *now, struct plan *p)
{
	const enum controller c = CONTROLLER_MEMORY;
	if (m->has_limit && m->limit)
		add_limit(p, STEP_MUST, c, "memory.limit", "memory.max", m->limit);
	swap(m, now, p);
	if (m->has_reservation && m->reservation)
		add_limit(p, STEP_MUST, c, "memory.reservation", "memory.low", m->reservation);
	if (m->has_kernel && m->kernel > 0)
		plan_refuse(p, "memory.kernel", "cgroup v2 counts the kernel's memory in memory.limit");
	if (m->has_kernel_tcp && m->kernel_tcp > 0)
		plan_refuse(p, "memory.kernelTCP", "cgroup v2 counts memory of sockets in memory.limit");
	if (m->has_swappiness)
		plan_refuse(p, "memory.swappiness", "cgroup v2 has none for a cgroup");
	if (m->has_disable_oom_killer && m->disable_oom_killer)
		plan_refuse(p, "memory.disableOOMKiller", "cgroup v2 cannot switch the OOM killer off");
	if (m->has_use_hierarchy && !m->use_hierarchy)
		plan_refuse(p, "memory.useHierarchy", "cgroup v2 is always hierarchical");
}

static void cpu_max(const Davit__OciCpu *cpu, const struct plan_now *now, struct plan *p)
{
	const char *field = cpu->has_quota && cpu->quota ? "cpu.quota" : "cpu.period";
	char quota[24];
	if (cpu->has_quota && cpu->quota)
		snprintf(quota, sizeof(quota), cpu->quota < 0 ? "max" : "%lld", (long long)cpu->quota);
	else
		snprintf(quota, sizeof(quota), "%s", *now->quota ? now->quota : "max");
	if (cpu->has_period && cpu->period)
		plan_add(p, STEP_MUST, CONTROLLER_CPU, field, "cpu.max", "%s %llu", quota, (unsigned long long)cpu->period);
	else if (cpu->has_quota && cpu->quota)
		plan_add(p, STEP_MUST, CONTROLLER_CPU, field, "cpu.max", "%s", quota);
}

static void cpu(const Davit__OciCpu *cpu, const struct plan_now *now, struct plan *p)
{
	const enum controller c = CONTROLLER_CPU;
	/* An idle group takes no weight: it is written before it becomes idle, or after it has ceased to be. */
	if (cpu->has_idle && cpu->idle == 0)
		plan_add(p, STEP_ABSENT_IS_FINE, c, "cpu.idle", "cpu.idle", "0");
	if (cpu->has_shares && cpu->shares)
		plan_add(p, STEP_MUST, c, "cpu.shares", "cpu.weight", "%llu", (unsigned long long)weight_of_shares(cpu->shares));
	if (cpu->has_idle && cpu->idle == 1)
		plan_add(p, STEP_MUST, c, "cpu.idle", "cpu.idle", "1");
	cpu_max(cpu, now, p);
	if (cpu->has_burst)
		plan_add(p, cpu->burst ? STEP_MUST : STEP_ABSENT_IS_FINE, c, "cpu.burst", "cpu.max.burst", "%llu", (unsigned long long)cpu->burst);
	if (cpu->has_realtime_period && cpu->realtime_period)
		plan_refuse(p, "cpu.realtimePeriod", "cgroup v2 has no real-time bandwidth");
	if (cpu->has_realtime_runtime && cpu->realtime_runtime)
		plan_refuse(p, "cpu.realtimeRuntime", "cgroup v2 has no real-time bandwidth");
}

/* key: rbps, wbps, riops, wiops. A rate of 0 takes the limit away on v1, so it does here. */
static void throttle(struct plan *p, const char *field, const char *key, Davit__OciThrottleDevice *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		long long major = v[i]->major, minor = v[i]->minor;
		if (v[i]->rate == 0)
			plan_add(p, STEP_MUST, CONTROLLER_IO, field, "io.max", "%lld:%lld %s=max", major, minor, key);
		else
			plan_add(p, STEP_MUST, CONTROLLER_IO, field, "io.max", "%lld:%lld %s=%llu", major, minor, key,
				 (unsigned long long)v[i]->rate);
	}
}

/* io.weight is iocost's, io.bfq.weight is BFQ's: which of them acts is the device's affair, so both are set where both exist. */
static void weights(const Davit__OciBlockIo *b, struct plan *p)
{
	if (b->has_weight && b->weight) {
		plan_add(p, STEP_EITHER, CONTROLLER_IO, "blockIO.weight", "io.bfq.weight", "%u", b->weight);
		plan_add(p, STEP_EITHER, CONTROLLER_IO, "blockIO.weight", "io.weight", "default %llu",
			 (unsigned long long)io_weight_of_blkio(b->weight));
	}
	for (size_t i = 0; i < b->n_weight_device; i++) {
		const Davit__OciWeightDevice *d = b->weight_device[i];
		char field[64];
		snprintf(field, sizeof(field), "blockIO.weightDevice[%zu].%s", i, d->has_leaf_weight && d->leaf_weight ? "leafWeight" : "weight");
		if (d->has_leaf_weight && d->leaf_weight)
			plan_refuse(p, field, "cgroup v2 has no weight for the tasks of an inner cgroup");
		if (!d->has_weight || !d->weight)
			continue;
		plan_add(p, STEP_EITHER, CONTROLLER_IO, field, "io.bfq.weight", "%lld:%lld %u", (long long)d->major, (long long)d->minor, d->weight);
		plan_add(p, STEP_EITHER, CONTROLLER_IO, field, "io.weight", "%lld:%lld %llu", (long long)d->major, (long long)d->minor,
			 (unsigned long long)io_weight_of_blkio(d->weight));
	}
}

static void block_io(const Davit__OciBlockIo *b, struct plan *p)
{
	weights(b, p);
	if (b->has_leaf_weight && b->leaf_weight)
		plan_refuse(p, "blockIO.leafWeight", "cgroup v2 has no weight for the tasks of an inner cgroup");
	throttle(p, "blockIO.throttleReadBpsDevice", "rbps", b->throttle_read_bps_device, b->n_throttle_read_bps_device);
	throttle(p, "blockIO.throttleWriteBpsDevice", "wbps", b->throttle_write_bps_device, b->n_throttle_write_bps_device);
	throttle(p, "blockIO.throttleReadIOPSDevice", "riops", b->throttle_read_iops_device, b->n_throttle_read_iops_device);
	throttle(p, "blockIO.throttleWriteIOPSDevice", "wiops", b->throttle_write_iops_device, b->n_throttle_write_iops_device);
}

/* One write for each line of a value: the kernel takes one device a write. */
static void unified_entry(const Davit__OciStringEntry *entry, unsigned mask, struct plan *p)
{
	char name[32], field[96];
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(entry->key, "."), entry->key);
	snprintf(field, sizeof(field), "unified.%s", entry->key);
	unsigned bit = controller_parse(name, " ");
	if (bit && !(bit & mask)) {
		plan_refuse(p, field, "the %s controller of this host is on cgroup v1", name);
		return;
	}
	/* cgroup.* and what this table does not know (a later kernel's controller) go by the hierarchy alone. */
	unsigned c = bit ? (unsigned)__builtin_ctz(bit) : CONTROLLER_DEVICES;
	for (const char *line = entry->value; *line; line += strspn(line, "\n")) {
		int len = (int)strcspn(line, "\n");
		plan_add(p, STEP_MUST, c, field, entry->key, "%.*s", len, line);
		line += len;
	}
}

void plan_v2(const Davit__OciResources *r, unsigned mask, const struct plan_now *now, struct plan *p)
{
	p->unified = true;
	if (r->memory && (mask & CONTROLLER_BIT(CONTROLLER_MEMORY)))
		memory(r->memory, now, p);
	if (r->cpu && (mask & CONTROLLER_BIT(CONTROLLER_CPU)))
		cpu(r->cpu, now, p);
	plan_same(r, mask, p);
	if (r->block_io && (mask & CONTROLLER_BIT(CONTROLLER_IO)))
		block_io(r->block_io, p);
	if (r->network && r->network->has_class_id && r->network->class_id && (mask & CONTROLLER_BIT(CONTROLLER_NET_CLS)))
		plan_refuse(p, "network.classID", "cgroup v2 has no net_cls controller");
	if (r->network && r->network->n_priorities && (mask & CONTROLLER_BIT(CONTROLLER_NET_PRIO)))
		plan_refuse(p, "network.priorities", "cgroup v2 has no net_prio controller");
	for (size_t i = 0; i < r->n_unified; i++)
		unified_entry(r->unified[i], mask, p);
}
