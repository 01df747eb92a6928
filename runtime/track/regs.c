/* Which calls a stop ends with EINTR although no handler runs. */
#include "runtime/track/regs.h"

#include <sys/syscall.h>
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
