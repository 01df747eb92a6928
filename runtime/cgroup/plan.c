/* Plans: adding steps, and checking resources before any plan is made.
 *
 * 0 means "not set" for the numbers of memory, cpu and pids, as in runc (a Go integer that was left out is 0), and -1 "no limit", as
 * the OCI spec has it. */
#include <stdio.h>
#include <string.h>
#include "runtime/cgroup/internal.h"

#define PREFIX "linux.resources."

void plan_free(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->v[i].value);
	free(p->v);
	*p = (struct plan){ 0 };
}

static void plan_add_text(struct plan *p, struct step step, const char *field, const char *file, char *value)
{
	if (!value || mem_grow(&p->v, &p->cap, p->n + 1, sizeof(*p->v), p->e) < 0) {
		free(value);
		p->failed = true;
		return;
	}
	step.unified = p->unified;
	step.value = value;
	snprintf(step.field, sizeof(step.field), PREFIX "%s", field);
	snprintf(step.file, sizeof(step.file), "%s", file);
	p->v[p->n++] = step;
}

void plan_add(struct plan *p, enum step_kind kind, enum controller c, const char *field, const char *file, const char *value_format, ...)
{
	if (p->failed)
		return;
	va_list ap;
	char *value = NULL;
	va_start(ap, value_format);
	if (vasprintf(&value, value_format, ap) < 0) {
		value = NULL;
		err_set(p->e, ERR_RESOURCE, 0, "no memory for the cgroup's settings");
	}
	va_end(ap);
	plan_add_text(p, (struct step){ .kind = kind, .controller = c }, field, file, value);
}

void plan_refuse(struct plan *p, const char *field, const char *format, ...)
{
	if (p->failed)
		return;
	char text[ERR_MSG_MAX];
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	p->failed = true;
	err_set(p->e, ERR_UNSUPPORTED, 0, PREFIX "%s: %s", field, text);
	char full[ERR_FIELD_MAX];
	snprintf(full, sizeof(full), PREFIX "%s", field);
	err_prefix_field(p->e, full);
}

static int out_of_range(struct err *e, const char *field, const char *range)
{
	err_field(e, field, "%s must be %s", field, range);
	if (e)
		e->code = ERR_RANGE;
	return -1;
}

static int check_memory(const Davit__OciMemory *m, struct err *e)
{
	const struct {
		bool has;
		int64_t value;
		const char *field;
	} limits[] = {
		{ m->has_limit, m->limit, PREFIX "memory.limit" },
		{ m->has_reservation, m->reservation, PREFIX "memory.reservation" },
		{ m->has_swap, m->swap, PREFIX "memory.swap" },
		{ m->has_kernel, m->kernel, PREFIX "memory.kernel" },
		{ m->has_kernel_tcp, m->kernel_tcp, PREFIX "memory.kernelTCP" },
	};
	for (size_t i = 0; i < ARRAY_LEN(limits); i++)
		if (limits[i].has && limits[i].value < -1)
			return out_of_range(e, limits[i].field, "a number of bytes, or -1 for no limit");
	if (m->has_swap && m->swap > 0 && m->has_limit && m->limit > m->swap)
		return err_field(e, PREFIX "memory.swap", "memory.swap counts memory and swap together: %lld is less than memory.limit %lld",
				 (long long)m->swap, (long long)m->limit);
	if (m->has_swappiness && m->swappiness > 100)
		return out_of_range(e, PREFIX "memory.swappiness", "0 to 100");
	return 0;
}

static int check_cpu(const Davit__OciCpu *c, struct err *e)
{
	if (c->has_shares && c->shares && (c->shares < 2 || c->shares > 262144))
		return out_of_range(e, PREFIX "cpu.shares", "2 to 262144");
	if (c->has_quota && c->quota < -1)
		return out_of_range(e, PREFIX "cpu.quota", "a number of microseconds, or -1 for no limit");
	if (c->has_burst && c->has_quota && c->quota > 0 && c->burst > (uint64_t)c->quota)
		return out_of_range(e, PREFIX "cpu.burst", "at most cpu.quota");
	if (c->has_idle && c->idle != 0 && c->idle != 1)
		return out_of_range(e, PREFIX "cpu.idle", "0 or 1");
	return 0;
}

static int check_weight(bool has, uint32_t weight, const char *field, struct err *e)
{
	return has && weight && (weight < 10 || weight > 1000) ? out_of_range(e, field, "10 to 1000") : 0;
}

static int check_throttle(Davit__OciThrottleDevice *const *v, size_t n, const char *field, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (!v[i]->has_major || !v[i]->has_minor || !v[i]->has_rate)
			return err_field(e, field, "%s[%zu] needs major, minor and rate", field, i);
	return 0;
}

static int check_block_io(const Davit__OciBlockIo *b, struct err *e)
{
	if (check_weight(b->has_weight, b->weight, PREFIX "blockIO.weight", e) < 0 ||
	    check_weight(b->has_leaf_weight, b->leaf_weight, PREFIX "blockIO.leafWeight", e) < 0)
		return -1;
	for (size_t i = 0; i < b->n_weight_device; i++) {
		const Davit__OciWeightDevice *d = b->weight_device[i];
		if (!d->has_major || !d->has_minor || !(d->has_weight || d->has_leaf_weight))
			return err_field(e, PREFIX "blockIO.weightDevice", "blockIO.weightDevice[%zu] needs major, minor and a weight", i);
		if (check_weight(d->has_weight, d->weight, PREFIX "blockIO.weightDevice", e) < 0)
			return -1;
	}
	if (check_throttle(b->throttle_read_bps_device, b->n_throttle_read_bps_device, PREFIX "blockIO.throttleReadBpsDevice", e) < 0 ||
	    check_throttle(b->throttle_write_bps_device, b->n_throttle_write_bps_device, PREFIX "blockIO.throttleWriteBpsDevice", e) < 0 ||
	    check_throttle(b->throttle_read_iops_device, b->n_throttle_read_iops_device, PREFIX "blockIO.throttleReadIOPSDevice", e) < 0)
		return -1;
	return check_throttle(b->throttle_write_iops_device, b->n_throttle_write_iops_device, PREFIX "blockIO.throttleWriteIOPSDevice", e);
}

/* "2MB": digits, K, M or G, B. It becomes a part of a file name. */
static bool is_page_size(const char *s)
{
	size_t digits = s ? strspn(s, "0123456789") : 0;
	return digits > 0 && *s != '0' && digits < 8 && strchr("KMG", s[digits]) && s[digits] && str_eq(s + digits + 1, "B");
}

static int check_names(const Davit__OciResources *r, struct err *e)
{
	for (size_t i = 0; i < r->n_hugepage_limits; i++)
		if (!is_page_size(r->hugepage_limits[i]->page_size) || !r->hugepage_limits[i]->has_limit)
			return err_field(e, PREFIX "hugepageLimits", "hugepageLimits[%zu] needs a pageSize like \"2MB\", and a limit", i);
	for (size_t i = 0; r->network && i < r->network->n_priorities; i++) {
		const Davit__OciInterfacePriority *p = r->network->priorities[i];
		if (!p->name || !*p->name || strpbrk(p->name, " \t\n/") || !p->has_priority)
			return err_field(e, PREFIX "network.priorities", "network.priorities[%zu] needs the name of an interface, and a priority", i);
	}
	for (size_t i = 0; i < r->n_rdma; i++)
		if (!*r->rdma[i]->key || strpbrk(r->rdma[i]->key, " \t\n=") || !r->rdma[i]->value ||
		    !(r->rdma[i]->value->has_hca_handles || r->rdma[i]->value->has_hca_objects))
			return err_field(e, PREFIX "rdma", "rdma.%s needs hcaHandles or hcaObjects", r->rdma[i]->key);
	return 0;
}

/* Keys are file names. Those by which processes are moved, ended or delegated are no resources. */
static int check_unified(const Davit__OciResources *r, struct err *e)
{
	for (size_t i = 0; i < r->n_unified; i++) {
		const char *key = r->unified[i]->key;
		bool control = str_prefix(key, "cgroup.") && !str_prefix(key, "cgroup.max.") && !str_eq(key, "cgroup.pressure");
		if (!*key || strchr(key, '/') || !strchr(key, '.') || strlen(key) > 80 || control)
			return err_field(e, PREFIX "unified", "unified: \"%s\" is not the name of a resource file of cgroup v2", key);
		if (!r->unified[i]->value)
			return err_field(e, PREFIX "unified", "unified: \"%s\" needs a value", key);
	}
	return 0;
}

int plan_check(const Davit__OciResources *r, struct err *e)
{
	if (r->memory && check_memory(r->memory, e) < 0)
		return -1;
	if (r->cpu && check_cpu(r->cpu, e) < 0)
		return -1;
	if (r->pids && r->pids->has_limit && r->pids->limit < -1)
		return out_of_range(e, PREFIX "pids.limit", "a number of tasks, or -1 for no limit");
	if (r->block_io && check_block_io(r->block_io, e) < 0)
		return -1;
	return check_names(r, e) < 0 ? -1 : check_unified(r, e);
}

unsigned plan_controllers(const Davit__OciResources *r)
{
	unsigned bits = 0;
	bits |= r->memory ? CONTROLLER_BIT(CONTROLLER_MEMORY) : 0;
	bits |= r->cpu ? CONTROLLER_BIT(CONTROLLER_CPU) | CONTROLLER_BIT(CONTROLLER_CPUSET) : 0;
	bits |= r->pids ? CONTROLLER_BIT(CONTROLLER_PIDS) : 0;
	bits |= r->block_io ? CONTROLLER_BIT(CONTROLLER_IO) : 0;
	bits |= r->n_hugepage_limits ? CONTROLLER_BIT(CONTROLLER_HUGETLB) : 0;
	bits |= r->network ? CONTROLLER_BIT(CONTROLLER_NET_CLS) | CONTROLLER_BIT(CONTROLLER_NET_PRIO) : 0;
	bits |= r->n_rdma ? CONTROLLER_BIT(CONTROLLER_RDMA) : 0;
	for (size_t i = 0; i < r->n_unified; i++) {
		char name[32];
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(r->unified[i]->key, "."), r->unified[i]->key);
		bits |= controller_parse(name, " ");
	}
	return bits;
}
