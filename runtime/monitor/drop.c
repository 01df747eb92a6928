/* What the monitor gives up once the container runs. It stays uid 0, as the owner of the log's and the exit record's folders, but without
 * any capability, without a way to gain one, with three folders to write in (landlock(7)) and a short list of system calls (seccomp(2)).
 *
 * A call that is not on the list fails with EPERM rather than end the monitor: the container's life hangs on it. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/monitor/monitor.h"

#if defined(__x86_64__)
#define AUDIT_ARCH_NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define AUDIT_ARCH_NATIVE AUDIT_ARCH_AARCH64
#else
#error "name this machine's AUDIT_ARCH"
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14) /* since version 3 */
#endif

static void drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };
	for (int cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
		;
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	(void)syscall(SYS_capset, &head, none);
}

static void landlock_allow(int ruleset, int dirfd, uint64_t access)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access, .parent_fd = dirfd };
	if (dirfd >= 0)
		(void)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

/* Everything about files is denied but making, writing and removing plain files in our three folders. */
static void restrict_files(const struct monitor *m)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 1)
		return; /* a kernel without it */
	uint64_t all = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
	uint64_t ours = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	if (version >= 3) {
		all |= LANDLOCK_ACCESS_FS_TRUNCATE;
		ours |= LANDLOCK_ACCESS_FS_TRUNCATE;
	}
	struct landlock_ruleset_attr attr = { .handled_access_fs = all };
	auto_close int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0)
		return;
	landlock_allow(ruleset, m->log.dirfd, ours);
	landlock_allow(ruleset, m->exit_dirfd, ours);
	landlock_allow(ruleset, m->attach_dirfd, ours);
	(void)syscall(SYS_landlock_restrict_self, ruleset, 0);
}

static const int allowed_calls[] = {
	/* waiting */
	SYS_epoll_pwait,
	SYS_epoll_ctl,
	SYS_restart_syscall,
	SYS_rt_sigreturn,
	SYS_rt_sigprocmask,
	SYS_clock_gettime,
	SYS_wait4,
	SYS_waitid,
	SYS_ppoll,
	/* descriptors: pipes, terminal, clients */
	SYS_read,
	SYS_write,
	SYS_writev,
	SYS_close,
	SYS_ioctl,
	SYS_fcntl,
	SYS_accept4,
	SYS_recvfrom,
	SYS_recvmsg,
	SYS_sendmsg,
	SYS_setsockopt,
	/* the log, the exit record, the end of the sockets */
	SYS_openat,
	SYS_openat2,
	SYS_fstat,
	SYS_newfstatat,
	SYS_statx,
	SYS_lseek,
	SYS_pread64,
	SYS_fchown,
	SYS_fchmod,
	SYS_fchmodat,
	SYS_ftruncate,
	SYS_fsync,
	SYS_fdatasync,
	SYS_renameat,
	SYS_renameat2,
	SYS_linkat,
	SYS_unlinkat,
	SYS_getrandom,
	SYS_umask,
	/* libc's memory, the end */
	SYS_brk,
	SYS_mmap,
	SYS_munmap,
	SYS_mremap,
	SYS_madvise,
	SYS_futex,
	SYS_getpid,
	SYS_exit,
	SYS_exit_group,
#ifdef SYS_epoll_wait
	SYS_epoll_wait,
	SYS_poll,
	SYS_rename,
	SYS_unlink,
	SYS_open,
	SYS_stat,
#endif
};

#define ALLOWED ARRAY_LEN(allowed_calls)
static void filter_calls(void)
{
	struct sock_filter f[ALLOWED + 6];
	size_t n = 0;
	f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_NATIVE, 0, ALLOWED + 1);
	f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < ALLOWED; i++)
		f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)allowed_calls[i], (uint8_t)(ALLOWED - i), 0);
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	const struct sock_fprog program = { .len = (unsigned short)n, .filter = f };
	(void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

void drop_privileges(const struct monitor *m)
{
	gid_t group = (gid_t)m->o.log_group;
	/* Without us nobody reaps the container: be the last that the kernel kills for memory. Only now, since PROGRAM would have inherited it. */
	(void)file_write_pseudo(AT_FDCWD, "/proc/self/oom_score_adj", "-1000", NULL);
	(void)!chdir("/");
	/* In --log-group, so that a new log file can be given to it without CAP_CHOWN. */
	(void)setgroups(m->o.has_log_group ? 1 : 0, &group);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	drop_capabilities();
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	restrict_files(m);
	filter_calls();
}
