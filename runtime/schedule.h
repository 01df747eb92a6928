/* CPU scheduling, CPUs, I/O priority and personality of a process. Sources: sched_setattr(2), sched_setaffinity(2), ioprio_set(2), personality(2),
 * config.md "scheduler", "ioPriority", "execCPUAffinity", config-linux.md "personality". */
#pragma once
#include "base/err.h"
#include "oci.pb-c.h"

/* SCHED_… of a name, or -1; the flag of a name, or 0; IOPRIO_CLASS_… of a name, or -1. */
int schedule_policy(const char *name);
unsigned long long schedule_flag(const char *name);
int schedule_io_class(const char *name);
/* Sets both for the calling process, where the spec has them. */
int schedule_apply(const Davit__OciProcess *p, struct err *e);

#define SCHEDULE_CPUS_MAX 8192 /* more than any kernel is built for */
struct schedule_cpus {
	unsigned long bits[SCHEDULE_CPUS_MAX / 8 / sizeof(unsigned long)];
};
/* A list of CPUs, "0-3,7", to a set: 0, or -1 where it is no such list. */
int schedule_cpus_parse(const char *list, struct schedule_cpus *out);
bool schedule_cpus_has(const struct schedule_cpus *c, unsigned cpu);
void schedule_cpus_add(struct schedule_cpus *c, unsigned cpu);
/* Puts the caller on these CPUs only. list NULL: leaves it. field: the member that has the list. */
int schedule_affinity(const char *list, const char *field, struct err *e);
/* PER_… of a domain, or -1. */
int schedule_domain(const char *name);
/* Sets it for the caller. p NULL: leaves it. */
int schedule_personality(const Davit__OciPersonality *p, struct err *e);
