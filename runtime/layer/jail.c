/* The jail. Sources: pivot_root(2), capabilities(7), seccomp(2) through libseccomp, locale(7).
 *
 * Order inside: what still needs the host's files (the locale's tables) · namespaces and pivot_root onto a clone of the folder's mount (nosuid,
 * nodev, noexec; a clone so that nothing mounted below the folder is in it) · all other descriptors closed · limits · capabilities · seccomp. From
 * then on the only way out is the result pipe, which takes one record of fixed size and is read as bytes of a stranger. */
#include "runtime/layer/jail.h"
#include <errno.h>
#include <linux/capability.h>
#include <locale.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "base/fd.h"
#include "base/proc.h"

struct result {
	int rc;
	struct jail_counts counts;
	struct err err;
};

/* Files of any owner and mode with any attribute; devices (whiteouts are such); trusted.overlay.opaque asks for CAP_SYS_ADMIN. */
static const int kept_caps[] = { CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_MKNOD, CAP_SETFCAP, CAP_SYS_ADMIN };

static int change_root(int dirfd, struct err *e)
{
	/* Cloned first: a descriptor of the old mount namespace is of no use in the new one, a mount of no namespace is. */
	auto_close int root = (int)syscall(SYS_open_tree, dirfd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	/* Private: the clone of a shared mount, as under systemd, is shared too, and pivot_root(2) takes none. */
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, .propagation = MS_PRIVATE };
	if (root < 0 || syscall(SYS_mount_setattr, root, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return err_sys(e, errno, "jail: clone the folder's mount");
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(e, errno, "jail: namespaces");
	if (syscall(SYS_move_mount, root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 || fchdir(root) < 0)
		return err_sys(e, errno, "jail: attach the folder's mount");
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_sys(e, errno, "jail: change the root");
	return 0;
}

/* Leaves `in` as 3 and `out` as 4, nothing else. */
static int close_others(int in, int out, struct err *e)
{
	auto_close int high_in = fcntl(in, F_DUPFD_CLOEXEC, 10), high_out = fcntl(out, F_DUPFD_CLOEXEC, 10);
	if (high_in < 0 || high_out < 0 || dup2(high_in, 3) < 0 || dup2(high_out, 4) < 0 || syscall(SYS_close_range, 5, ~0U, 0) < 0)
		return err_sys(e, errno, "jail: descriptors");
	steal_fd(&high_in);
	steal_fd(&high_out);
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	return 0;
}

static int set_limits(struct err *e)
{
	static const struct {
		int what;
		rlim_t value;
	} limits[] = {
		{ RLIMIT_NOFILE, 64 },
		{ RLIMIT_CORE, 0 },
#ifndef __SANITIZE_ADDRESS__ /* it reserves terabytes of address space */
		{ RLIMIT_AS, 2UL << 30 },
#endif
	};
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		struct rlimit r = { limits[i].value, limits[i].value };
		if (setrlimit((__rlimit_resource_t)limits[i].what, &r) < 0)
			return err_sys(e, errno, "jail: limits");
	}
	return 0;
}

static int drop_capabilities(struct err *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };
	uint64_t keep = 0;
	for (size_t i = 0; i < ARRAY_LEN(kept_caps); i++)
		keep |= 1ULL << kept_caps[i];
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return err_sys(e, errno, "jail: bounding set");
	for (int i = 0; i < 2; i++)
		data[i].effective = data[i].permitted = (uint32_t)(keep >> 32 * i);
	if (syscall(SYS_capset, &head, data) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, errno, "jail: capabilities");
	return 0;
}

static const char *const allowed_calls[] = {
	"read",
	"pread64",
	"readv",
	"write",
	"pwrite64",
	"writev",
	"lseek",
	"close",
	"fcntl",
	"dup",
	"open",
	"openat",
	"creat",
	"mkdir",
	"mkdirat",
	"mknod",
	"mknodat",
	"symlink",
	"symlinkat",
	"link",
	"linkat",
	"unlink",
	"unlinkat",
	"rmdir",
	"rename",
	"renameat",
	"renameat2",
	"readlink",
	"readlinkat",
	"getdents64",
	"chdir",
	"fchdir",
	"getcwd",
	"umask",
	"access",
	"faccessat",
	"faccessat2",
	"stat",
	"fstat",
	"lstat",
	"newfstatat",
	"statx",
	"fstatfs",
	"statfs",
	"ftruncate",
	"truncate",
	"fallocate",
	"fadvise64",
	"chmod",
	"fchmod",
	"fchmodat",
	"fchmodat2",
	"chown",
	"fchown",
	"lchown",
	"fchownat",
	"utimensat",
	"utime",
	"utimes",
	"futimesat",
	"setxattr",
	"lsetxattr",
	"fsetxattr",
	"getxattr",
	"lgetxattr",
	"fgetxattr",
	"listxattr",
	"llistxattr",
	"flistxattr",
	"removexattr",
	"lremovexattr",
	"fremovexattr",
	"brk",
	"munmap",
	"mremap",
	"madvise",
	"clock_gettime",
	"gettimeofday",
	"time",
	"getrandom",
	"futex",
	"poll",
	"ppoll",
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"restart_syscall",
	"getpid",
	"gettid",
	"getuid",
	"geteuid",
	"getgid",
	"getegid",
	"exit",
	"exit_group",
};

/* mmap and mprotect without PROT_EXEC: no library can be loaded from the tree (iconv's and NSS's modules would be looked for there). */
static int restrict_calls(struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return err_set(e, ERR_RESOURCE, ENOMEM, "jail: seccomp");
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(allowed_calls); i++) {
		int nr = seccomp_syscall_resolve_name(allowed_calls[i]);
		if (nr != __NR_SCMP_ERROR && nr >= 0)
			rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
	}
	static const int mapping[] = { SCMP_SYS(mmap), SCMP_SYS(mprotect) };
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(mapping); i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, mapping[i], 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	return rc < 0 ? err_sys(e, -rc, "jail: seccomp") : 0;
}

static int enter(int dirfd, int in, int out, struct err *e)
{
	/* Names in archives are UTF-8; in another locale libarchive would convert them. */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	signal(SIGPIPE, SIG_IGN);
	if (change_root(dirfd, e) < 0 || close_others(in, out, e) < 0)
		return -1;
	return set_limits(e) < 0 || drop_capabilities(e) < 0 ? -1 : restrict_calls(e);
}

static _Noreturn void child(int dirfd, int in, int out, jail_work work, const struct layer_limits *lim)
{
	struct result r = { .rc = -1 };
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	int at = out;
	if (enter(dirfd, in, out, &r.err) == 0) {
		at = 4;
		r.rc = work(3, lim, &r.counts, &r.err);
	}
	_exit(write(at, &r, sizeof(r)) != sizeof(r));
}

/* Strings of a stranger: ended, and without what could be told to a terminal. */
static void clean(char *s, size_t cap)
{
	s[cap - 1] = '\0';
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

static int take_result(int fd, struct jail_counts *counts, struct err *e)
{
	struct result r;
	int got = fd_read_exact(fd, &r, sizeof(r), NULL);
	if (got != 1)
		return err_set(e, ERR_INTERNAL, 0, "the process that unpacks archives ended without a word");
	*counts = r.counts;
	if (r.rc == 0)
		return 0;
	clean(r.err.msg, sizeof(r.err.msg));
	clean(r.err.field, sizeof(r.err.field));
	clean(r.err.remedy, sizeof(r.err.remedy));
	if (r.err.code <= ERR_NONE || r.err.code >= ERR_CODE_COUNT)
		r.err.code = ERR_INTERNAL;
	if (e)
		*e = r.err;
	return -1;
}

int jail_run(int dirfd, int in, jail_work work, const struct layer_limits *lim, struct jail_counts *counts, struct err *e)
{
	int p[2];
	if (fd_pipe(p, e) < 0)
		return -1;
	auto_close int read_end = p[0], write_end = p[1];
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(e, errno, "fork");
	if (pid == 0)
		child(dirfd, in, write_end, work, lim);
	close(steal_fd(&write_end));
	int rc = take_result(read_end, counts, e);
	if (proc_wait(pid, -1, rc < 0 ? NULL : e) < 0)
		return -1;
	return rc;
}
