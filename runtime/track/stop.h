/* All threads of a process, stopped for a moment and let go as they were.
 *
 * PTRACE_SEIZE and PTRACE_INTERRUPT (ptrace(2)): no signal is sent, nobody but the tracer learns of it, a process that was stopped by SIGSTOP stays
 * so. All threads, since they share what one of them changes meanwhile (descriptors). Must be used by a process of its own that ends soon: should a
 * thread not stop in time (it waits for a child of vfork(2), for a dead disk), the end of the tracer is what lets all go. */
#pragma once
#include "base/err.h"
#include "runtime/track/regs.h"

struct stop_thread {
	pid_t tid;
	bool stopped;
	struct regs_before before;
};
struct stop {
	pid_t pid;
	struct stop_thread *threads;
	size_t n, cap;
};

/* Stops them within timeout_ms, with seccomp suspended. 0, or -1: then end. SIGCHLD must be blocked. */
int stop_process(struct stop *s, pid_t pid, int timeout_ms, struct err *e);
/* A thread of it that can make system calls. */
pid_t stop_thread_for_calls(const struct stop *s);
/* Waits for the next stop of one thread; returns its wait status, or -1. */
int stop_wait(pid_t tid, int64_t until_ns, struct err *e);
/* Lets all go. */
int stop_release(struct stop *s, struct err *e);
