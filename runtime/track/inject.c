/* See inject.h. The thread runs from one stop to the next only within the kernel: code_address names an instruction of its own vDSO (vdso(7)),
 * which is the same code as ours, at another address; where it is not (a process that CRIU restored from another kernel), one is looked for. */
#include "runtime/track/inject.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"

#ifndef PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG
#define PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG 0x4211
#endif
#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif
#define VDSO_SIZE 8192
#define SEARCH_SIZE (1 << 20) /* of each mapping that may be executed */
#define SYSCALL_STOP (SIGTRAP | 0x80)

static ssize_t find_code(const uint8_t *p, size_t n)
{
	const uint8_t *at = memmem(p, n, regs_call_code, regs_call_code_size);

	return at ? at - p : -1;
}

static bool read_memory(pid_t pid, uint64_t address, void *out, size_t n)
{
	struct iovec local = { out, n }, remote = { (void *)(uintptr_t)address, n };

	return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)n;
}

/* Where its vDSO lies, as the kernel told it at its start. 0: unknown. */
static uint64_t vdso_of(pid_t pid)
{
	char path[64];
	Elf64_auxv_t v[64];

	snprintf(path, sizeof(path), "/proc/%d/auxv", pid);
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, v, sizeof(v));
	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(v[0]); i++)
		if (v[i].a_type == AT_SYSINFO_EHDR)
			return v[i].a_un.a_val;
	return 0;
}

static uint64_t code_in_vdso(pid_t pid)
{
	uint8_t bytes[16];
	const uint8_t *ours = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
	uint64_t theirs = vdso_of(pid);
	ssize_t at = ours && theirs ? find_code(ours, VDSO_SIZE / 2) : -1;

	if (at < 0 || !read_memory(pid, theirs + (uint64_t)at, bytes, regs_call_code_size))
		return 0;
	return memcmp(bytes, regs_call_code, regs_call_code_size) == 0 ? theirs + (uint64_t)at : 0;
}

/* In all that it may execute. */
static uint64_t code_anywhere(pid_t pid)
{
	char path[64], line[512], rights[8];
	uint64_t from, to, found = 0;
	auto_free uint8_t *bytes = mem_new(SEARCH_SIZE, 1, NULL);

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	FILE *f = bytes ? fopen(path, "re") : NULL;
	while (f && !found && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) != 3 || rights[0] != 'r' || rights[2] != 'x')
			continue;
		size_t n = MIN(to - from, (uint64_t)SEARCH_SIZE);
		ssize_t at = read_memory(pid, from, bytes, n) ? find_code(bytes, n) : -1;
		found = at < 0 ? 0 : from + (uint64_t)at;
	}
	if (f)
		fclose(f);
	return found;
}

/* prctl(2), PR_SET_SYSCALL_USER_DISPATCH: such a thread would get SIGSYS for our call. */
static bool redirects_calls(pid_t tid)
{
	uint64_t config[4] = { 0 };

	return ptrace(PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, tid, (void *)sizeof(config), config) == 0 && config[0] != 0;
}

int inject_begin(struct inject *i, const struct stop *s, int timeout_ms, struct err *e)
{
	uint64_t all = ~0ULL;

	*i = (struct inject){ .tid = stop_thread_for_calls(s), .until = clock_now_ns(CLOCK_MONOTONIC) + timeout_ms * NSEC_PER_MSEC };
	if (regs_get(i->tid, &i->saved) < 0)
		return err_set(e, errno == ENOTSUP ? ERR_UNSUPPORTED : ERR_IO, errno, "process %d: registers", s->pid);
	if (redirects_calls(i->tid))
		return err_set(e, ERR_UNSUPPORTED, 0, "process %d redirects its system calls", s->pid);
	i->code = code_in_vdso(s->pid);
	if (!i->code)
		i->code = code_anywhere(s->pid);
	if (!i->code)
		return err_set(e, ERR_UNSUPPORTED, 0, "process %d has no instruction for a system call", s->pid);
	if (ptrace(PTRACE_GETSIGMASK, i->tid, (void *)sizeof(i->mask), &i->mask) < 0 ||
	    ptrace(PTRACE_SETSIGMASK, i->tid, (void *)sizeof(all), &all) < 0)
		return err_sys(e, errno, "process %d: signal mask", s->pid);
	return 0;
}

/* Goes on until the next stop at a call's begin or end. What else stops it (SIGSTOP cannot be blocked) takes its course. */
static int next_syscall_stop(struct inject *i, struct err *e)
{
	int pass_on = 0;

	for (;;) {
		if (ptrace(PTRACE_SYSCALL, i->tid, NULL, (void *)(long)pass_on) < 0)
			return err_sys(e, errno, "thread %d: PTRACE_SYSCALL", i->tid);
		int status = stop_wait(i->tid, i->until, e);
		if (status < 0)
			return -1;
		if (!WIFSTOPPED(status))
			return err_set(e, ERR_NOT_FOUND, 0, "thread %d has ended", i->tid);
		if (WSTOPSIG(status) == SYSCALL_STOP)
			return 0;
		pass_on = status >> 16 ? 0 : WSTOPSIG(status);
	}
}

int inject_call(struct inject *i, long nr, uint64_t a, uint64_t b, long *result, struct err *e)
{
	struct regs r = i->saved;

	regs_call(&r, i->code, nr, a, b);
	if (regs_set(i->tid, &r) < 0)
		return err_sys(e, errno, "thread %d: registers", i->tid);
	if (next_syscall_stop(i, e) < 0 || next_syscall_stop(i, e) < 0)
		return -1;
	if (regs_get(i->tid, &r) < 0)
		return err_sys(e, errno, "thread %d: registers", i->tid);
	*result = regs_result(&r);
	return 0;
}

/* From the end of a call to a stop like that of PTRACE_INTERRUPT at first, without an instruction of the program between. */
static int stop_again(struct inject *i, struct err *e)
{
	int pass_on = 0;

	for (;;) {
		if (ptrace(PTRACE_INTERRUPT, i->tid, NULL, NULL) < 0 || ptrace(PTRACE_CONT, i->tid, NULL, (void *)(long)pass_on) < 0)
			return err_sys(e, errno, "thread %d: PTRACE_INTERRUPT", i->tid);
		int status = stop_wait(i->tid, i->until, e);
		if (status < 0)
			return -1;
		if (!WIFSTOPPED(status))
			return err_set(e, ERR_NOT_FOUND, 0, "thread %d has ended", i->tid);
		if (status >> 16 == PTRACE_EVENT_STOP)
			return 0;
		pass_on = status >> 16 ? 0 : WSTOPSIG(status);
	}
}

int inject_end(struct inject *i, struct err *e)
{
	if (stop_again(i, e) < 0)
		return -1;
	if (regs_set(i->tid, &i->saved) < 0 || ptrace(PTRACE_SETSIGMASK, i->tid, (void *)sizeof(i->mask), &i->mask) < 0)
		return err_sys(e, errno, "thread %d: registers and signal mask", i->tid);
	return 0;
}
