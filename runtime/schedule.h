/* CPU scheduling, I/O priority and personality of a process. Sources: sched_setattr(2), ioprio_set(2), config.md "scheduler", "ioPriority". */
#pragma once
#include "base/err.h"
#include "oci.pb-c.h"

/* SCHED_… of a name, or -1; the flag of a name, or 0; IOPRIO_CLASS_… of a name, or -1. */
int schedule_policy(const char *name);
unsigned long long schedule_flag(const char *name);
int schedule_io_class(const char *name);
/* Sets both for the calling process, where the spec has them. */
int schedule_apply(const Davit__OciProcess *p, struct err *e);
