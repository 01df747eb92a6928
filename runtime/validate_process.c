/* Checks of "process": see validate.h. */
#include <string.h>
#include "base/mem.h"
#include "base/str.h"
#include "runtime/caps.h"
#include "runtime/rlimit.h"
#include "runtime/schedule.h"
#include "runtime/validate.h"

#define GROUPS_MAX 65536 /* NGROUPS_MAX */

static void check_user(const Davit__OciUser *u, struct problems *p)
{
	if (!u)
		return;
	if (u->has_umask && u->umask > 0777)
		problem(p, "process.user.umask", "use 0 to 511 (0777)", "%u is out of range", u->umask);
	if (u->n_additional_gids > GROUPS_MAX)
		problem(p, "process.user.additionalGids", "use at most 65536", "%zu are too many", u->n_additional_gids);
	if (u->uid == UINT32_MAX || u->gid == UINT32_MAX)
		problem(p, "process.user", "use ids below 4294967295", "4294967295 means \"no id\"");
}

static void check_rlimits(const Davit__OciProcess *s, struct problems *p)
{
	for (size_t i = 0; i < s->n_rlimits; i++) {
		const Davit__OciRlimit *r = s->rlimits[i];

		if (!r->type || rlimit_number(r->type) < 0) {
			problem(p, field_of("process.rlimits[%zu].type", i).s, "use a name of setrlimit(2) like RLIMIT_NOFILE",
				"unknown limit \"%s\"", r->type ? r->type : "");
			continue;
		}
		for (size_t k = 0; k < i; k++)
			if (str_eq(s->rlimits[k]->type, r->type))
				problem(p, field_of("process.rlimits[%zu].type", i).s, "keep one entry for each limit", "%s is set twice", r->type);
		if (r->soft > r->hard)
			problem(p, field_of("process.rlimits[%zu].soft", i).s, "use a soft limit up to the hard one", "above the hard limit");
	}
}

static void check_capabilities(const Davit__OciCapabilities *c, struct problems *p)
{
	struct caps caps;
	struct err e = { 0 };

	if (caps_parse(c, &caps, &e) == 0)
		return;
	problem(p, *e.field ? e.field : "process.capabilities", *e.remedy ? e.remedy : NULL, "%s", e.msg);
}

static void check_scheduler(const Davit__OciProcess *s, struct problems *p)
{
	const Davit__OciScheduler *c = s->scheduler;

	if (c && schedule_policy(c->policy) < 0)
		problem(p, "process.scheduler.policy", "use a name of sched(7) like SCHED_BATCH", "unknown policy \"%s\"",
			c->policy ? c->policy : "");
	for (size_t i = 0; c && i < c->n_flags; i++)
		if (!schedule_flag(c->flags[i]))
			problem(p, field_of("process.scheduler.flags[%zu]", i).s, "use a name of sched_setattr(2)", "unknown flag \"%s\"",
				c->flags[i]);
	if (c && (c->nice < -20 || c->nice > 19))
		problem(p, "process.scheduler.nice", "use -20 to 19", "%d is out of range", c->nice);
	if (s->io_priority && schedule_io_class(s->io_priority->class_) < 0)
		problem(p, "process.ioPriority.class", "use IOPRIO_CLASS_RT, IOPRIO_CLASS_BE or IOPRIO_CLASS_IDLE", "unknown class");
	if (s->io_priority && (s->io_priority->priority < 0 || s->io_priority->priority > 7))
		problem(p, "process.ioPriority.priority", "use 0 to 7", "%d is out of range", s->io_priority->priority);
}

static void check_cpus(const char *list, const char *field, struct problems *p)
{
	struct schedule_cpus cpus;

	if (list && schedule_cpus_parse(list, &cpus) < 0)
		problem(p, field, "write a list like \"0-3,7\"", "\"%.60s\" is no list of CPUs", list);
}

static void check_affinity(const Davit__OciExecCpuAffinity *a, struct problems *p)
{
	if (!a)
		return;
	check_cpus(a->initial, "process.execCPUAffinity.initial", p);
	check_cpus(a->final, "process.execCPUAffinity.final", p);
}

static void check_terminal(const Davit__OciProcess *s, struct problems *p)
{
	if (s->console_size && (s->console_size->height > 65535 || s->console_size->width > 65535))
		problem(p, "process.consoleSize", "use at most 65535 by 65535", "out of range");
}

void validate_process_into(const Davit__OciProcess *s, struct problems *p)
{
	if (s->n_args == 0)
		problem(p, "process.args", "name the program to run", "empty");
	else if (!*s->args[0])
		problem(p, "process.args[0]", "name the program to run", "empty");
	if (!s->cwd || s->cwd[0] != '/')
		problem(p, "process.cwd", "use an absolute path like \"/\"", "not an absolute path");
	for (size_t i = 0; i < s->n_env; i++)
		if (!strchr(s->env[i], '=') || s->env[i][0] == '=')
			problem(p, field_of("process.env[%zu]", i).s, "write NAME=value", "\"%.60s\" is not of the form NAME=value", s->env[i]);
	if (s->has_oom_score_adj && (s->oom_score_adj < -1000 || s->oom_score_adj > 1000))
		problem(p, "process.oomScoreAdj", "use -1000 to 1000", "%d is out of range", s->oom_score_adj);
	check_affinity(s->exec_cpu_affinity, p);
	check_user(s->user, p);
	check_rlimits(s, p);
	check_capabilities(s->capabilities, p);
	check_scheduler(s, p);
	check_terminal(s, p);
}
