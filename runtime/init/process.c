/* The last stage: a process that is where it belongs becomes the program it is to be. Shared by create and exec. */
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/fd.h"
#include "runtime/console.h"
#include "runtime/hooks.h"
#include "runtime/init/init.h"
#include "runtime/init/sync.h"
#include "runtime/landlock.h"
#include "runtime/rlimit.h"

/* Tells the parent, or once there is none who listens, whoever reads the container's stderr. */
void init_fail(const struct init_process *p, const struct err *e)
{
	sync_send_error(p->sync, e);
	if (p->alone)
		dprintf(2, "davit-runtime: %s\n", e->msg);
	_exit(1);
}

/* A session keyring of its own: the process can neither search nor change the caller's (keyrings(7)). */
static int new_keyring(const char *id, struct err *e)
{
	char name[300];

	snprintf(name, sizeof(name), "_ses.%s", id);
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name) >= 0 || errno == ENOSYS)
		return 0;
	err_sys(e, errno, "make a session keyring");
	return err_remedy(e, "raise kernel.keys.maxkeys, or use --no-new-keyring");
}

/* Signals and session as of a process that begins: handlers are gone by exec, but what is ignored or blocked would stay. */
int init_begin(const struct init_process *p, struct err *e)
{
	sigset_t none;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_sys(e, errno, "set the parent-death signal");
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(0022);
	return p->new_keyring ? new_keyring(p->id, e) : 0;
}

int init_open_console(struct init_process *p, bool mount, struct err *e)
{
	if (p->console < 0)
		return 0;
	p->slave = console_open(p->root, p->console, p->spec->console_size, e);
	if (p->slave < 0)
		return -1;
	return mount ? console_mount(p->root, p->slave, e) : 0;
}

/* stdio is given to the process's user, so that it can open /dev/stdout again; what cannot be given it can still use. */
static int set_stdio(const struct init_process *p, struct err *e)
{
	uid_t uid = p->spec->user ? p->spec->user->uid : 0;

	if (setsid() < 0 && errno != EPERM)
		return err_sys(e, errno, "setsid");
	for (int i = 0; i < 3; i++) {
		int from = p->slave >= 0 ? p->slave : p->stdio[i];

		/* dup2(2) onto itself keeps O_CLOEXEC. */
		if (from == i ? fd_set_cloexec(i, false, e) < 0 : dup2(from, i) < 0)
			return err_sys(e, errno, "set stdio");
	}
	if (p->slave < 0)
		return 0;
	if (ioctl(0, TIOCSCTTY, 0) < 0)
		return err_sys(e, errno, "make the terminal the controlling one");
	return fchown(0, uid, (gid_t)-1) < 0 ? err_sys(e, errno, "give the terminal to the user") : 0;
}

/* A filter without no_new_privs takes CAP_SYS_ADMIN, so it comes before capabilities go. One that notifies comes while there is a parent to take its
 * listener. */
static int load_seccomp(const struct init_process *p, struct err *e)
{
	int listener = seccomp_filter_load(p->filter);

	if (listener < 0)
		return err_sys(e, errno, "load the seccomp filter");
	if (!p->filter->notifies)
		return 0;
	if (sync_send(p->sync, SYNC_SECCOMP, listener, e) < 0 || sync_wait(p->sync, SYNC_TAKEN, NULL, e) < 0)
		return -1;
	close(listener);
	return 0;
}

static bool filter_is_early(const struct init_process *p)
{
	return p->filter && (!p->spec->no_new_privileges || p->filter->notifies);
}

/* Nothing of the host stays open in a process that may wait long to be started, and nothing goes into the container but 0-2 and what the caller wants
 * kept. */
static int close_others(const struct init_process *p, struct err *e)
{
	int first = 3 + (int)p->preserve_fds, low = p->sync, high = MAX(p->fifo, p->sync);

	if (p->fifo >= 0 && p->fifo < low)
		low = p->fifo;
	if ((low > first && close_range((unsigned)first, (unsigned)low - 1, 0) < 0) ||
	    (high > low + 1 && close_range((unsigned)low + 1, (unsigned)high - 1, 0) < 0) || close_range((unsigned)high + 1, ~0U, 0) < 0)
		return err_sys(e, errno, "close_range");
	for (int fd = 3; fd < first; fd++)
		if (fd_set_cloexec(fd, false, e) < 0)
			return -1;
	return 0;
}

/* Blocks until `start` writes its byte. The fifo is open for reading and writing here, so a starter that dies leaves it as it was. */
static int wait_for_start(const struct init_process *p, struct err *e)
{
	char c;

	if (p->fifo < 0)
		return 0;
	while (read(p->fifo, &c, 1) < 0)
		if (errno != EINTR)
			return err_sys(e, errno, "wait to be started");
	return 0;
}

/* Privileges: all of the container's root at its begin; at its end those of the program. */
static int become(struct init_process *p, char **program, struct err *e)
{
	uid_t uid = p->spec->user ? p->spec->user->uid : 0;

	/* Descriptors of the host go before the working folder is entered: no path leads over one. */
	if (set_stdio(p, e) < 0 || init_set_home(&p->env, uid, p->root, e) < 0 || close_others(p, e) < 0)
		return -1;
	if (filter_is_early(p) && load_seccomp(p, e) < 0)
		return -1;
	if (init_credentials(p, e) < 0)
		return -1;
	*program = init_find_program(p->spec->args[0], &p->env, e);
	if (!*program || rlimit_set(p->spec, e) < 0)
		return -1;
	/* The parent may end now, the container goes on. */
	if (prctl(PR_SET_PDEATHSIG, 0) < 0)
		return err_sys(e, errno, "clear the parent-death signal");
	if (sync_send(p->sync, SYNC_READY, 0, e) < 0)
		return -1;
	return sync_wait(p->sync, SYNC_RUN, NULL, e);
}

void init_run(struct init_process *p, const Davit__OciHooks *hooks, const Davit__OciState *state)
{
	struct err e = { 0 };
	char *program = NULL;

	if (become(p, &program, &e) < 0)
		init_fail(p, &e);
	p->alone = p->fifo >= 0;
	if (wait_for_start(p, &e) < 0)
		init_fail(p, &e);
	if (hooks && hooks_run("startContainer", hooks->start_container, hooks->n_start_container, state, &e) < 0)
		init_fail(p, &e);
	if (p->landlock && landlock_enter(p->landlock, &e) < 0)
		init_fail(p, &e);
	if (p->filter && !filter_is_early(p) && load_seccomp(p, &e) < 0)
		init_fail(p, &e);
	execve(program, p->argv, p->env.v);
	err_set(&e, errno == ENOENT ? ERR_NOT_FOUND : ERR_DENIED, errno, "exec: \"%s\"", program);
	if (p->landlock && errno == EACCES)
		err_remedy(&e, "name its folder, and those of its loader and libraries, in " LANDLOCK_ANNOTATION);
	init_fail(p, &e);
}
