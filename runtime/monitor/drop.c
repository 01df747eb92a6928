/* What the monitor gives up once the container runs. It stays uid 0, as the owner of the log's and the exit record's folders, but without
 * any capability, without a way to gain one, with three folders to write in (landlock(7)) and a short list of system calls (seccomp(2)).
 *
 * A call that is not on the list fails with EPERM rather than end the monitor: the container's life hangs on it. */
#include <grp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/confine.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/monitor/monitor.h"

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

void drop_privileges(const struct monitor *m)
{
	gid_t group = (gid_t)m->o.log_group;
	/* Without us nobody reaps the container: be the last that the kernel kills for memory. Only now, since PROGRAM would have inherited it. */
	(void)file_write_pseudo(AT_FDCWD, "/proc/self/oom_score_adj", "-1000", NULL);
	(void)!chdir("/");
	/* In --log-group, so that a new log file can be given to it without CAP_CHOWN. */
	(void)setgroups(m->o.has_log_group ? 1 : 0, &group);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	confine_capabilities();
	const struct confine_folder ours[] = { { m->log.dirfd, true }, { m->exit_dirfd, true }, { m->attach_dirfd, true } };
	confine_files(ours, ARRAY_LEN(ours));
	confine_calls(allowed_calls, ARRAY_LEN(allowed_calls));
}
