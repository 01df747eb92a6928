/* arm64. Before it stops for a tracer the kernel has already set a call that it will make again up for that: pc is at the instruction again, x0 has
 * its argument back (arch/arm64/kernel/signal.c, do_signal). Putting the registers back is therefore enough. Two things differ from x86-64: a sleep
 * that was broken off begins anew with its whole time, since the kernel's mark that it should go on is not among the registers; and after an EINTR
 * the first argument is lost, so it is read beforehand from /proc/PID/task/TID/syscall. */
#ifdef __aarch64__
#include "runtime/track/regs.h"

#include <errno.h>
#include <stdio.h>
#include "base/file.h"

#define CODE_SIZE 4

const uint8_t regs_call_code[] = { 0x01, 0x00, 0x00, 0xd4 }; /* svc #0 */
const size_t regs_call_code_size = sizeof(regs_call_code);

void regs_look_before(pid_t pid, pid_t tid, struct regs_before *b)
{
	char path[64], line[256];
	unsigned long long argument, pc;

	b->nr = -1;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid, tid);
	if (file_read_line(AT_FDCWD, path, line, sizeof(line), NULL) < 0)
		return;
	if (sscanf(line, "%ld %llx %*x %*x %*x %*x %*x %*x %llx", &b->nr, &argument, &pc) != 3) {
		b->nr = -1;
		return;
	}
	b->argument = argument;
	b->pc = pc;
}

void regs_call(struct regs *r, uint64_t code_address, long nr, uint64_t a, uint64_t b)
{
	r->native.regs[8] = (unsigned long long)nr;
	r->native.regs[0] = a;
	r->native.regs[1] = b;
	r->native.pc = code_address;
}

long regs_result(const struct regs *r)
{
	return (long)r->native.regs[0];
}

bool regs_wait_on(struct regs *r, const struct regs_before *b)
{
	if (b->nr < 0 || (long)r->native.regs[0] != -EINTR || (long)r->native.regs[8] != b->nr || r->native.pc != b->pc ||
	    !regs_call_can_be_repeated(b->nr))
		return false;
	r->native.regs[0] = b->argument;
	r->native.pc -= CODE_SIZE;
	return true;
}
#endif
