/* The supervisor's process: how it begins, what it gives up, and its loop. See supervise.h.
 *
 * It is forked twice, so that whoever reaps davit-runtime's orphans has it, in a session of its own. It keeps a handful of descriptors, the
 * container's network and IPC namespaces (whose settings it opens), and four capabilities; a filter holds it to the calls that its work takes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/proc.h"
#include "proto/json.h"
#include "proto/pb.h"
#include "runtime/caps.h"
#include "runtime/seccomp/seccomp.h"
#include "runtime/supervise/internal.h"

#ifdef __SANITIZE_ADDRESS__
#define CONFINED false /* the sanitizer's own calls are more than ours */
#else
#define CONFINED true
#endif

static const char filter_text[] =
    "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"action\":\"SCMP_ACT_ALLOW\",\"names\":["
    "\"ioctl\",\"poll\",\"ppoll\",\"read\",\"write\",\"close\",\"open\",\"openat\",\"openat2\",\"fstat\",\"stat\",\"newfstatat\",\"statx\","
    "\"fstatfs\",\"fstatfs64\",\"fcntl\",\"process_vm_readv\",\"pidfd_open\",\"pidfd_getfd\",\"setns\",\"unshare\",\"clone\",\"clone3\",\"wait4\","
    "\"waitid\",\"kill\",\"tgkill\",\"setgroups\",\"setresuid\",\"setresgid\",\"setreuid\",\"setfsuid\",\"setfsgid\",\"capset\",\"capget\",\"prctl\","
    "\"umask\",\"fchdir\",\"chroot\",\"mknod\",\"mknodat\",\"unlinkat\",\"mount\",\"open_tree\",\"move_mount\",\"fsopen\",\"fsconfig\",\"fsmount\","
    "\"getpid\",\"gettid\",\"clock_gettime\",\"brk\",\"mmap\",\"munmap\",\"mprotect\",\"madvise\",\"futex\",\"rseq\",\"set_robust_list\","
    "\"rt_sigaction\",\"rt_sigprocmask\",\"rt_sigreturn\",\"restart_syscall\",\"getrandom\",\"exit\",\"exit_group\"]}]}";

static const char *const kept[] = {
	"CAP_SYS_ADMIN",		/* namespaces, mounts */
	"CAP_SYS_CHROOT",		/* the caller's root */
	"CAP_SYS_PTRACE",		/* reading the caller's memory */
	"CAP_MKNOD",	  "CAP_SETUID", /* the caller's file permissions */
	"CAP_SETGID",
};

static void handle(const struct supervisor *s, struct call *c)
{
	switch (c->n.data.nr) {
#ifdef SYS_mknod
	case SYS_mknod:
#endif
	case SYS_mknodat:
		return do_mknod(s, c);
	case SYS_mount:
		return do_mount(s, c);
#ifdef SYS_open
	case SYS_open:
#endif
	case SYS_openat:
		return do_open(s, c);
	default:
		return call_answer(s, c, ENOSYS);
	}
}

static void serve_one(const struct supervisor *s)
{
	struct call c = { .root = -1, .cwd = -1 };
	if (ioctl(s->listener, SECCOMP_IOCTL_NOTIF_RECV, &c.n) < 0)
		return; /* it was interrupted before we came */
	int error = call_open(s, &c);
	if (error)
		call_answer(s, &c, error);
	else
		handle(s, &c);
	call_close(&c);
}

/* Until nobody is left who could call. No limit: a container may live for years. */
_Noreturn void supervisor_main(struct supervisor *s)
{
	struct pollfd p = { .fd = s->listener, .events = POLLIN };
	for (;;) {
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			_exit(1);
		if (p.revents & POLLIN)
			serve_one(s);
		else if (p.revents & (POLLHUP | POLLERR | POLLNVAL))
			_exit(0);
	}
}

/* Descriptors that stay, moved together; all others are closed. */
static int keep_descriptors(struct supervisor *s)
{
	int *const all[] = { &s->listener, &s->audit, &s->proc, &s->user, &s->mnt, &s->net, &s->ipc, &s->ready };
	const int base = 64, n = (int)ARRAY_LEN(all);
	/* First beyond where they go, so that none overwrites another. */
	for (int i = 0; i < n; i++)
		if ((*all[i] = fcntl(*all[i], F_DUPFD_CLOEXEC, base + n)) < 0)
			return -1;
	for (int i = 0; i < n; i++)
		if (dup3(*all[i], base + i, O_CLOEXEC) < 0)
			return -1;
	for (int i = 0; i < n; i++)
		*all[i] = base + i;
	if (close_range(0, (unsigned)base - 1, 0) < 0 || close_range((unsigned)(base + n), ~0U, 0) < 0)
		return -1;
	for (int i = 0; i < 3; i++)
		if (open("/dev/null", O_RDWR | O_CLOEXEC) != i)
			return -1;
	return 0;
}

static int confine(const struct seccomp_filter *filter)
{
	struct caps caps = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		caps.permitted |= 1ULL << caps_number(kept[i]);
	caps.effective = caps.bounding = caps.permitted;
	if (caps_drop_bounding(&caps) < 0 || caps_apply(&caps) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return filter->bpf.len ? seccomp_filter_load(filter) : 0;
}

static int begin(struct supervisor *s, const struct seccomp_filter *filter)
{
	char now[32];
	clock_rfc3339(0, now); /* the C library reads the time zone at its first use, for which there is no way later */
	setsid();
	prctl(PR_SET_NAME, "davit-supervise");
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	if (chdir("/") < 0 || setns(s->net, CLONE_NEWNET) < 0 || setns(s->ipc, CLONE_NEWIPC) < 0)
		return -1;
	return keep_descriptors(s) < 0 ? -1 : confine(filter);
}

/* Tells 0 or an errno when it listens. */
static _Noreturn void child_main(struct supervisor *s, const struct seccomp_filter *filter)
{
	unsigned char told = begin(s, filter) < 0 ? (unsigned char)errno : 0;
	if (write(s->ready, &told, 1) < 0 || told)
		_exit(1);
	fd_closep(&s->ready);
	supervisor_main(s);
}

static int open_of(int task, const char *name, dev_t *dev, ino_t *ino, struct err *e)
{
	struct stat st;
	int fd = openat(task, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, errno, "open %s of the container", name);
	if (dev)
		*dev = st.st_dev;
	if (ino)
		*ino = st.st_ino;
	return fd;
}

/* The host's id of the root of the process's user namespace. */
static int read_root(int task, uid_t *out, struct err *e)
{
	size_t len;
	unsigned inside, outside;
	auto_free char *map = file_read(task, "uid_map", 65536, &len, e);
	char *save = NULL;
	for (char *line = map ? strtok_r(map, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save))
		if (sscanf(line, "%u %u", &inside, &outside) == 2 && inside == 0) {
			*out = outside;
			return 0;
		}
	return map ? err_set(e, ERR_UNSUPPORTED, 0, "the container's root is nobody outside") : -1;
}

static int open_container(struct supervisor *s, int pid, struct err *e)
{
	char name[16];
	struct stat st;
	snprintf(name, sizeof(name), "%d", pid);
	s->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_close int task = s->proc < 0 ? -1 : openat(s->proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (task < 0 || fstatat(task, "root", &st, 0) < 0)
		return err_sys(e, errno, "look at the container's process");
	s->root_dev = st.st_dev;
	if ((s->user = open_of(task, "ns/user", &s->user_dev, &s->user_ino, e)) < 0 ||
	    (s->mnt = open_of(task, "ns/mnt", &s->mnt_dev, &s->mnt_ino, e)) < 0 || (s->net = open_of(task, "ns/net", NULL, NULL, e)) < 0 ||
	    (s->ipc = open_of(task, "ns/ipc", NULL, NULL, e)) < 0)
		return -1;
	if (stat("/proc/self/ns/user", &st) < 0)
		return err_sys(e, errno, "look at our own user namespace");
	s->own_user = st.st_dev != s->user_dev || st.st_ino != s->user_ino;
	return read_root(task, &s->root, e);
}

static int own_filter(const char *root, struct seccomp_filter *out, struct err *e)
{
	*out = (struct seccomp_filter){ 0 };
	if (!CONFINED)
		return 0;
	auto_pb(Davit__OciSeccomp) *s = json_parse(&davit__oci_seccomp__descriptor, filter_text, sizeof(filter_text) - 1, JSON_REFUSE, NULL, e);
	return s ? seccomp_compile_cached(root, s, 0, out, e) : -1;
}

static int launch(struct supervisor *s, const struct seccomp_filter *filter, struct err *e)
{
	int p[2];
	unsigned char told;
	if (fd_pipe(p, e) < 0)
		return -1;
	auto_close int ready = p[0];
	s->ready = p[1];
	pid_t pid = fork();
	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			child_main(s, filter);
		_exit(pid < 0);
	}
	fd_closep(&s->ready);
	if (pid < 0)
		return err_sys(e, errno, "fork the supervisor");
	/* No limit: it forks and ends. */
	proc_wait(pid, -1, NULL);
	ssize_t n = read(ready, &told, 1);
	if (n == 1 && told == 0)
		return 0;
	return n == 1 ? err_sys(e, told, "start the supervisor") : err_set(e, ERR_INTERNAL, 0, "the supervisor ended as it began");
}

int supervise_start(const char *id, const Davit__SeccompSupervisor *what, int pid, int listener, const char *root, int audit, struct err *e)
{
	struct supervisor s = {
		.id = id, .what = what, .listener = listener, .audit = audit, .proc = -1, .user = -1, .mnt = -1, .net = -1, .ipc = -1, .ready = -1
	};
	struct seccomp_filter filter;
	int rc = own_filter(root, &filter, e);
	if (rc == 0)
		rc = open_container(&s, pid, e);
	if (rc == 0)
		rc = launch(&s, &filter, e);
	seccomp_filter_free(&filter);
	fd_closep(&s.proc);
	fd_closep(&s.user);
	fd_closep(&s.mnt);
	fd_closep(&s.net);
	fd_closep(&s.ipc);
	return rc < 0 ? err_prefix(e, "supervisor of system calls") : 0;
}
