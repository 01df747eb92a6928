/* Starting the monitor.
 *
 * Descriptors: 3 the sync pipe, on which the monitor tells {"pid":N} or {"error":"…"}; 4 the error pipe, on which davit-runtime tells its whole error
 * (DAVIT_ERROR_FD); 5 the first client; 6 our own log, for audit lines (DAVIT_AUDIT_FD); 7 davit-runtime's alone (ahead.h). The wait for the sync
 * line has no limit: a restore takes what it takes, and a monitor that ends closes the pipe. */
#include "runtime/serve/launch.h"

#include <poll.h>
#include "base/fd.h"
#include "base/proc.h"
#include "proto/json.h"
#include "proto/pb.h"

#define SYNC_MAX 65536
#define ERROR_WAIT_MS 1000
#define LEAVE_WAIT_MS 10000

int launch_command(struct strv *out, const char *name, const char *pid_file, struct err *e)
{
	return strv_add(out, name, e) < 0 || strv_add(out, "--pid-file", e) < 0 || strv_add(out, pid_file, e) < 0 ? -1 : 0;
}

static int add_all(struct strv *v, const char *const *items, struct err *e)
{
	for (size_t i = 0; items[i]; i++)
		if (strv_add(v, items[i], e) < 0)
			return -1;
	return 0;
}

static int add_log(struct strv *v, const struct core *c, const struct launch *l, struct err *e)
{
	if (!l->log)
		return 0;
	if (strv_add(v, "--log", e) < 0 || strv_add(v, l->log, e) < 0 || strv_add(v, "--log-max-bytes", e) < 0 ||
	    strv_addf(v, e, "%lu", (unsigned long)l->log_max_bytes) < 0 || strv_add(v, "--log-max-files", e) < 0 ||
	    strv_addf(v, e, "%lu", (unsigned long)l->log_max_files) < 0)
		return -1;
	if (c->log_gid == (gid_t)-1)
		return 0;
	return strv_add(v, "--log-group", e) < 0 || strv_addf(v, e, "%u", c->log_gid) < 0 ? -1 : 0;
}

static int add_stdio(struct strv *v, const Davit__ProcessSpec *p, struct err *e)
{
	if (p->stdin && strv_add(v, "--stdin", e) < 0)
		return -1;
	if (!p->terminal)
		return 0;
	if (strv_add(v, "--terminal", e) < 0)
		return -1;
	if (!p->rows || !p->columns)
		return 0;
	return strv_add(v, "--rows", e) < 0 || strv_addf(v, e, "%u", p->rows) < 0 || strv_add(v, "--columns", e) < 0 ||
		       strv_addf(v, e, "%u", p->columns) < 0
		   ? -1
		   : 0;
}

static int add_runtime(struct strv *v, const struct core *c, const struct launch *l, struct err *e)
{
	if (strv_add(v, "--", e) < 0 || strv_addf(v, e, "%s/davit-runtime", c->bin_dir) < 0)
		return -1;
	if (add_all(v, (const char *const[]){ "--root", c->runtime_root, "--criu-tmp", c->criu_tmp, NULL }, e) < 0)
		return -1;
	if (c->criu && add_all(v, (const char *const[]){ "--criu", c->criu, NULL }, e) < 0)
		return -1;
	if (c->policy_file && add_all(v, (const char *const[]){ "--policy", c->policy_file, NULL }, e) < 0)
		return -1;
	return add_all(v, (const char *const *)l->command->v, e);
}

static int monitor_args(struct strv *v, const struct core *c, const struct launch *l, struct err *e)
{
	const char *const first[] = { "davit-monitor", "--id",	   l->id,     "--pid-file", l->pid_file, "--exit-file",
				      l->exit_file,    "--attach", l->attach, "--sync-fd",  "3",	 NULL };
	if (add_all(v, first, e) < 0 || add_log(v, c, l, e) < 0 || add_stdio(v, l->process, e) < 0)
		return -1;
	if (l->attach_fd >= 0 && add_all(v, (const char *const[]){ "--attach-fd", "5", NULL }, e) < 0)
		return -1;
	return add_runtime(v, c, l, e);
}

int launch_begin(const struct core *c, const struct launch *l, int sync, int error, struct err *e)
{
	auto_strv struct strv args = { 0 };
	auto_free char *path = mem_printf(e, "%s/davit-monitor", c->bin_dir);
	char *env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DAVIT_ERROR_FD=4", "DAVIT_AUDIT_FD=6", NULL };
	if (!path || monitor_args(&args, c, l, e) < 0)
		return -1;
	struct proc_fd fds[6] = { { 2, 2 }, { sync, 3 }, { error, 4 }, { 2, 6 } };
	size_t n = 4;
	if (l->attach_fd >= 0)
		fds[n++] = (struct proc_fd){ l->attach_fd, 5 };
	if (l->go_fd >= 0)
		fds[n++] = (struct proc_fd){ l->go_fd, LAUNCH_GO };
	const struct proc_spawn s = { .path = path, .argv = args.v, .envp = env, .fds = fds, .nfds = n };
	pid_t pid = proc_spawn(&s, NULL, e);
	return pid < 0 || proc_wait(pid, LEAVE_WAIT_MS, e) < 0 ? -1 : 0; /* the monitor has left us by a second fork */
}

/* davit-runtime's own words, if it left any. */
static Davit__Error *read_error(int fd)
{
	size_t n = 0;
	if (fd_wait(fd, POLLIN, ERROR_WAIT_MS, NULL) <= 0)
		return NULL;
	auto_free char *data = fd_read_all(fd, SYNC_MAX, &n, NULL);
	return data && n ? pb_unpack(&davit__error__descriptor, data, n, "error of davit-runtime", NULL) : NULL;
}

pid_t launch_outcome(int sync, int error, Davit__Error **rich, struct err *e)
{
	size_t n = 0;
	auto_free char *line = fd_read_all(sync, SYNC_MAX, &n, e);
	if (!line)
		return -1;
	if (n == 0)
		return err_set(e, ERR_INTERNAL, 0, "davit-monitor ended without a word");
	auto_pb(Davit__MonitorReady) *m = json_parse(&davit__monitor_ready__descriptor, line, n, JSON_KEEP, NULL, e);
	if (!m || m->has_pid)
		return m ? m->pid : err_prefix(e, "davit-monitor");
	*rich = read_error(error);
	if (*rich)
		pb_error_get(*rich, e);
	else
		err_set(e, ERR_INTERNAL, 0, "%s", m->error ? m->error : "davit-monitor told no reason");
	return -1;
}

pid_t launch_run(const struct core *c, const struct launch *l, Davit__Error **rich, struct err *e)
{
	int sync[2], error[2];
	if (fd_pipe(sync, e) < 0)
		return -1;
	auto_close int sync_read = sync[0], sync_write = sync[1], error_read = -1, error_write = -1;
	if (fd_pipe(error, e) < 0)
		return -1;
	error_read = error[0];
	error_write = error[1];
	if (launch_begin(c, l, sync_write, error_write, e) < 0)
		return -1;
	fd_closep(&sync_write);
	fd_closep(&error_write);
	return launch_outcome(sync_read, error_read, rich, e);
}
