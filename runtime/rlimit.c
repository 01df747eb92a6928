/* See rlimit.h. */
#include "runtime/rlimit.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/rootless.h"

static const struct {
	const char *name;
	int number;
} table[] = {
	{ "RLIMIT_AS", RLIMIT_AS },	      { "RLIMIT_CORE", RLIMIT_CORE },	      { "RLIMIT_CPU", RLIMIT_CPU },
	{ "RLIMIT_DATA", RLIMIT_DATA },	      { "RLIMIT_FSIZE", RLIMIT_FSIZE },	      { "RLIMIT_LOCKS", RLIMIT_LOCKS },
	{ "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK }, { "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE }, { "RLIMIT_NICE", RLIMIT_NICE },
	{ "RLIMIT_NOFILE", RLIMIT_NOFILE },   { "RLIMIT_NPROC", RLIMIT_NPROC },	      { "RLIMIT_RSS", RLIMIT_RSS },
	{ "RLIMIT_RTPRIO", RLIMIT_RTPRIO },   { "RLIMIT_RTTIME", RLIMIT_RTTIME },     { "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
	{ "RLIMIT_STACK", RLIMIT_STACK },
};

int rlimit_number(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (str_eq(table[i].name, name))
			return table[i].number;
	return -1;
}

static int fail(size_t i, const char *type, int sys, struct err *e)
{
	err_sys(e, sys, "set %s", type);
	if (e)
		snprintf(e->field, sizeof(e->field), "process.rlimits[%zu]", i);
	return err_remedy(e, "raising a hard limit needs CAP_SYS_RESOURCE on the host: ask for less");
}

int rlimit_raise(pid_t pid, const Davit__OciProcess *p, struct err *e)
{
	for (size_t i = 0; i < p->n_rlimits; i++) {
		const Davit__OciRlimit *r = p->rlimits[i];
		int number = rlimit_number(r->type);
		struct rlimit now;

		if (prlimit(pid, number, NULL, &now) < 0)
			return fail(i, r->type, errno, e);
		if (r->hard <= now.rlim_max)
			continue;
		now.rlim_max = r->hard;
		if (prlimit(pid, number, &now, NULL) < 0)
			return fail(i, r->type, errno, e);
	}
	return 0;
}

int rlimit_set(const Davit__OciProcess *p, struct err *e)
{
	for (size_t i = 0; i < p->n_rlimits; i++) {
		const Davit__OciRlimit *r = p->rlimits[i];
		struct rlimit want = { .rlim_cur = r->soft, .rlim_max = r->hard };

		if (setrlimit(rlimit_number(r->type), &want) < 0)
			return fail(i, r->type, errno, e);
	}
	return 0;
}

int rlimit_oom_score(const char *path, const char *value, struct err *e)
{
	char now[16];

	if (file_read_line(AT_FDCWD, path, now, sizeof(now), NULL) == 0 && str_eq(now, value))
		return 0;
	if (file_write_pseudo(AT_FDCWD, path, value, e) == 0)
		return 0;
	/* As runc: what podman asks for on behalf of an ordinary user is a wish. */
	if (rootless_is()) {
		log_warn("process.oomScoreAdj: %s is left away: lowering it takes root of the host", value);
		err_clear(e);
		return 0;
	}
	if (e)
		snprintf(e->field, sizeof(e->field), "process.oomScoreAdj");
	return err_remedy(e, "lowering it needs CAP_SYS_RESOURCE on the host: use a higher one");
}
