/* See hooks.h. Between fork and exec nothing of ours runs: proc_spawn() does it. What a hook writes goes to a memory file, which no hook can block
 * on. */
#include "runtime/hooks.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "base/fd.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"
#include "proto/json.h"

#define OUTPUT_MAX 400

/* argv and envp borrow the spec's strings. */
static char **vector(char **items, size_t n, const char *first, struct err *e)
{
	char **v = mem_new(n + 2, sizeof(*v), e);

	if (!v)
		return NULL;
	for (size_t i = 0; i < n; i++)
		v[i] = items[i];
	if (n == 0 && first)
		v[0] = (char *)first;
	return v;
}

/* The state is far smaller than a pipe's buffer (64 KiB), so that writing it cannot block; a hook that reads nothing is no error. */
static int give_state(int fd, const Davit__OciState *state, struct err *e)
{
	auto_buf struct buf json = { 0 };

	if (json_print(&state->base, false, &json, e) < 0)
		return -1;
	if (json.len > 60000)
		return err_set(e, ERR_LIMIT, 0, "the annotations are too large to be given to a hook");
	return write(fd, json.data, json.len) < 0 && errno != EPIPE ? err_sys(e, errno, "write the state to a hook") : 0;
}

/* The end of what the hook wrote, for the message. */
static void read_output(int fd, char out[OUTPUT_MAX])
{
	off_t end = lseek(fd, 0, SEEK_END);
	ssize_t n = pread(fd, out, OUTPUT_MAX - 1, MAX(end - (OUTPUT_MAX - 1), 0));

	out[n > 0 ? n : 0] = 0;
	for (char *p = out; *p; p++)
		if (*p == '\n')
			*p = p[1] ? ' ' : 0;
}

static int judge(const Davit__OciHook *h, int status, int output, struct err *e)
{
	char text[OUTPUT_MAX];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	read_output(output, text);
	if (WIFEXITED(status))
		return err_set(e, ERR_IO, 0, "hook %s ended with status %d: %s", h->path, WEXITSTATUS(status), text);
	return err_set(e, ERR_IO, 0, "hook %s was ended by signal %d: %s", h->path, WTERMSIG(status), text);
}

static int run_one(const Davit__OciHook *h, const Davit__OciState *state, struct err *e)
{
	int in[2], pidfd = -1, status;
	auto_free char **argv = vector(h->args, h->n_args, h->path, e);
	auto_free char **envp = vector(h->env, h->n_env, NULL, e);

	if (!argv || !envp || fd_pipe(in, e) < 0)
		return -1;
	auto_close int in_read = in[0], in_write = in[1];
	auto_close int out = memfd_create("hook", MFD_CLOEXEC);
	if (out < 0)
		return err_sys(e, errno, "make a memory file");
	struct proc_fd fds[] = { { in_read, 0 }, { out, 1 }, { out, 2 } };
	struct proc_spawn spawn = { .path = h->path, .argv = argv, .envp = envp, .fds = fds, .nfds = 3 };
	if (give_state(in_write, state, e) < 0)
		return -1;
	pid_t pid = proc_spawn(&spawn, &pidfd, e);
	auto_close int child = pidfd;
	fd_closep(&in_write);
	fd_closep(&in_read);
	if (pid < 0)
		return -1;
	/* Without a timeout in the spec a hook has no limit: config.md. */
	status = proc_wait(pid, h->has_timeout && h->timeout > 0 ? h->timeout * 1000 : -1, e);
	if (status >= 0)
		return judge(h, status, out, e);
	proc_pidfd_kill(child, SIGKILL, NULL);
	proc_wait(pid, -1, NULL);
	return err_set(e, ERR_TIMEOUT, 0, "hook %s did not end within %d s", h->path, h->timeout);
}

int hooks_run(const char *name, Davit__OciHook *const *hooks, size_t n, const Davit__OciState *state, struct err *e)
{
	char field[64];

	for (size_t i = 0; i < n; i++) {
		if (run_one(hooks[i], state, e) == 0)
			continue;
		snprintf(field, sizeof(field), "hooks.%s[%zu]", name, i);
		err_prefix_field(e, field);
		return err_prefix(e, "%s", field);
	}
	return 0;
}
