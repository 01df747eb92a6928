/* See properties.h. */
#include "runtime/cgroup/properties.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "runtime/cgroup/internal.h"

#define DEFAULT_PERIOD_US 100000

static void property_clear(struct property *p)
{
	free(p->name);
	strv_free(&p->words);
	buf_free(&p->bytes);
}

void properties_free(struct properties *p)
{
	for (size_t i = 0; i < p->n; i++)
		property_clear(&p->v[i]);
	free(p->v);
	*p = (struct properties){ 0 };
}

/* Borrowed until the next call. */
static struct property *add(struct properties *out, const char *name, const char *type, struct err *e)
{
	if (mem_grow(&out->v, &out->cap, out->n + 1, sizeof(*out->v), e) < 0)
		return NULL;
	struct property *p = &out->v[out->n];
	*p = (struct property){ .name = mem_strdup(name, e) };
	if (!p->name)
		return NULL;
	snprintf(p->type, sizeof(p->type), "%s", type);
	out->n++;
	return p;
}

static int add_number(struct properties *out, const char *name, uint64_t value, struct err *e)
{
	struct property *p = add(out, name, "t", e);

	if (p)
		p->number = value;
	return p ? 0 : -1;
}

/* Below zero: no limit. */
static int add_limit(struct properties *out, const char *name, int64_t value, struct err *e)
{
	return add_number(out, name, value < 0 ? UINT64_MAX : (uint64_t)value, e);
}

/* "0-2,5" as a mask of bits, the lowest in the first byte. A list that is none is the kernel's to refuse. */
static int add_mask(struct properties *out, const char *name, const char *list, struct err *e)
{
	struct schedule_cpus set;
	uint8_t mask[SCHEDULE_CPUS_MAX / 8] = { 0 };
	unsigned end = cgroup_list_read(list, &set);
	size_t len = (end + 7) / 8;

	for (unsigned i = 0; i < end; i++)
		mask[i / 8] |= (uint8_t)(schedule_cpus_has(&set, i) << i % 8);
	struct property *p = len ? add(out, name, "ay", e) : NULL;
	return p ? buf_append(&p->bytes, mask, len, e) : len ? -1 : 0;
}

static int add_memory(const Davit__OciMemory *m, struct properties *out, struct err *e)
{
	if (m->has_limit && m->limit && add_limit(out, "MemoryMax", m->limit, e) < 0)
		return -1;
	if (m->has_reservation && m->reservation && add_limit(out, "MemoryLow", m->reservation, e) < 0)
		return -1;
	if (m->has_swap && m->swap && m->has_limit && m->limit > 0)
		return add_limit(out, "MemorySwapMax", m->swap < 0 ? -1 : m->swap - m->limit, e);
	return 0;
}

static int add_cpu(const Davit__OciCpu *c, struct properties *out, struct err *e)
{
	uint64_t period = c->has_period && c->period ? c->period : DEFAULT_PERIOD_US;
	uint64_t quota = c->quota < 0 ? UINT64_MAX : (((uint64_t)c->quota * 1000000 / period) + 9999) / 10000 * 10000;

	if (c->has_shares && c->shares && add_number(out, "CPUWeight", weight_of_shares(c->shares), e) < 0)
		return -1;
	if (c->has_period && c->period && add_number(out, "CPUQuotaPeriodUSec", period, e) < 0)
		return -1;
	/* Rounded up to 10 ms in a second, as systemd takes it; the file has the exact value. */
	if (c->has_quota && c->quota && add_number(out, "CPUQuotaPerSecUSec", quota, e) < 0)
		return -1;
	if (c->cpus && add_mask(out, "AllowedCPUs", c->cpus, e) < 0)
		return -1;
	return c->mems ? add_mask(out, "AllowedMemoryNodes", c->mems, e) : 0;
}

/* A file of cgroup v2 that systemd writes too. */
static int add_unified(const Davit__OciStringEntry *entry, struct properties *out, struct err *e)
{
	static const struct {
		const char *file, *name;
	} files[] = {
		{ "memory.high", "MemoryHigh" }, { "memory.low", "MemoryLow" },		 { "memory.min", "MemoryMin" }, { "memory.max", "MemoryMax" },
		{ "pids.max", "TasksMax" },	 { "memory.swap.max", "MemorySwapMax" }, { "cpu.weight", "CPUWeight" },
	};
	char *end;

	if (!entry->value)
		return 0;
	if (str_eq(entry->key, "cpuset.cpus"))
		return add_mask(out, "AllowedCPUs", entry->value, e);
	if (str_eq(entry->key, "cpuset.mems"))
		return add_mask(out, "AllowedMemoryNodes", entry->value, e);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		if (!str_eq(entry->key, files[i].file))
			continue;
		if (str_eq(entry->value, "max"))
			return add_limit(out, files[i].name, -1, e);
		uint64_t n = strtoull(entry->value, &end, 10);
		return end > entry->value && !*end ? add_number(out, files[i].name, n, e) : 0;
	}
	return 0;
}

int properties_of_resources(const Davit__OciResources *r, struct properties *out, struct err *e)
{
	if (r && r->memory && add_memory(r->memory, out, e) < 0)
		return -1;
	if (r && r->cpu && add_cpu(r->cpu, out, e) < 0)
		return -1;
	if (r && r->pids && r->pids->has_limit && r->pids->limit && add_limit(out, "TasksMax", r->pids->limit, e) < 0)
		return -1;
	for (size_t i = 0; r && i < r->n_unified; i++)
		if (add_unified(r->unified[i], out, e) < 0)
			return -1;
	return 0;
}

static bool is_name(const char *name)
{
	size_t n = 0;

	while (isalpha((unsigned char)name[n]))
		n++;
	return n >= 3 && !name[n];
}

/* "TimeoutStopSec" is what people write, "TimeoutStopUSec" what systemd has on the bus. */
static int take_seconds(struct property *p, struct err *e)
{
	size_t n = strlen(p->name);
	bool negative = strchr("nix", p->type[0]) && (int64_t)p->number < 0;
	double usec = p->type[0] == 'd' ? p->real * 1e6 : (double)p->number * 1e6;

	if (n < 4 || !str_suffix(p->name, "Sec") || !islower((unsigned char)p->name[n - 4]))
		return 0;
	if (p->type[1] || !strchr("ynqiuxtd", p->type[0]) || negative || usec < 0 || usec >= 1.8e19)
		return err_set(e, ERR_INVALID, 0, "not a number of seconds");
	char *name = mem_printf(e, "%.*sUSec", (int)n - 3, p->name);
	if (!name)
		return -1;
	free(p->name);
	p->name = name;
	p->number = p->type[0] == 'd' ? (uint64_t)(usec + 0.5) : p->number * 1000000;
	memcpy(p->type, "t", 2);
	return 0;
}

static int add_annotation(const char *name, const char *text, struct properties *out, struct err *e)
{
	if (!is_name(name))
		return err_set(e, ERR_INVALID, 0, "not a name of systemd's properties, which have letters only");
	struct property *p = add(out, name, "", e);
	return !p || property_parse(text, p, e) < 0 ? -1 : take_seconds(p, e);
}

int properties_of_annotations(const Davit__OciSpec *spec, struct properties *out, struct err *e)
{
	for (size_t i = 0; i < spec->n_annotations; i++) {
		const Davit__OciStringEntry *a = spec->annotations[i];
		char field[128];

		if (!str_prefix(a->key, PROPERTY_ANNOTATION))
			continue;
		if (add_annotation(a->key + strlen(PROPERTY_ANNOTATION), a->value ? a->value : "", out, e) == 0)
			continue;
		snprintf(field, sizeof(field), "annotations.%.100s", a->key);
		err_prefix_field(e, field);
		err_prefix(e, "%s", field);
		return err_remedy(e, "write for example \"uint64 5\", \"true\", \"'text'\" or \"['one', 'two']\"");
	}
	return 0;
}
