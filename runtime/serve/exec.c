/* exec and attach: further processes in a container, and connections to what a monitor holds.
 *
 * An exec session is a monitor of its own with `davit-runtime exec`. The socket that the agent gets is the monitor's first client from before the
 * process starts (--attach-fd), so nothing of a short session is missed. Its files lie in RUN/monitor/NAME/exec/ID; what earlier sessions left is
 * removed by the next. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/file.h"
#include "base/path.h"
#include "proto/json.h"
#include "proto/pb.h"
#include "runtime/serve/bundle.h"
#include "runtime/serve/launch.h"
#include "runtime/serve/ops.h"
#include "runtime/serve/policy.h"
#include "runtime/serve/records.h"

struct session {
	char *dir, *pid_file, *exit_file, *attach, *process;
};

static void session_free(struct session *s)
{
	free(s->dir);
	free(s->pid_file);
	free(s->exit_file);
	free(s->attach);
	free(s->process);
}

static int session_of(const struct place *p, const char *id, struct session *s, struct err *e)
{
	s->dir = mem_printf(e, "%s/exec/%s", p->monitor, id);
	s->pid_file = mem_printf(e, "%s/exec/%s/pid", p->monitor, id);
	s->exit_file = mem_printf(e, "%s/exec/%s/exit.json", p->monitor, id);
	s->attach = mem_printf(e, "%s/exec/%s/attach.sock", p->monitor, id);
	s->process = mem_printf(e, "%s/exec/%s/process.json", p->monitor, id);
	return s->dir && s->pid_file && s->exit_file && s->attach && s->process ? 0 : -1;
}

/* Sessions that ended have an exit file and no socket any more. */
static void sweep(const struct place *p)
{
	auto_free char *path = mem_printf(NULL, "%s/exec", p->monitor);
	DIR *d = path ? opendir(path) : NULL;
	for (struct dirent *x; d && (x = readdir(d));) {
		auto_cleanup(session_free) struct session s = { 0 };
		if (x->d_name[0] == '.' || session_of(p, x->d_name, &s, NULL) < 0)
			continue;
		if (file_exists(AT_FDCWD, s.exit_file) && !file_exists(AT_FDCWD, s.attach))
			(void)file_remove_tree(AT_FDCWD, s.dir, NULL);
	}
	if (d)
		closedir(d);
}

/* The user is looked up in the root that the container has now, whatever mount namespace we are in. */
static int write_process(const Davit__ContainerStatus *status, const Davit__ProcessSpec *q, const struct session *s, struct err *e)
{
	char path[64];
	auto_buf struct buf text = { 0 };
	snprintf(path, sizeof(path), "/proc/%d/root", status->pid);
	auto_close int rootfs = file_open_dir(AT_FDCWD, path, e);
	auto_pb(Davit__OciProcess) *process = rootfs < 0 ? NULL : bundle_process(status->spec, q, rootfs, e);
	if (!process || json_print(&process->base, false, &text, e) < 0)
		return -1;
	return file_write_atomic(AT_FDCWD, s->process, text.data, text.len, 0600, false, e);
}

static pid_t run(const struct request *r, const struct session *s, const char *id, int client, Davit__Error **rich, struct err *e)
{
	auto_strv struct strv command = { 0 };
	if (launch_command(&command, "exec", s->pid_file, e) < 0 || strv_add(&command, "--detach", e) < 0 || strv_add(&command, "--process", e) < 0 ||
	    strv_add(&command, s->process, e) < 0 || strv_add(&command, r->name, e) < 0)
		return -1;
	const struct launch l = {
		.id = id,
		.pid_file = s->pid_file,
		.exit_file = s->exit_file,
		.attach = s->attach,
		.process = r->msg->exec->process,
		.attach_fd = client,
		.go_fd = -1,
		.command = &command,
	};
	return launch_run(r->core, &l, rich, e);
}

static int start(const struct request *r, const struct session *s, const char *id, struct answer *a, struct err *e)
{
	int sv[2];
	if (fd_socketpair(SOCK_SEQPACKET, sv, e) < 0)
		return -1;
	auto_close int theirs = sv[1];
	a->fds[a->nfds++] = sv[0];
	pid_t pid = run(r, s, id, theirs, &a->error, e);
	if (pid < 0)
		return -1;
	a->reply->result_case = DAVIT__CORE_REPLY__RESULT_EXEC;
	a->reply->exec = pb_new(&davit__exec_started__descriptor, e);
	if (!a->reply->exec)
		return -1;
	a->reply->exec->has_pid = true;
	a->reply->exec->pid = pid;
	return pb_set_str(&a->reply->exec->exec_id, id, e);
}

int op_exec(const struct request *r, struct answer *a, struct err *e)
{
	const Davit__CoreExec *q = r->msg->exec;
	char random[33];
	const char *id = q->exec_id ? q->exec_id : random;
	auto_place p = { 0 };
	auto_cleanup(session_free) struct session s = { 0 };
	if (!q->exec_id && str_random_hex(random, 16, e) < 0)
		return -1;
	if (str_check_name(id, "execId", e) < 0 || policy_check_process(q->process, "process", e) < 0)
		return -1;
	auto_pb(Davit__ContainerStatus) *status = record_require(r->core, r->name, "running", e);
	if (!status || place_of(r->core, r->name, &p, e) < 0 || session_of(&p, id, &s, e) < 0)
		return -1;
	sweep(&p);
	if (file_exists(AT_FDCWD, s.dir))
		return err_set(e, ERR_EXISTS, 0, "container %s has an exec session %s", r->name, id);
	if (file_mkdir_p(s.dir, 0700, e) == 0 && write_process(status, q->process, &s, e) == 0 && start(r, &s, id, a, e) == 0)
		return 0;
	(void)file_remove_tree(AT_FDCWD, s.dir, NULL);
	return -1;
}

/* The path may be longer than sun_path takes: connected through its folder's descriptor. */
static int connect_socket(const char *folder, const char *name, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	auto_close int dir = file_open_dir(AT_FDCWD, folder, e);
	if (dir < 0)
		return -1;
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s", path_of_fd(dir).s, name);
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_sys(e, errno, "connect to %s/%s", folder, name);
	return steal_fd(&fd);
}

int op_attach(const struct request *r, struct answer *a, struct err *e)
{
	auto_place p = { 0 };
	auto_pb(Davit__ContainerStatus) *s = record_require(r->core, r->name, "created running paused", e);
	if (!s || place_of(r->core, r->name, &p, e) < 0)
		return -1;
	int fd = connect_socket(p.monitor, "attach.sock", e);
	if (fd < 0)
		return -1;
	a->fds[a->nfds++] = fd;
	a->reply->result_case = DAVIT__CORE_REPLY__RESULT_EXEC;
	a->reply->exec = pb_new(&davit__exec_started__descriptor, e);
	return a->reply->exec ? 0 : -1;
}
