/* The default profile's lists: which system calls a container may make.
 *
 * Written from the kernel's tables (arch/x86/entry/syscalls/, asm-generic/unistd.h) and capabilities(7). A call is allowed if ordinary programs need
 * it and it acts on what the process owns already. It is behind a capability if it changes what namespaces share or what the machine is. It is denied
 * to all if it acts on what no namespace separates (keys), if it opens a large and young part of the kernel that nothing needs to work (io_uring,
 * userfaultfd), or if it serves programs of a past age (vm86, modify_ldt). What stands in no list is either gone from the kernel or newer than this
 * table: such calls get ENOSYS, so that programs use the older way. */
#include <stddef.h>
#include "runtime/seccomp/internal.h"

const char *const profile_allowed[] = {
	/* files and folders */
	"access", "chdir", "chmod", "chown", "chown32", "close", "close_range", "copy_file_range", "creat", "dup", "dup2", "dup3", "faccessat",
	"faccessat2", "fadvise64", "fadvise64_64", "fallocate", "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32", "fchownat",
	"fcntl", "fcntl64", "fdatasync", "fgetxattr", "flistxattr", "flock", "fremovexattr", "fsetxattr", "fstat", "fstat64", "fstatat64", "fstatfs",
	"fstatfs64", "fsync", "ftruncate", "ftruncate64", "futimesat", "getcwd", "getdents", "getdents64", "getxattr", "getxattrat",
	"inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch", "lchown", "lchown32", "lgetxattr", "link", "linkat", "listxattr",
	"listxattrat", "llistxattr", "lremovexattr", "lseek", "_llseek", "lsetxattr", "lstat", "lstat64", "mkdir", "mkdirat", "mknod", "mknodat",
	"name_to_handle_at", "newfstatat", "open", "openat", "openat2", "readlink", "readlinkat", "removexattr", "removexattrat", "rename",
	"renameat", "renameat2", "rmdir", "setxattr", "setxattrat", "stat", "stat64", "statfs", "statfs64", "statx", "symlink", "symlinkat", "sync",
	"sync_file_range", "syncfs", "truncate", "truncate64", "umask", "unlink", "unlinkat", "utime", "utimensat", "utimensat_time64", "utimes",
	/* reading, writing, waiting */
	"cachestat", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd", "eventfd2", "io_cancel",
	"io_destroy", "io_getevents", "io_pgetevents", "io_pgetevents_time64", "io_setup", "io_submit", "_newselect", "pipe", "pipe2", "poll",
	"ppoll", "ppoll_time64", "pread64", "preadv", "preadv2", "pselect6", "pselect6_time64", "pwrite64", "pwritev", "pwritev2", "read",
	"readahead", "readv", "select", "sendfile", "sendfile64", "signalfd", "signalfd4", "splice", "tee", "vmsplice", "write", "writev",
	/* memory */
	"brk", "madvise", "map_shadow_stack", "membarrier", "memfd_create", "mincore", "mlock", "mlock2", "mlockall", "mmap", "mmap2", "mprotect",
	"mremap", "mseal", "msync", "munlock", "munlockall", "munmap", "pkey_alloc", "pkey_free", "pkey_mprotect", "remap_file_pages",
	/* processes and threads */
	"arch_prctl", "capget", "capset", "execve", "execveat", "exit", "exit_group", "fork", "futex", "futex_requeue", "futex_time64", "futex_wait",
	"futex_waitv", "futex_wake", "get_robust_list", "get_thread_area", "getcpu", "getegid", "getegid32", "geteuid", "geteuid32", "getgid",
	"getgid32", "getgroups", "getgroups32", "getitimer", "getpgid", "getpgrp", "getpid", "getppid", "getpriority", "getrandom", "getresgid",
	"getresgid32", "getresuid", "getresuid32", "getrlimit", "getrusage", "getsid", "gettid", "getuid", "getuid32", "ioprio_get", "ioprio_set",
	"kill", "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "pause", "pidfd_open", "pidfd_send_signal", "prctl",
	"prlimit64", "process_mrelease", "process_vm_readv", "process_vm_writev", "ptrace", "restart_syscall", "rseq", "rt_sigaction",
	"rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64",
	"rt_tgsigqueueinfo", "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam",
	"sched_getscheduler", "sched_rr_get_interval", "sched_rr_get_interval_time64", "sched_setaffinity", "sched_setattr", "sched_setparam",
	"sched_setscheduler", "sched_yield", "seccomp", "set_robust_list", "set_thread_area", "set_tid_address", "setfsgid", "setfsgid32", "setfsuid",
	"setfsuid32", "setgid", "setgid32", "setgroups", "setgroups32", "setitimer", "setpgid", "setpriority", "setregid", "setregid32", "setresgid",
	"setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32", "setrlimit", "setsid", "setuid", "setuid32", "sigaltstack",
	"sigprocmask", "sigreturn", "tgkill", "tkill", "ugetrlimit", "vfork", "wait4", "waitid", "waitpid",
	/* time; setting the clock is a capability that adjtimex itself asks for */
	"adjtimex", "alarm", "clock_adjtime", "clock_adjtime64", "clock_getres", "clock_getres_time64", "clock_gettime", "clock_gettime64",
	"clock_nanosleep", "clock_nanosleep_time64", "gettimeofday", "nanosleep", "time", "timer_create", "timer_delete", "timer_getoverrun",
	"timer_gettime", "timer_gettime64", "timer_settime", "timer_settime64", "timerfd_create", "timerfd_gettime", "timerfd_gettime64",
	"timerfd_settime", "timerfd_settime64", "times",
	/* sockets (socket itself is judged by its family) and System V and POSIX queues */
	"accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "ipc", "listen", "mq_getsetattr", "mq_notify", "mq_open",
	"mq_timedreceive", "mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64", "mq_unlink", "msgctl", "msgget", "msgrcv", "msgsnd",
	"recv", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "semctl", "semget", "semop", "semtimedop", "semtimedop_time64", "send",
	"sendmmsg", "sendmsg", "sendto", "setsockopt", "shmat", "shmctl", "shmdt", "shmget", "shutdown", "socketpair",
	/* about the system */
	"sysinfo", "uname", "uretprobe",
	/* other machines' own */
	"arm_fadvise64_64", "arm_sync_file_range", "breakpoint", "cacheflush", "riscv_flush_icache", "riscv_hwprobe", "set_tls", "swapcontext",
	"sync_file_range2", NULL
};

const char *const profile_denied[] = {
	/* keys are shared by all users with the same id, whatever their namespace */
	"add_key", "keyctl", "request_key",
	/* large, young, and with another way to do the same */
	"io_uring_enter", "io_uring_register", "io_uring_setup", "userfaultfd", "memfd_secret",
	/* another kernel */
	"kexec_file_load", "kexec_load",
	/* of a past age. socketcall hides the family in memory, which a filter cannot see */
	"modify_ldt", "socketcall", "uselib", "ustat", "sysfs", "vm86", "vm86old",
	/* a container's root stays what it is */
	"pivot_root",
	/* the machine's swap; pages of other processes */
	"migrate_pages", "move_pages", "swapoff", "swapon", NULL
};

static const char *const admin_calls[] = { "fanotify_init", "fanotify_mark", "fsconfig",      "fsmount",    "fsopen",	 "fspick",
					   "listmount",	    "mount",	     "mount_setattr", "move_mount", "open_tree", "quotactl",
					   "quotactl_fd",   "setdomainname", "sethostname",   "setns",	    "statmount", "umount",
					   "umount2",	    "unshare",	     "clone",	      "clone3",	    NULL };
static const char *const bpf_calls[] = { "bpf", NULL };
static const char *const perf_calls[] = { "perf_event_open", NULL };
static const char *const syslog_calls[] = { "syslog", NULL };
static const char *const handle_calls[] = { "open_by_handle_at", NULL };
static const char *const boot_calls[] = { "reboot", NULL };
static const char *const chroot_calls[] = { "chroot", NULL };
static const char *const module_calls[] = { "delete_module", "finit_module", "init_module", NULL };
static const char *const account_calls[] = { "acct", NULL };
static const char *const ptrace_calls[] = { "kcmp", "pidfd_getfd", "process_madvise", NULL };
static const char *const rawio_calls[] = { "ioperm", "iopl", NULL };
static const char *const time_calls[] = { "clock_settime", "clock_settime64", "settimeofday", "stime", NULL };
static const char *const tty_calls[] = { "vhangup", NULL };
static const char *const nice_calls[] = { "get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node", NULL };

const struct profile_gate profile_gates[] = {
	{ { "CAP_SYS_ADMIN" }, admin_calls },
	{ { "CAP_SYS_ADMIN", "CAP_BPF" }, bpf_calls },
	{ { "CAP_SYS_ADMIN", "CAP_PERFMON" }, perf_calls },
	{ { "CAP_SYS_ADMIN", "CAP_SYSLOG" }, syslog_calls },
	{ { "CAP_DAC_READ_SEARCH" }, handle_calls },
	{ { "CAP_SYS_BOOT" }, boot_calls },
	{ { "CAP_SYS_CHROOT" }, chroot_calls },
	{ { "CAP_SYS_MODULE" }, module_calls },
	{ { "CAP_SYS_PACCT" }, account_calls },
	{ { "CAP_SYS_PTRACE" }, ptrace_calls },
	{ { "CAP_SYS_RAWIO" }, rawio_calls },
	{ { "CAP_SYS_TIME" }, time_calls },
	{ { "CAP_SYS_TTY_CONFIG" }, tty_calls },
	{ { "CAP_SYS_NICE" }, nice_calls },
	{ { NULL }, NULL },
};
