/* Landlock (landlock(7), kernel Documentation/userspace-api/landlock.rst) and seccomp (seccomp(2)). */
#include "agent/sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/log.h"

/* Debian 12's header stops at REFER; the kernel tells us what it knows. */
#define ACCESS_TRUNCATE (1ULL << 14)
#define ACCESS_IOCTL_DEV (1ULL << 15)
#define ACCESS_NET_BIND_TCP (1ULL << 0)
#define SCOPE_ABSTRACT_UNIX (1ULL << 0)
#define SCOPE_SIGNAL (1ULL << 1)

#define READ_FILE LANDLOCK_ACCESS_FS_READ_FILE
#define READ (READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define EXECUTE (READ | LANDLOCK_ACCESS_FS_EXECUTE)
#define ALL ((1ULL << 16) - 1)
#define OF_FILES (READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE | ACCESS_IOCTL_DEV)

struct ruleset {
	uint64_t fs, net, scoped;
};

static const struct {
	const char *path;
	uint64_t access;
} system_paths[] = {
	/* The mover's libraries and loader. */
	{ "/lib", EXECUTE },
	{ "/lib64", EXECUTE },
	{ "/usr/lib", EXECUTE },
	{ "/usr/lib64", EXECUTE },
	{ "/usr/local/lib", EXECUTE },
	{ "/etc/ld.so.cache", READ },
	/* Name resolution and time zones. */
	{ "/etc/resolv.conf", READ },
	{ "/etc/hosts", READ },
	{ "/etc/host.conf", READ },
	{ "/etc/nsswitch.conf", READ },
	{ "/etc/gai.conf", READ },
	{ "/etc/services", READ },
	{ "/etc/passwd", READ },
	{ "/etc/localtime", READ },
	{ "/etc/ssl", READ },
	{ "/etc/gnutls", READ },
	{ "/usr/share/zoneinfo", READ },
	/* What libraries look at: own limits, CPUs, entropy. */
	{ "/proc", READ },
	{ "/sys/devices/system/cpu", READ },
	{ "/dev/null", READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE },
	{ "/dev/urandom", READ_FILE },
#ifdef __SANITIZE_ADDRESS__
	/* Where tests/run.sh has the sanitizers write. */
	{ "/tmp/davit-sanitizer", READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG },
#endif
};

/* A path that is missing needs no rule. */
static int allow(int ruleset, const char *path, uint64_t access, struct err *e)
{
	auto_close int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = { .parent_fd = fd };
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0) {
		err_sys(e, errno, "%s", path);
		return err_remedy(e, "davitd's user has to be able to search the folders above it");
	}
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "%s", path);
	rule.allowed_access = S_ISDIR(st.st_mode) ? access : access & OF_FILES;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return err_sys(e, errno, "landlock rule for %s", path);
	return 0;
}

static int enter_landlock(const struct sandbox_paths *p, struct err *e)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset attr = { .fs = ALL & ~ACCESS_TRUNCATE & ~ACCESS_IOCTL_DEV & ~LANDLOCK_ACCESS_FS_REFER };
	size_t size = sizeof(attr.fs);
	auto_close int ruleset = -1;

	if (abi < 0) {
		log_warn("this kernel has no Landlock: davitd is confined by its user and seccomp alone");
		return 0;
	}
	attr.fs |= abi >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0;
	attr.fs |= abi >= 3 ? ACCESS_TRUNCATE : 0;
	attr.fs |= abi >= 5 ? ACCESS_IOCTL_DEV : 0;
	if (abi >= 4) {
		attr.net = ACCESS_NET_BIND_TCP;
		size = offsetof(struct ruleset, scoped);
	}
	if (abi >= 6) {
		attr.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
		size = sizeof(attr);
	}
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (ruleset < 0)
		return err_sys(e, errno, "landlock ruleset");
	if (allow(ruleset, p->own, attr.fs, e) < 0 || allow(ruleset, p->logs, READ, e) < 0 || allow(ruleset, p->libexec, EXECUTE, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(system_paths); i++)
		if (allow(ruleset, system_paths[i].path, system_paths[i].access, e) < 0)
			return -1;
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return err_sys(e, errno, "landlock");
	return 0;
}

/* Those of every request first; the kernel remembers the answer for each call (its bitmap cache), so the order hardly costs. */
static const int allowed[] = {
	__NR_read,
	__NR_write,
	__NR_recvfrom,
	__NR_recvmsg,
	__NR_sendto,
	__NR_sendmsg,
	__NR_sendmmsg,
	__NR_recvmmsg,
	__NR_futex,
	__NR_ppoll,
	__NR_close,
	__NR_accept4,
	__NR_accept,
	__NR_readv,
	__NR_writev,
	__NR_pread64,
	__NR_pwrite64,
	__NR_lseek,
	__NR_sendfile,
	__NR_splice,
	/* memory */
	__NR_mmap,
	__NR_munmap,
	__NR_mprotect,
	__NR_mremap,
	__NR_madvise,
	__NR_brk,
	__NR_mlock,
	__NR_munlock,
	__NR_membarrier,
	/* files, below what Landlock leaves */
	__NR_openat,
	__NR_openat2,
	__NR_fstat,
	__NR_newfstatat,
	__NR_statx,
	__NR_statfs,
	__NR_fstatfs,
	__NR_getdents64,
	__NR_fsync,
	__NR_fdatasync,
	__NR_syncfs,
	__NR_ftruncate,
	__NR_fallocate,
	__NR_renameat,
	__NR_renameat2,
	__NR_unlinkat,
	__NR_mkdirat,
	__NR_linkat,
	__NR_fchmod,
	__NR_fchmodat,
	__NR_fcntl,
	__NR_flock,
	__NR_faccessat,
	__NR_faccessat2,
	__NR_readlinkat,
	__NR_utimensat,
	__NR_umask,
	__NR_fadvise64,
	__NR_copy_file_range,
	__NR_memfd_create, /* the mover gives its certificates to libcurl as files */
	__NR_getcwd,
	__NR_dup,
	__NR_dup3,
	__NR_pipe2,
	__NR_eventfd2,
	__NR_signalfd4,
	__NR_epoll_create1,
	__NR_epoll_ctl,
	__NR_epoll_pwait,
	__NR_timerfd_create,
	__NR_timerfd_settime,
	__NR_inotify_init1,
	__NR_inotify_add_watch,
	__NR_inotify_rm_watch,
	__NR_close_range,
	/* sockets: the mover connects, nobody binds (Landlock) */
	__NR_socket,
	__NR_socketpair,
	__NR_connect,
	__NR_bind,
	__NR_listen,
	__NR_shutdown,
	__NR_getsockopt,
	__NR_setsockopt,
	__NR_getsockname,
	__NR_getpeername,
	/* processes: threads, and the mover */
	__NR_clone,
	__NR_clone3,
	__NR_execve,
	__NR_execveat,
	__NR_wait4,
	__NR_waitid,
	__NR_exit,
	__NR_exit_group,
	__NR_kill,
	__NR_tgkill,
	__NR_pidfd_open,
	__NR_pidfd_send_signal,
	__NR_setsid,
	__NR_set_tid_address,
	__NR_set_robust_list,
	__NR_get_robust_list,
	__NR_rseq,
	__NR_prctl,
	__NR_prlimit64,
	__NR_getrlimit,
	__NR_getrusage,
	__NR_sched_yield,
	__NR_sched_getaffinity,
	__NR_sched_getparam,
	__NR_sched_getscheduler,
	__NR_sched_setscheduler,
	__NR_getcpu,
	/* signals */
	__NR_rt_sigaction,
	__NR_rt_sigprocmask,
	__NR_rt_sigreturn,
	__NR_rt_sigtimedwait,
	__NR_sigaltstack,
	__NR_restart_syscall,
	/* who, when, chance */
	__NR_getpid,
	__NR_getppid,
	__NR_gettid,
	__NR_getuid,
	__NR_geteuid,
	__NR_getgid,
	__NR_getegid,
	__NR_getresuid,
	__NR_getresgid,
	__NR_getgroups,
	__NR_clock_gettime,
	__NR_clock_getres,
	__NR_clock_nanosleep,
	__NR_nanosleep,
	__NR_gettimeofday,
	__NR_times,
	__NR_getrandom,
	__NR_uname,
	__NR_sysinfo,
#ifdef __SANITIZE_ADDRESS__
	__NR_ptrace, /* how the search for leaks stops the other threads, */
#ifdef __NR_getdents
	__NR_getdents, /* and finds them */
#endif
#endif
#ifdef __x86_64__
	/* older forms that this architecture's libraries still use */
	__NR_open,
	__NR_stat,
	__NR_lstat,
	__NR_access,
	__NR_poll,
	__NR_select,
	__NR_pselect6,
	__NR_unlink,
	__NR_rename,
	__NR_mkdir,
	__NR_rmdir,
	__NR_readlink,
	__NR_pipe,
	__NR_dup2,
	__NR_fork,
	__NR_vfork,
	__NR_time,
	__NR_epoll_wait,
	__NR_arch_prctl,
	__NR_chmod,
#else
	__NR_pselect6,
#endif
};

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "name this architecture's AUDIT_ARCH"
#endif

#define FILTER_LENGTH (ARRAY_LEN(allowed) * 2 + ARRAY_LEN(terminal) + 5)
/* ioctl(2) but for the two that type into a terminal: davitd may have been started from root's. The kernel looks at the lower half of the number,
 * which comes first in both machines' memory. */
static const struct sock_filter terminal[] = {
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_ioctl, 0, 5), BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCSTI, 1, 0),    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCLINUX, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

size_t sandbox_filter(struct sock_filter *out, size_t cap)
{
	size_t n = 0;

	if (cap < FILTER_LENGTH)
		return 0;
	out[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	out[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0);
	out[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	out[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < ARRAY_LEN(terminal); i++)
		out[n++] = terminal[i];
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
		out[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)allowed[i], 0, 1);
		out[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	/* ENOSYS, as an older kernel would say: libraries know a way around a call that is missing. */
	out[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
	return n;
}

static int enter_seccomp(struct err *e)
{
	struct sock_filter filter[FILTER_LENGTH];
	struct sock_fprog prog = { .len = (unsigned short)sandbox_filter(filter, ARRAY_LEN(filter)), .filter = filter };

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog) != 0)
		return err_sys(e, errno, "seccomp filter");
	return 0;
}

int sandbox_enter(const struct sandbox_paths *p, struct err *e)
{
	if (enter_landlock(p, e) < 0)
		return -1;
	return enter_seccomp(e);
}
