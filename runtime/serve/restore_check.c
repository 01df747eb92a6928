/* Restored processes, seen through /proc: namespaces (links of /proc/PID/ns), ids (uid_map, status), capabilities, no_new_privs and seccomp (status).
 * Source: proc(5). */
#include "runtime/serve/restore_check.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"
#include "runtime/caps.h"
#include "runtime/serve/bundle.h"

#define STATUS_MAX 65536

struct expected {
	const Davit__ContainerSpec *spec;
	const Davit__IdRange *ids;
	uint64_t caps;
};

static int link_of(pid_t pid, const char *ns, char out[64])
{
	char path[64];
	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, ns);
	else
		snprintf(path, sizeof(path), "/proc/self/ns/%s", ns);
	ssize_t n = readlink(path, out, 63);
	out[n > 0 ? n : 0] = 0;
	return n > 0 ? 0 : -1;
}

static int check_namespaces(const struct expected *x, pid_t pid, struct err *e)
{
	const struct {
		const char *name;
		bool own;
	} all[] = {
		{ "user", !x->spec->host_user_namespace },
		{ "mnt", true },
		{ "pid", true },
		{ "ipc", true },
		{ "uts", true },
		{ "cgroup", true },
		{ "net", !str_eq(x->spec->network_mode, "host") },
		{ "time", !x->spec->host_clocks },
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		char ours[64], theirs[64];
		if (!all[i].own || link_of(0, all[i].name, ours) < 0)
			continue;
		if (link_of(pid, all[i].name, theirs) < 0)
			return err_sys(e, errno, "restored process %d: read its %s namespace", pid, all[i].name);
		if (str_eq(ours, theirs))
			return err_set(e, ERR_DENIED, 0, "the images restore process %d into the host's %s namespace", pid, all[i].name);
	}
	return 0;
}

static int check_map(const struct expected *x, pid_t pid, const char *name, struct err *e)
{
	char path[64];
	size_t n = 0;
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	auto_free char *text = file_read(AT_FDCWD, path, STATUS_MAX, &n, e);
	if (!text)
		return -1;
	for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		unsigned long inside, outside, size;
		if (sscanf(line, "%lu %lu %lu", &inside, &outside, &size) != 3 || outside < x->ids->host_start || size > x->ids->size ||
		    outside + size > (unsigned long)x->ids->host_start + x->ids->size)
			return err_set(e, ERR_DENIED, 0, "the images map ids of process %d outside of its range (%s: %s)", pid, name, line);
	}
	return 0;
}

static int check_caps(const struct expected *x, pid_t pid, const char *line, struct err *e)
{
	unsigned long long have = 0;
	if (sscanf(strchr(line, ':') + 1, "%llx", &have) != 1)
		return err_set(e, ERR_INTERNAL, 0, "/proc/%d/status: %s", pid, line);
	if (have & ~x->caps)
		return err_set(e, ERR_DENIED, 0, "the images give process %d capabilities that its spec does not (%s, allowed %llx)", pid, line,
			       (unsigned long long)x->caps);
	return 0;
}

static int check_line(const struct expected *x, pid_t pid, const char *line, struct err *e)
{
	int value = 0;
	if (str_prefix(line, "CapInh:") || str_prefix(line, "CapPrm:") || str_prefix(line, "CapEff:") || str_prefix(line, "CapBnd:") ||
	    str_prefix(line, "CapAmb:"))
		return check_caps(x, pid, line, e);
	if (sscanf(line, "NoNewPrivs: %d", &value) == 1 && value == 0 && !x->spec->allow_new_privileges)
		return err_set(e, ERR_DENIED, 0, "the images restore process %d without no_new_privs", pid);
	if (sscanf(line, "Seccomp: %d", &value) == 1 && value != 2 && !str_eq(x->spec->seccomp, "unconfined"))
		return err_set(e, ERR_DENIED, 0, "the images restore process %d without a seccomp filter", pid);
	return 0;
}

static int check_status(const struct expected *x, pid_t pid, struct err *e)
{
	char path[64];
	size_t n = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	auto_free char *text = file_read(AT_FDCWD, path, STATUS_MAX, &n, e);
	if (!text)
		return -1;
	for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (check_line(x, pid, line, e) < 0)
			return -1;
	return 0;
}

/* Capabilities, no_new_privs and seccomp are each thread's own. */
static int check_threads(const struct expected *x, pid_t pid, struct err *e)
{
	char path[64];
	int rc = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *tasks = opendir(path);
	if (!tasks)
		return err_sys(e, errno, "threads of process %d", pid);
	for (struct dirent *d; rc == 0 && (d = readdir(tasks));)
		if (d->d_name[0] != '.')
			rc = check_status(x, (pid_t)strtol(d->d_name, NULL, 10), e);
	closedir(tasks);
	return rc;
}

static int check_process(const struct expected *x, pid_t pid, struct err *e)
{
	if (check_namespaces(x, pid, e) < 0 || check_threads(x, pid, e) < 0)
		return -1;
	if (x->spec->host_user_namespace)
		return 0;
	return check_map(x, pid, "uid_map", e) < 0 ? -1 : check_map(x, pid, "gid_map", e);
}

static int expect(const Davit__ContainerSpec *s, const Davit__IdRange *ids, struct expected *x, struct err *e)
{
	auto_strv struct strv caps = { 0 };
	*x = (struct expected){ .spec = s, .ids = ids };
	if (bundle_caps(s, &caps, e) < 0)
		return -1;
	for (size_t i = 0; i < caps.n; i++)
		x->caps |= 1ULL << caps_number(caps.v[i]);
	return 0;
}

int restore_check(const struct core *c, const Davit__ContainerSpec *s, const Davit__IdRange *ids, pid_t init, struct err *e)
{
	struct expected x;
	auto_free pid_t *pids = NULL;
	size_t n = 0;
	if (expect(s, ids, &x, e) < 0 || check_process(&x, init, e) < 0 || container_pids(&c->rt, s->name, &pids, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (check_process(&x, pids[i], e) < 0)
			return -1;
	return 0;
}
