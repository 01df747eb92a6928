/* Loading a compiled filter: nothing but one system call, so that it can be the last step before exec. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "runtime/seccomp/internal.h"

int seccomp_filter_load(const struct seccomp_filter *f)
{
	size_t n = f->bpf.len / sizeof(struct sock_filter);
	struct sock_fprog program = { .len = (unsigned short)n, .filter = (struct sock_filter *)(void *)f->bpf.data };
	unsigned flags = f->flags | (f->notifies ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0);
	if (n == 0 || n > BPF_MAXINSNS) {
		errno = EINVAL;
		return -1;
	}
	int result = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	if (result < 0 && errno == EINVAL && (flags & FLAG_WAIT_KILLABLE)) /* an older kernel: it then does without */
		result = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags & ~FLAG_WAIT_KILLABLE, &program);
	return result;
}
