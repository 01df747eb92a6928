/* The instructions that send calls to our supervisor, before all others, so that they do so under any profile.
 *
 * A filter sees registers only: it can tell mknod of a device from mknod of a fifo by the mode, a new mount from a remount by the flags, and an open
 * for writing from one for reading, but no path. What it sends is narrowed by these, and the supervisor reads the rest. The calls of other
 * architectures (32-bit programs) are left to the profile. fsopen(2) is answered as missing where mounts are supervised, so that mount(8) uses
 * mount(2), whose arguments are all there at once. */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "runtime/seccomp/internal.h"

#define LOAD(where) ((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(where)))
#define JUMP(op, k, yes, no) ((struct sock_filter)BPF_JUMP(BPF_JMP | (op) | BPF_K, k, yes, no))
#define AND(k) ((struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, k))
#define RETURN(k) ((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, k))
/* The low half of an argument: mode and flags are 32 bits. The machines that we run on are little-endian. */
#define ARGUMENT(n) (offsetof(struct seccomp_data, args) + (n) * sizeof(uint64_t))
#define NOT_NEW (MS_REMOUNT | MS_BIND | MS_MOVE | MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)

/* Calls whose argument, masked, is one of two values. */
static const struct rule {
	unsigned what;
	int nr;
	unsigned argument;
	uint32_t mask, values[2];
	uint32_t answer;
} rules[] = {
#ifdef SYS_mknod
	{ SECCOMP_SUPERVISE_MKNOD, SYS_mknod, 1, S_IFMT, { S_IFCHR, S_IFBLK }, SECCOMP_RET_USER_NOTIF },
#endif
	{ SECCOMP_SUPERVISE_MKNOD, SYS_mknodat, 2, S_IFMT, { S_IFCHR, S_IFBLK }, SECCOMP_RET_USER_NOTIF },
	{ SECCOMP_SUPERVISE_MOUNT, SYS_mount, 3, NOT_NEW, { 0, 0 }, SECCOMP_RET_USER_NOTIF },
	{ SECCOMP_SUPERVISE_MOUNT, SYS_fsopen, 0, 0, { 0, 0 }, SECCOMP_RET_ERRNO | ENOSYS },
#ifdef SYS_open
	{ SECCOMP_SUPERVISE_SYSCTL, SYS_open, 1, O_ACCMODE, { O_WRONLY, O_RDWR }, SECCOMP_RET_USER_NOTIF },
#endif
	{ SECCOMP_SUPERVISE_SYSCTL, SYS_openat, 2, O_ACCMODE, { O_WRONLY, O_RDWR }, SECCOMP_RET_USER_NOTIF },
};

static int add(struct buf *out, const struct rule *r, struct err *e)
{
	const struct sock_filter part[] = {
		LOAD(offsetof(struct seccomp_data, arch)),
		JUMP(BPF_JEQ, seccomp_arch_native(), 0, 7),
		LOAD(offsetof(struct seccomp_data, nr)),
		JUMP(BPF_JEQ, (uint32_t)r->nr, 0, 5),
		LOAD(ARGUMENT(r->argument)),
		AND(r->mask),
		JUMP(BPF_JEQ, r->values[0], 1, 0),
		JUMP(BPF_JEQ, r->values[1], 0, 1),
		RETURN(r->answer),
	};
	return buf_append(out, part, sizeof(part), e);
}

int supervised_build(unsigned supervised, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if ((rules[i].what & supervised) && add(out, &rules[i], e) < 0)
			return -1;
	return 0;
}
