/* Registers of a stopped thread, as far as a system call needs them: one file for each machine (regs_x86_64.c, regs_arm64.c).
 *
 * A stop breaks off the call that a thread waits in. Most calls the kernel takes up again by itself; a few (signal(7), "Interruption of system calls
 * … by stop signals") it ends with EINTR. regs_wait_on() makes those be taken up again as well. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>
#include "base/err.h"

#if !defined(__x86_64__) && !defined(__aarch64__)
#error "no registers of this machine"
#endif

struct regs {
	struct user_regs_struct native;
};

/* What a thread was doing before it was stopped: only where the registers do not tell it afterwards. */
struct regs_before {
	long nr; /* -1: not known */
	uint64_t argument, pc;
};

/* The bytes of an instruction that makes a system call. */
extern const uint8_t regs_call_code[];
extern const size_t regs_call_code_size;

void regs_look_before(pid_t pid, pid_t tid, struct regs_before *b);
/* 0, or -1 with errno: ENOTSUP for a thread of another machine (32 bit). */
int regs_get(pid_t tid, struct regs *r);
int regs_set(pid_t tid, const struct regs *r);
/* As r was, but about to make the call nr at code_address. */
void regs_call(struct regs *r, uint64_t code_address, long nr, uint64_t a, uint64_t b);
/* What the call gave: a value, or -errno. */
long regs_result(const struct regs *r);
/* If the thread's call ended with EINTR for the stop's sake alone: changes r so that it is made again, unless a signal's handler runs. True if so. */
bool regs_wait_on(struct regs *r, const struct regs_before *b);
/* Whether a call that waits ends with EINTR when its thread is stopped, and may be made again as it was. */
bool regs_call_can_be_repeated(long nr);
