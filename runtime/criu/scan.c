/* criu_obstacles(): what stands in the way of a dump, seen from outside while the container runs.
 *
 * It says what CRIU would say, before anything is stopped; what it cannot see (a socket's queue, a race) CRIU still refuses by itself. Each part of
 * /proc has its file: scan_fd.c descriptors, scan_maps.c mappings, scan_net.c sockets and locks; here namespaces, tracers and exec sessions. */
#include "runtime/annotation.h"
#include "runtime/criu/scan.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/proc.h"
#include "proto/pb.h"
#include "runtime/landlock.h"
#include "runtime/supervise/supervise.h"

bool scan_has(const struct scan *s, pid_t pid)
{
	for (size_t i = 0; i < s->npids; i++)
		if (s->pids[i] == pid)
			return true;
	return false;
}

Davit__Obstacle *scan_add(struct scan *s, pid_t pid, const char *kind, const char *detail, struct err *e)
{
	char name[64], comm[64] = "";
	Davit__Obstacle *o = obstacle_new(kind, detail, e);

	if (!o || pb_push(&s->out->n_obstacles, &s->out->obstacles, o, e) < 0)
		return NULL;
	snprintf(name, sizeof(name), "/proc/%d/comm", pid);
	long inside = proc_status_number(pid, "NSpid");
	o->has_pid = inside > 0;
	o->pid = (int)MAX(inside, 0);
	if (file_read_line(AT_FDCWD, name, comm, sizeof(comm), NULL) == 0 && pb_set_str(&o->process, comm, e) < 0)
		return NULL;
	return o;
}

static int exec_session(struct scan *s, pid_t pid, struct err *e)
{
	long parent = proc_status_number(pid, "PPid");

	if (pid == s->o->init || parent < 0 || scan_has(s, (pid_t)parent))
		return 0;
	return scan_add(s, pid, "exec_session", NULL, e) ? 0 : -1;
}

/* Kinds that CRIU can only save once for a container; mount and network namespaces may be several. */
static int namespace_of(struct scan *s, pid_t pid, const char *kind, const char *than, struct err *e)
{
	char name[64], theirs[64], inits[64];

	snprintf(name, sizeof(name), "/proc/%d/ns/%s", pid, kind);
	ssize_t n = readlink(name, theirs, sizeof(theirs) - 1);
	snprintf(name, sizeof(name), "/proc/%d/ns/%s", s->o->init, than);
	ssize_t m = readlink(name, inits, sizeof(inits) - 1);
	if (n < 0 || m < 0)
		return 0;
	theirs[n] = inits[m] = '\0';
	if (str_eq(theirs, inits))
		return 0;
	Davit__Obstacle *o = scan_add(s, pid, "nested_namespace", NULL, e);
	return o ? pb_set_str(&o->path, than, e) : -1;
}

int scan_namespaces(struct scan *s, pid_t pid, struct err *e)
{
	static const char *const kinds[] = { "user", "pid", "uts", "ipc", "cgroup", "time" };

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (namespace_of(s, pid, kinds[i], kinds[i], e) < 0)
			return -1;
	return namespace_of(s, pid, "time_for_children", "time", e);
}

int scan_status(struct scan *s, pid_t pid, struct err *e)
{
	if (proc_status_number(pid, "TracerPid") > 0 && !scan_add(s, pid, "traced", NULL, e))
		return -1;
	/* A session whose leader is outside has no number inside. */
	if (!s->o->shell_job && proc_status_number(pid, "NSsid") == 0 && !scan_add(s, pid, "session", NULL, e))
		return -1;
	return exec_session(s, pid, e);
}

static int scan_process(struct scan *s, pid_t pid, struct err *e)
{
	if (scan_status(s, pid, e) < 0 || scan_namespaces(s, pid, e) < 0 || scan_maps(s, pid, e) < 0)
		return -1;
	return scan_fds(s, pid, e);
}

/* What shows nowhere in /proc: that a filter notifies, and Landlock. CRIU would dump both without a word, and restore a container that is another. */
static int scan_spec(struct scan *s, struct err *e)
{
	const Davit__OciSpec *spec = s->o->spec;
	const Davit__OciSeccomp *filter = spec && spec->linux ? spec->linux->seccomp : NULL;
	bool notifies = spec && annotation_of_spec(spec, SUPERVISE_ANNOTATION), held = spec && annotation_of_spec(spec, LANDLOCK_ANNOTATION);

	for (size_t i = 0; filter && i < filter->n_syscalls; i++)
		notifies |= str_eq(filter->syscalls[i]->action, "SCMP_ACT_NOTIFY");
	if (notifies && !scan_add(s, s->o->init, "seccomp_listener", NULL, e))
		return -1;
	return held && !scan_add(s, s->o->init, "landlock", NULL, e) ? -1 : 0;
}

int criu_obstacles_early(const pid_t *pids, size_t n, const struct obstacle_scan *o, Davit__ObstacleList *out, struct err *e)
{
	struct scan s = { .o = o, .pids = pids, .npids = n, .out = out };

	if (scan_spec(&s, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (scan_status(&s, pids[i], e) < 0)
			return -1;
	return 0;
}

Davit__ObstacleList *criu_obstacles(const pid_t *pids, size_t n, const struct obstacle_scan *o, struct err *e)
{
	auto_pb(Davit__ObstacleList) *out = pb_new(&davit__obstacle_list__descriptor, e);
	struct scan s = { .o = o, .pids = pids, .npids = n, .out = out };
	struct err gone = { 0 };
	int rc = 0;

	if (!out)
		return NULL;
	/* Without init there is nothing left to look at. */
	if (mountinfo_read(o->init, &s.mounts, &gone) < 0)
		return steal_ptr(&out);
	rc = scan_spec(&s, e);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = scan_process(&s, pids[i], e);
	if (rc == 0)
		rc = scan_locks(&s, e);
	if (rc == 0)
		rc = scan_sockets(&s, e);
	if (rc == 0)
		rc = scan_network(&s, e);
	mountinfo_free(&s.mounts);
	return rc == 0 ? steal_ptr(&out) : NULL;
}
