/* From the error lines of CRIU's log to causes.
 *
 * A rule is an extended regular expression over one line (regex(7)); the first rule that fits a line wins, and only lines with
 * "Error (" are looked at, since warnings mostly have no consequence. The texts are those of CRIU 3.19 to 4.2; one that changes falls back to an
 * ERR_CRIU with the line itself. `pid`, `fd` and `path` are numbers of groups, 0: none. */
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "proto/pb.h"
#include "runtime/criu/obstacle.h"

#define GROUPS 6

static const struct rule {
	const char *pattern, *kind;
	int pid, fd, path;
} rules[] = {
	{ "Can't dump file ([0-9]+) of that type .*io_uring", "io_uring", 0, 1, 0 },
	{ "Can't dump file ([0-9]+) of that type .*perf_event", "perf_event", 0, 1, 0 },
	{ "Can't dump file ([0-9]+) of that type .*(bpf|btf)", "bpf", 0, 1, 0 },
	{ "Can't dump file ([0-9]+) of that type .*userfaultfd", "userfaultfd", 0, 1, 0 },
	{ "Can't dump file ([0-9]+) of that type .*secretmem", "memfd", 0, 1, 0 },
	{ "Can't dump file ([0-9]+) of that type \\[[0-9]+\\] \\(chr (.*)\\)", "device", 0, 1, 2 },
	{ "Can't dump file ([0-9]+) of that type \\[2[0-9]+\\] \\(unknown (.*)\\)", "device", 0, 1, 2 },
	{ "Can't dump file ([0-9]+) of that type \\[6[0-9]+\\] \\(unknown (.*)\\)", "device", 0, 1, 2 },
	{ "Can't dump file ([0-9]+) of that type \\[[0-9]+\\] \\(anon (.*)\\)", "anonymous_file", 0, 1, 2 },
	{ "Can't dump file ([0-9]+) of that type \\[[0-9]+\\] \\([a-z]+ (.*)\\)", "anonymous_file", 0, 1, 2 },
	{ "Can't dump half of stream unix connection", "unix_stream_external", 0, 0, 0 },
	{ "Dangling connection", "unix_stream_external", 0, 0, 0 },
	{ "External socket (is used|found in image)", "unix_external", 0, 0, 0 },
	{ "Can't dump name-less external socket", "unix_external", 0, 0, 0 },
	{ "Unix socket [0-9]+ with(out| unreachable) peer", "unix_external", 0, 0, 0 },
	{ "Can't dump nested ([a-z_]+) namespace for ([0-9]+)", "nested_namespace", 2, 0, 1 },
	{ "Nested mount namespaces are not supported", "nested_namespace", 0, 0, 0 },
	{ "doesn't belong to the target user namespace", "namespace_owner", 0, 0, 0 },
	{ "Can't find suitable path for handle", "inotify_path", 0, 0, 0 },
	{ "Can't dump that handle", "inotify_path", 0, 0, 0 },
	{ "Can't add watch for", "inotify_path", 0, 0, 0 },
	{ "Can't handle non-regular mapping on ([0-9]+)'s map", "device_mapping", 1, 0, 0 },
	{ "Strange file mapped at [0-9a-f]+ \\[([^]]*)\\]", "device_mapping", 0, 0, 1 },
	{ "Unsupported mapping found", "device_mapping", 0, 0, 0 },
	{ "Some file locks are hold by dumping tasks", "file_lock", 0, 0, 0 },
	{ "Unresolved lock found pid ([0-9-]+)", "file_lock", 1, 0, 0 },
	{ "Can ?not set (flock|posix lock|ofd lock)", "file_lock", 0, 0, 0 },
	{ "[Ll]ease .*break|Incorrect (target )?lease type", "file_lease", 0, 0, 0 },
	{ "Can't dump ghost file (.*) of [0-9]+ size", "ghost_limit", 0, 0, 1 },
	{ "Can't create link remap for (.*)\\. Use", "deleted_file", 0, 0, 1 },
	{ "Can't link remap to ([^:]*)", "deleted_file", 0, 0, 1 },
	{ "Unable to set a pipe size|Can't set pipe size|Can't restore pipe .*size|F_SETPIPE_SZ", "pipe_size", 0, 0, 0 },
	{ "File (.*) has bad (size|mode|build-ID)", "file_changed", 0, 0, 1 },
	{ "Can't open file (.*) on restore: No such file", "file_missing", 0, 0, 1 },
	{ "Can't open file (.*): No such file", "file_missing", 0, 0, 1 },
	{ "Can't open file (.*) on restore: Permission denied", "file_denied", 0, 0, 1 },
	{ "Can't lookup mount=.* fd=([0-9]+) path=/secretmem", "memfd", 0, 1, 0 },
	{ "Can't lookup mount=-?[0-9]+ for fd=(-?[0-9]+) path=(.*)", "file_outside", 0, 1, 2 },
	{ "Open files on overmounted mounts.*fd=([0-9]+) path=(.*)", "file_overmounted", 0, 1, 2 },
	{ "mount [0-9]+ is overmounted", "file_overmounted", 0, 0, 0 },
	{ "[0-9]+:(.*) doesn't have a proper root mount", "mount_external", 0, 0, 1 },
	{ "Mount [0-9]+ (.*) \\(master_id.*unreachable sharing", "mount_external", 0, 0, 1 },
	{ "Mount [0-9]+:(.*) is autodetected external mount", "mount_external", 0, 0, 1 },
	{ "FS mnt (.*) dev .* unsupported id", "mount_unsupported", 0, 0, 1 },
	{ "failed to dump fs (.*) \\((.*)\\): always fail", "mount_unsupported", 0, 0, 1 },
	{ "No mapping for [0-9]+:(.*) mountpoint", "mount_source", 0, 0, 1 },
	{ "Can't (bind-)?mount at (.*):", "mount_source", 0, 0, 2 },
	{ "Unable to (bind-)?mount ([^ ]*) ", "mount_source", 0, 0, 2 },
	{ "Locking network failed|(ip6?tables|ip6?tables-(save|restore)|nft).*(not found|No such file|failed)", "network_lock", 0, 0, 0 },
	{ "Connected TCP socket", "tcp_established", 0, 0, 0 },
	{ "In-flight connection", "in_flight", 0, 0, 0 },
	{ "(Non-empty write queue|Found a closed) .*in-flight", "in_flight", 0, 0, 0 },
	{ "Found dangling tty", "terminal", 0, 0, 0 },
	{ "ctty inheritance detected", "terminal", 0, 0, 0 },
	{ "slave (external )?peer", "terminal", 0, 0, 0 },
	{ "Don't have tty to inherit session from", "terminal", 0, 0, 0 },
	{ "A session leader of (zombie process )?([0-9]+)\\([0-9]+\\) is outside", "session", 2, 0, 0 },
	{ "root process ([0-9]+) is not a session leader", "session", 1, 0, 0 },
	{ "[Hh]uge ?(tlb|page)", "hugetlb", 0, 0, 0 },
	{ "memfd", "memfd", 0, 0, 0 },
	{ "(apparmor|AppArmor|AA namespace|selinux|SELinux|lsm[- ]profile|security label|LSM)", "lsm_label", 0, 0, 0 },
	{ "[Ss]eccomp", "seccomp", 0, 0, 0 },
	{ "Can't fetch filter on tid_real ([0-9]+)", "seccomp", 1, 0, 0 },
	{ "Unseizable non-zombie ([0-9]+) found", "traced", 1, 0, 0 },
	{ "SEIZE ([0-9]+): can't .*(Operation not permitted|ptrace)", "traced", 1, 0, 0 },
	{ "PID ([0-9]+) has uprobes", "uprobe", 1, 0, 0 },
	{ "pidfd pid ([0-9]+) is not a part of process tree", "pidfd", 1, 0, 0 },
	{ "Can't dump bpf|[Bb]pf ?map", "bpf", 0, 0, 0 },
	{ "disable MPTCP", "mptcp", 0, 0, 0 },
	{ "Unsupported proto 262", "mptcp", 0, 0, 0 },
	{ "Unsupported (proto|socket family|type)", "socket", 0, 0, 0 },
	{ "BUG! Unknown socket collected", "socket", 0, 0, 0 },
	{ "Control messages in queue|The socket has data to read|corked dgram|packetized mode for pipes", "socket_data", 0, 0, 0 },
	{ "Task ([0-9]+) with SysVIPC shmem map", "sysv_shm", 1, 0, 0 },
	{ "Unable to freeze cgroup", "not_frozen", 0, 0, 0 },
	{ "Timeout reached", "not_frozen", 0, 0, 0 },
	{ "Can't fork for [0-9]+: File exists", "pid_taken", 0, 0, 0 },
	{ "Pid [0-9]+ do not match expected", "pid_taken", 0, 0, 0 },
	{ "CPU (instruction )?capabilities do not match|FPU feature required|xsave .*mismatch|xfeatures has unsupported", "cpu", 0, 0, 0 },
	{ "No space left on device", "no_space", 0, 0, 0 },
	{ "when initializing kerndat|Unexpected rt vDSO", "kernel", 0, 0, 0 },
};

static char *group(const char *line, const regmatch_t *m, int i, struct err *e)
{
	return i > 0 && m[i].rm_so >= 0 ? mem_printf(e, "%.*s", (int)(m[i].rm_eo - m[i].rm_so), line + m[i].rm_so) : NULL;
}

static int add(const struct rule *r, const char *line, const regmatch_t *m, Davit__ObstacleList *out, struct err *e)
{
	struct err none = { 0 };
	auto_free char *pid = group(line, m, r->pid, &none), *fd = group(line, m, r->fd, &none), *path = group(line, m, r->path, &none);
	const char *text = strstr(line, "): ");
	auto_pb(Davit__Obstacle) *o = obstacle_new(r->kind, NULL, e);

	if (!o || (path && *path && pb_set_str(&o->path, path, e) < 0))
		return -1;
	if (!path && text) {
		free(o->reason);
		if (!(o->reason = mem_printf(e, "%s (CRIU: %s)", obstacle_kind(r->kind)->reason, text + 3 + strspn(text + 3, "\t "))))
			return -1;
	}
	o->has_pid = pid != NULL;
	o->pid = pid ? atoi(pid) : 0;
	o->has_fd = fd != NULL;
	o->fd = fd ? atoi(fd) : 0;
	for (size_t i = 0; i < out->n_obstacles; i++)
		if (str_eq(out->obstacles[i]->kind, o->kind) && str_eq(out->obstacles[i]->path, o->path) && out->obstacles[i]->fd == o->fd)
			return 0;
	return pb_push(&out->n_obstacles, &out->obstacles, steal_ptr(&o), e);
}

static int match_line(const char *line, regex_t *compiled, Davit__ObstacleList *out, struct err *e)
{
	regmatch_t m[GROUPS];

	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (regexec(&compiled[i], line, GROUPS, m, 0) == 0)
			return add(&rules[i], line, m, out, e);
	return 0;
}

static int match_lines(const char *log, size_t n, regex_t *compiled, Davit__ObstacleList *out, struct err *e)
{
	for (const char *p = log, *end = log + n; p < end;) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		size_t len = (size_t)((eol ? eol : end) - p);
		auto_free char *line = mem_printf(e, "%.*s", (int)MIN(len, 4096), p);
		if (!line || (strstr(line, "Error (") && match_line(line, compiled, out, e) < 0))
			return -1;
		p += len + 1;
	}
	return 0;
}

int obstacle_of_log(const char *log, size_t n, Davit__ObstacleList *out, struct err *e)
{
	regex_t compiled[ARRAY_LEN(rules)];
	size_t done = 0;
	int rc = 0;

	for (; rc == 0 && done < ARRAY_LEN(rules); done++)
		if (regcomp(&compiled[done], rules[done].pattern, REG_EXTENDED) != 0) {
			rc = err_set(e, ERR_INTERNAL, 0, "obstacle rule %zu is no regular expression", done);
			break;
		}
	if (rc == 0)
		rc = match_lines(log, n, compiled, out, e);
	while (done > 0)
		regfree(&compiled[--done]);
	return rc;
}
