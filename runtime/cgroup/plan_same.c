/* Resources whose files are the same, or nearly so, on both versions of cgroups. */
#include <stdio.h>
#include "runtime/cgroup/internal.h"

static void cpuset(const Davit__OciCpu *cpu, struct plan *p)
{
	if (cpu->cpus && *cpu->cpus)
		plan_add(p, STEP_MUST, CONTROLLER_CPUSET, "cpu.cpus", "cpuset.cpus", "%s", cpu->cpus);
	if (cpu->mems && *cpu->mems)
		plan_add(p, STEP_MUST, CONTROLLER_CPUSET, "cpu.mems", "cpuset.mems", "%s", cpu->mems);
}

static void pids(const Davit__OciPids *pids, struct plan *p)
{
	if (pids->has_limit && pids->limit < 0)
		plan_add(p, STEP_MUST, CONTROLLER_PIDS, "pids.limit", "pids.max", "max");
	else if (pids->has_limit && pids->limit)
		plan_add(p, STEP_MUST, CONTROLLER_PIDS, "pids.limit", "pids.max", "%lld", (long long)pids->limit);
}

/* Both countings are limited where the kernel has both: of pages that are faulted in, and of reservations. */
static void hugepages(const Davit__OciHugepageLimit *limit, size_t i, struct plan *p)
{
	char field[48], file[64];
	snprintf(field, sizeof(field), "hugepageLimits[%zu]", i);
	for (int reserved = 0; reserved <= 1; reserved++) {
		snprintf(file, sizeof(file), "hugetlb.%s.%s%s", limit->page_size, reserved ? "rsvd." : "", p->unified ? "max" : "limit_in_bytes");
		plan_add(p, STEP_EITHER, CONTROLLER_HUGETLB, field, file, "%llu", (unsigned long long)limit->limit);
	}
}

static void rdma(const Davit__OciRdmaEntry *entry, struct plan *p)
{
	if (entry->value->has_hca_handles)
		plan_add(p, STEP_MUST, CONTROLLER_RDMA, "rdma", "rdma.max", "%s hca_handle=%u", entry->key, entry->value->hca_handles);
	if (entry->value->has_hca_objects)
		plan_add(p, STEP_MUST, CONTROLLER_RDMA, "rdma", "rdma.max", "%s hca_object=%u", entry->key, entry->value->hca_objects);
}

void plan_same(const Davit__OciResources *r, unsigned mask, struct plan *p)
{
	if (r->cpu && (mask & CONTROLLER_BIT(CONTROLLER_CPUSET)))
		cpuset(r->cpu, p);
	if (r->pids && (mask & CONTROLLER_BIT(CONTROLLER_PIDS)))
		pids(r->pids, p);
	for (size_t i = 0; i < r->n_hugepage_limits && (mask & CONTROLLER_BIT(CONTROLLER_HUGETLB)); i++)
		hugepages(r->hugepage_limits[i], i, p);
	for (size_t i = 0; i < r->n_rdma && (mask & CONTROLLER_BIT(CONTROLLER_RDMA)); i++)
		rdma(r->rdma[i], p);
}
