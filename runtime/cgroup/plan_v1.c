/* Resources to files of cgroup v1. Source: kernel Documentation/admin-guide/cgroup-v1/.
 *
 * Pairs that bound each other (limit and memory+swap; period, quota and burst) stand one after the other: apply.c tries again what was
 * refused until its partner was written, so that raising and lowering both work. */
#include <stdio.h>
#include "runtime/cgroup/internal.h"

static void memory(const Davit__OciMemory *m, struct plan *p)
{
	const enum controller c = CONTROLLER_MEMORY;
	/* No limit of memory means none of memory and swap either, or the kernel refuses it. */
	bool swap_too = m->has_limit && m->limit == -1 && !(m->has_swap && m->swap);
	if (m->has_limit && m->limit)
		plan_add(p, STEP_MUST, c, "memory.limit", "memory.limit_in_bytes", "%lld", (long long)m->limit);
	if ((m->has_swap && m->swap == -1) || swap_too)
		plan_add(p, STEP_ABSENT_IS_FINE, c, "memory.swap", "memory.memsw.limit_in_bytes", "-1");
	else if (m->has_swap && m->swap)
		plan_add(p, STEP_MUST, c, "memory.swap", "memory.memsw.limit_in_bytes", "%lld", (long long)m->swap);
	if (m->has_reservation && m->reservation)
		plan_add(p, STEP_MUST, c, "memory.reservation", "memory.soft_limit_in_bytes", "%lld", (long long)m->reservation);
	if (m->has_kernel && m->kernel)
		plan_add(p, m->kernel == -1 ? STEP_ABSENT_IS_FINE : STEP_MUST, c, "memory.kernel", "memory.kmem.limit_in_bytes", "%lld",
			 (long long)m->kernel);
	if (m->has_kernel_tcp && m->kernel_tcp)
		plan_add(p, m->kernel_tcp == -1 ? STEP_ABSENT_IS_FINE : STEP_MUST, c, "memory.kernelTCP", "memory.kmem.tcp.limit_in_bytes", "%lld",
			 (long long)m->kernel_tcp);
	if (m->has_swappiness)
		plan_add(p, STEP_MUST, c, "memory.swappiness", "memory.swappiness", "%llu", (unsigned long long)m->swappiness);
	if (m->has_disable_oom_killer)
		plan_add(p, m->disable_oom_killer ? STEP_MUST : STEP_ABSENT_IS_FINE, c, "memory.disableOOMKiller", "memory.oom_control", "%d",
			 m->disable_oom_killer);
	if (m->has_use_hierarchy)
		plan_add(p, m->use_hierarchy ? STEP_ABSENT_IS_FINE : STEP_MUST, c, "memory.useHierarchy", "memory.use_hierarchy", "%d",
			 m->use_hierarchy);
}

static void cpu(const Davit__OciCpu *cpu, struct plan *p)
{
	const enum controller c = CONTROLLER_CPU;
	/* An idle group takes no shares: they are written before it becomes idle, or after it has ceased to be. */
	if (cpu->has_idle && cpu->idle == 0)
		plan_add(p, STEP_ABSENT_IS_FINE, c, "cpu.idle", "cpu.idle", "0");
	if (cpu->has_shares && cpu->shares)
		plan_add(p, STEP_MUST, c, "cpu.shares", "cpu.shares", "%llu", (unsigned long long)cpu->shares);
	if (cpu->has_idle && cpu->idle == 1)
		plan_add(p, STEP_MUST, c, "cpu.idle", "cpu.idle", "1");
	if (cpu->has_period && cpu->period)
		plan_add(p, STEP_MUST, c, "cpu.period", "cpu.cfs_period_us", "%llu", (unsigned long long)cpu->period);
	if (cpu->has_quota && cpu->quota)
		plan_add(p, STEP_MUST, c, "cpu.quota", "cpu.cfs_quota_us", "%lld", (long long)cpu->quota);
	if (cpu->has_burst)
		plan_add(p, cpu->burst ? STEP_MUST : STEP_ABSENT_IS_FINE, c, "cpu.burst", "cpu.cfs_burst_us", "%llu", (unsigned long long)cpu->burst);
	if (cpu->has_realtime_period && cpu->realtime_period)
		plan_add(p, STEP_MUST, c, "cpu.realtimePeriod", "cpu.rt_period_us", "%llu", (unsigned long long)cpu->realtime_period);
	if (cpu->has_realtime_runtime && cpu->realtime_runtime)
		plan_add(p, STEP_MUST, c, "cpu.realtimeRuntime", "cpu.rt_runtime_us", "%lld", (long long)cpu->realtime_runtime);
}

static void throttle(struct plan *p, const char *field, const char *file, Davit__OciThrottleDevice *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		plan_add(p, STEP_MUST, CONTROLLER_IO, field, file, "%lld:%lld %llu", (long long)v[i]->major, (long long)v[i]->minor,
			 (unsigned long long)v[i]->rate);
}

/* CFQ's files went with Linux 5.0; BFQ has its own. */
static void weight_device(const Davit__OciWeightDevice *d, size_t i, struct plan *p)
{
	char field[64];
	long long major = d->major, minor = d->minor;
	snprintf(field, sizeof(field), "blockIO.weightDevice[%zu].weight", i);
	if (d->has_weight && d->weight) {
		plan_add(p, STEP_EITHER, CONTROLLER_IO, field, "blkio.weight_device", "%lld:%lld %u", major, minor, d->weight);
		plan_add(p, STEP_EITHER, CONTROLLER_IO, field, "blkio.bfq.weight_device", "%lld:%lld %u", major, minor, d->weight);
	}
	snprintf(field, sizeof(field), "blockIO.weightDevice[%zu].leafWeight", i);
	if (d->has_leaf_weight && d->leaf_weight)
		plan_add(p, STEP_MUST, CONTROLLER_IO, field, "blkio.leaf_weight_device", "%lld:%lld %u", major, minor, d->leaf_weight);
}

static void block_io(const Davit__OciBlockIo *b, struct plan *p)
{
	if (b->has_weight && b->weight) {
		plan_add(p, STEP_EITHER, CONTROLLER_IO, "blockIO.weight", "blkio.weight", "%u", b->weight);
		plan_add(p, STEP_EITHER, CONTROLLER_IO, "blockIO.weight", "blkio.bfq.weight", "%u", b->weight);
	}
	if (b->has_leaf_weight && b->leaf_weight)
		plan_add(p, STEP_MUST, CONTROLLER_IO, "blockIO.leafWeight", "blkio.leaf_weight", "%u", b->leaf_weight);
	for (size_t i = 0; i < b->n_weight_device; i++)
		weight_device(b->weight_device[i], i, p);
	throttle(p, "blockIO.throttleReadBpsDevice", "blkio.throttle.read_bps_device", b->throttle_read_bps_device, b->n_throttle_read_bps_device);
	throttle(p, "blockIO.throttleWriteBpsDevice", "blkio.throttle.write_bps_device", b->throttle_write_bps_device,
		 b->n_throttle_write_bps_device);
	throttle(p, "blockIO.throttleReadIOPSDevice", "blkio.throttle.read_iops_device", b->throttle_read_iops_device,
		 b->n_throttle_read_iops_device);
	throttle(p, "blockIO.throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", b->throttle_write_iops_device,
		 b->n_throttle_write_iops_device);
}

static void network(const Davit__OciNetworkClass *n, unsigned mask, struct plan *p)
{
	if (n->has_class_id && (mask & CONTROLLER_BIT(CONTROLLER_NET_CLS)))
		plan_add(p, STEP_MUST, CONTROLLER_NET_CLS, "network.classID", "net_cls.classid", "%u", n->class_id);
	for (size_t i = 0; i < n->n_priorities && (mask & CONTROLLER_BIT(CONTROLLER_NET_PRIO)); i++)
		plan_add(p, STEP_MUST, CONTROLLER_NET_PRIO, "network.priorities", "net_prio.ifpriomap", "%s %u", n->priorities[i]->name,
			 n->priorities[i]->priority);
}

void plan_v1(const Davit__OciResources *r, unsigned mask, struct plan *p)
{
	p->unified = false;
	if (r->memory && (mask & CONTROLLER_BIT(CONTROLLER_MEMORY)))
		memory(r->memory, p);
	if (r->cpu && (mask & CONTROLLER_BIT(CONTROLLER_CPU)))
		cpu(r->cpu, p);
	plan_same(r, mask, p);
	if (r->block_io && (mask & CONTROLLER_BIT(CONTROLLER_IO)))
		block_io(r->block_io, p);
	if (r->network)
		network(r->network, mask, p);
}
