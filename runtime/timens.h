/* A container's time namespace.
 *
 * The kernel takes offsets only while a time namespace has no member (time_namespaces(7)), so the namespace is made (unshare, which puts only
 * later children into it), given its offsets and pinned by an fd before the first task is put in it. "Host" clocks are those of the
 * namespace that the caller (davit-runtime) runs in: a davitd inside a time namespace is another host's for its containers. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include <time.h>
#include "base/clock.h"
#include "base/err.h"
#include "spec.pb-c.h"

/* Container clock minus the caller's clock, ns. */
struct timens_offsets {
	int64_t monotonic, boottime;
};

bool timens_supported(void);
/* Makes a time namespace with these offsets against the CALLER's clocks. Returns an owned O_CLOEXEC fd of it, or -1. It is made in a child, so the
 * caller stays where it is. ERR_UNSUPPORTED; ERR_RANGE: a clock would be negative or past the kernel's limit (KTIME_MAX / 2). */
int timens_new(const struct timens_offsets *off, struct err *e);
/* The fd of the time namespace of a process. */
int timens_of_pid(pid_t pid, struct err *e);
/* Puts the calling (single-threaded) process into it. Async-signal-safe. 0 or -1 with errno. */
int timens_enter(int fd);
/* Offsets of a process's time namespace against the caller's clocks (from /proc/PID/timens_offsets of both; 0 for the same namespace). */
int timens_offsets_of_pid(pid_t pid, struct timens_offsets *off, struct err *e);
/* Host and container clocks read together; pid of the container's init. */
int timens_sample(pid_t pid, Davit__ClockSample *out, struct err *e);
/* The same clocks as they are now; the process may be gone. */
void timens_sample_again(Davit__ClockSample *s);
