/* What is the same on all machines: reading and writing registers, and which calls a stop ends with EINTR although no handler runs. */
#include "runtime/track/regs.h"

#include <elf.h>
#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "base/mem.h"

/* Each either did nothing when it says EINTR, or goes on where it was when it is made again. close(2) and the like are not among them. */
static const long repeatable[] = {
#ifdef SYS_epoll_wait
	SYS_epoll_wait,
#endif
	SYS_epoll_pwait,   SYS_epoll_pwait2,   SYS_semop,   SYS_semtimedop, SYS_rt_sigtimedwait, SYS_io_getevents,
	SYS_io_pgetevents, SYS_io_uring_enter, /* of it only the waiting is interrupted */
	SYS_read,	   SYS_readv,	       SYS_write,   SYS_writev,	    SYS_recvfrom,	 SYS_recvmsg,
	SYS_recvmmsg,	   SYS_sendto,	       SYS_sendmsg, SYS_sendmmsg,   SYS_accept,		 SYS_accept4,
	SYS_connect,	   SYS_futex,	       SYS_msgsnd,  SYS_msgrcv,	    SYS_mq_timedsend,	 SYS_mq_timedreceive,
};

bool regs_call_can_be_repeated(long nr)
{
	for (size_t i = 0; i < ARRAY_LEN(repeatable); i++)
		if (repeatable[i] == nr)
			return true;
	return false;
}

int regs_get(pid_t tid, struct regs *r)
{
	struct iovec v = { &r->native, sizeof(r->native) };

	if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &v) < 0)
		return -1;
	if (v.iov_len == sizeof(r->native))
		return 0;
	errno = ENOTSUP;
	return -1;
}

int regs_set(pid_t tid, const struct regs *r)
{
	struct iovec v = { (void *)&r->native, sizeof(r->native) };

	return ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &v) < 0 ? -1 : 0;
}
