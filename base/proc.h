/* Processes: running programs with chosen descriptors, pidfds, and knowing a process again.
 *
 * A pid alone is never trusted over time: (pid, start time) names a process until reboot. The start time in /proc/PID/stat is told
 * in the reader's time namespace (time_namespaces(7)); proc_start_time() takes that out, so every reader sees the same. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/err.h"

/* A descriptor of the caller and the number it has in the child. */
struct proc_fd {
	int from, to;
};

/* What to start. The child has no blocked signals and all signals' default actions. die_with_parent means the *thread* that spawned (prctl(2)):
 * spawn from one that lives on. */
struct proc_spawn {
	const char *path;	   /* absolute: no PATH search */
	char *const *argv;	   /* NULL-terminated */
	char *const *envp;	   /* NULL: environ of the caller */
	const struct proc_fd *fds; /* all others are closed in the child (close_range(2)); 0-2 not named are /dev/null */
	size_t nfds;
	bool new_session;     /* setsid(2) */
	bool die_with_parent; /* PR_SET_PDEATHSIG SIGKILL */
	/* Runs in the child before exec with only async-signal-safe calls; returns 0, or -1 with errno. May be NULL. The
	 * parent waits in proc_spawn until exec, so it must not wait for the parent. */
	int (*child)(void *arg);
	void *arg;
};

/* Starts a program. Returns its pid and, if pidfd is not NULL, an owned pidfd; -1 if it could not be started, the failure of exec included. */
pid_t proc_spawn(const struct proc_spawn *s, int *pidfd, struct err *e);
/* Waits for a child with a limit. Returns the wait status, or -1 (ERR_TIMEOUT). timeout_ms -1: none. */
int proc_wait(pid_t pid, int timeout_ms, struct err *e);
/* Exit status as a shell tells it: code, or 128 + signal. */
int proc_exit_code(int wait_status);

/* Start time in clock ticks since boot on the host's own boot clock, whatever time namespace the caller is in. 0 or -1 (ERR_NOT_FOUND). */
int proc_start_time(pid_t pid, uint64_t *ticks, struct err *e);
/* Whether (pid, ticks) still lives and is no zombie. A difference of one tick is the same process (rounding between time namespaces). */
bool proc_is_alive(pid_t pid, uint64_t ticks);
/* A number of /proc/PID/status by its key ("PPid", "VmLck"), the last one of its line: of "NSpid" the pid in its own namespace. -1: it has ended, or
 * its kernel tells no such thing. */
long proc_status_number(pid_t pid, const char *key);
/* A number that /proc/PID/fdinfo/FD has of every descriptor: "pos", "flags" (octal: base 8), "mnt_id", "ino" (proc_pid_fdinfo(5)). 0 or -1. */
int proc_fd_number(pid_t pid, int fd, const char *key, int base, uint64_t *out, struct err *e);
int proc_pidfd_open(pid_t pid, struct err *e);
int proc_pidfd_kill(int pidfd, int sig, struct err *e);
/* This boot's id (/proc/sys/kernel/random/boot_id) into out[37]. */
int proc_boot_id(char out[37], struct err *e);
