/* System calls that the C library does not wrap, or wraps with more than we want. */
#pragma once
#include <linux/openat2.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* fork(2) into new namespaces: flags are CLONE_NEW… and CLONE_PARENT (the child then sends no signal of its own choice, clone(2)). *pidfd gets an
 * owned fd. cgroup: fd of a v2 cgroup that the child starts in, or -1. No handlers of pthread_atfork(3) run: callers have a single thread. Returns
 * twice, as fork. */
static inline pid_t sys_clone_into(uint64_t flags, int *pidfd, int cgroup)
{
	struct clone_args a = {
		.flags = flags | CLONE_PIDFD | (cgroup >= 0 ? CLONE_INTO_CGROUP : 0),
		.pidfd = (uint64_t)(uintptr_t)pidfd,
		.exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD,
		.cgroup = cgroup >= 0 ? (uint64_t)cgroup : 0,
	};

	return (pid_t)syscall(SYS_clone3, &a, sizeof(a));
}

static inline pid_t sys_clone(uint64_t flags, int *pidfd)
{
	return sys_clone_into(flags, pidfd, -1);
}

static inline int sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)syscall(SYS_pivot_root, new_root, put_old);
}

static inline int sys_openat2(int dirfd, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags, .resolve = resolve };

	return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
}
