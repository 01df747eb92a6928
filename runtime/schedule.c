/* See schedule.h. */
#include "runtime/schedule.h"
#include <errno.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/str.h"

struct name {
	const char *name;
	unsigned long long value;
};

static const struct name policies[] = {
	{ "SCHED_OTHER", SCHED_NORMAL },      { "SCHED_FIFO", SCHED_FIFO }, { "SCHED_RR", SCHED_RR },
	{ "SCHED_BATCH", SCHED_BATCH },	      { "SCHED_ISO", 4 },	    { "SCHED_IDLE", SCHED_IDLE },
	{ "SCHED_DEADLINE", SCHED_DEADLINE },
};
static const struct name flags[] = {
	{ "SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK },   { "SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM },
	{ "SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN },	    { "SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY },
	{ "SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS },	    { "SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN },
	{ "SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX },
};
static const struct name classes[] = {
	{ "IOPRIO_CLASS_RT", IOPRIO_CLASS_RT },
	{ "IOPRIO_CLASS_BE", IOPRIO_CLASS_BE },
	{ "IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE },
};

static const struct name domains[] = {
	{ "LINUX", PER_LINUX },
	{ "LINUX32", PER_LINUX32 },
};

static const struct name *find(const struct name *t, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(t[i].name, name))
			return &t[i];
	return NULL;
}

int schedule_policy(const char *name)
{
	const struct name *f = find(policies, ARRAY_LEN(policies), name);

	return f ? (int)f->value : -1;
}

unsigned long long schedule_flag(const char *name)
{
	const struct name *f = find(flags, ARRAY_LEN(flags), name);

	return f ? f->value : 0;
}

int schedule_io_class(const char *name)
{
	const struct name *f = find(classes, ARRAY_LEN(classes), name);

	return f ? (int)f->value : -1;
}

int schedule_apply(const Davit__OciProcess *p, struct err *e)
{
	if (p->io_priority) {
		int value = IOPRIO_PRIO_VALUE(schedule_io_class(p->io_priority->class_), p->io_priority->priority);

		if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) < 0)
			return err_field(e, "process.ioPriority", "set the I/O priority: %s", strerror(errno));
	}
	if (!p->scheduler)
		return 0;
	const Davit__OciScheduler *s = p->scheduler;
	struct sched_attr a = {
		.size = sizeof(a),
		.sched_policy = (unsigned)schedule_policy(s->policy),
		.sched_nice = s->nice,
		.sched_priority = (unsigned)s->priority,
		.sched_runtime = s->runtime,
		.sched_deadline = s->deadline,
		.sched_period = s->period,
	};
	for (size_t i = 0; i < s->n_flags; i++)
		a.sched_flags |= schedule_flag(s->flags[i]);
	if (syscall(SYS_sched_setattr, 0, &a, 0) < 0)
		return err_field(e, "process.scheduler", "set the scheduler: %s", strerror(errno));
	return 0;
}

#define WIDTH (8 * sizeof(unsigned long))

bool schedule_cpus_has(const struct schedule_cpus *c, unsigned cpu)
{
	return c->bits[cpu / WIDTH] >> cpu % WIDTH & 1;
}

void schedule_cpus_add(struct schedule_cpus *c, unsigned cpu)
{
	c->bits[cpu / WIDTH] |= 1UL << cpu % WIDTH;
}

static int add_range(struct schedule_cpus *c, unsigned long first, unsigned long last)
{
	if (first > last || last >= SCHEDULE_CPUS_MAX)
		return -1;
	for (unsigned long cpu = first; cpu <= last; cpu++)
		schedule_cpus_add(c, (unsigned)cpu);
	return 0;
}

int schedule_cpus_parse(const char *list, struct schedule_cpus *out)
{
	*out = (struct schedule_cpus){ 0 };
	for (const char *p = list;; p++) {
		char *end;
		unsigned long first = strtoul(p, &end, 10), last = first;

		if (*p < '0' || *p > '9')
			return -1;
		if (*end == '-') {
			p = end + 1;
			if (*p < '0' || *p > '9')
				return -1;
			last = strtoul(p, &end, 10);
		}
		if (add_range(out, first, last) < 0 || (*end && *end != ','))
			return -1;
		if (!*end)
			return 0;
		p = end;
	}
}

int schedule_affinity(const char *list, const char *field, struct err *e)
{
	struct schedule_cpus c;

	if (!list)
		return 0;
	if (schedule_cpus_parse(list, &c) == 0 && syscall(SYS_sched_setaffinity, 0, sizeof(c.bits), c.bits) >= 0)
		return 0;
	err_field(e, field, "run on CPUs %s: %s", list, strerror(errno));
	return err_remedy(e, "name CPUs that are there and that the cgroup's cpuset has");
}

int schedule_domain(const char *name)
{
	const struct name *f = find(domains, ARRAY_LEN(domains), name);

	return f ? (int)f->value : -1;
}

int schedule_personality(const Davit__OciPersonality *p, struct err *e)
{
	if (!p)
		return 0;
	return personality((unsigned long)schedule_domain(p->domain)) < 0 ? err_field(e, "linux.personality", "set it: %s", strerror(errno)) : 0;
}
