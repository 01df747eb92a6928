/* x86-64. A thread that was stopped in a call has its number in orig_rax and, in rax, a code of the kernel's own that never reaches user mode: after
 * the stop the kernel looks at both and either makes the call again or, if a handler runs, lets it end with EINTR (arch/x86/kernel/signal.c,
 * arch_do_signal_or_restart). So it is enough to put both back at a stop of the same kind, and an EINTR is turned into such a code. */
#ifdef __x86_64__
#include "runtime/track/regs.h"

#include <errno.h>

#define RESTART_UNLESS_HANDLED 514 /* ERESTARTNOHAND, include/linux/errno.h */

const uint8_t regs_call_code[] = { 0x0f, 0x05 }; /* syscall */
const size_t regs_call_code_size = sizeof(regs_call_code);

void regs_look_before(pid_t pid, pid_t tid, struct regs_before *b)
{
	(void)pid, (void)tid;
	b->nr = -1;
}

void regs_call(struct regs *r, uint64_t code_address, long nr, uint64_t a, uint64_t b)
{
	r->native.orig_rax = (unsigned long long)-1; /* nothing to be taken up again */
	r->native.rax = (unsigned long long)nr;
	r->native.rip = code_address;
	r->native.rdi = a;
	r->native.rsi = b;
}

long regs_result(const struct regs *r)
{
	return (long)r->native.rax;
}

bool regs_wait_on(struct regs *r, const struct regs_before *b)
{
	(void)b;
	if ((long)r->native.orig_rax < 0 || (long)r->native.rax != -EINTR || !regs_call_can_be_repeated((long)r->native.orig_rax))
		return false;
	r->native.rax = (unsigned long long)-RESTART_UNLESS_HANDLED;
	return true;
}
#endif
