/* The instructions before libseccomp's filter.
 *
 * A profile that denies with EPERM what it does not name also denies calls that were not known when it was written, and C libraries
 * that try a new call first take EPERM for the final answer, where ENOSYS would make them use the old one. So, where the default is EPERM: for each
 * architecture, a call with a higher number than any that the profile names (as far as libseccomp knows it) gets ENOSYS.
 *
 * x32 calls (numbers with bit 30) of a filter that returns errors but does not list x32 get ENOSYS, as from a kernel without x32; libseccomp alone
 * would end the process. Source: seccomp(2), "Caveats"; kernel Documentation/userspace-api/seccomp_filter.rst. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <string.h>
#include "runtime/seccomp/internal.h"

#define X32_BIT 0x40000000U
#define LOAD(member) ((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member)))
#define JUMP(op, k, yes, no) ((struct sock_filter)BPF_JUMP(BPF_JMP | (op) | BPF_K, k, yes, no))
#define RETURN_ENOSYS ((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS))

/* The highest number that the profile names for an architecture, or -1. */
static int highest_call(const Davit__OciSeccomp *s, uint32_t arch)
{
	int highest = -1;
	for (size_t i = 0; i < s->n_syscalls; i++)
		for (size_t k = 0; k < s->syscalls[i]->n_names; k++) {
			int nr = seccomp_syscall_resolve_name_arch(arch, s->syscalls[i]->names[k]);
			if (nr > highest)
				highest = nr;
		}
	return highest;
}

static bool lists(const Davit__OciSeccomp *s, uint32_t arch)
{
	for (size_t i = 0; i < s->n_architectures; i++)
		if (arch_token(s->architectures[i]) == arch)
			return true;
	return false;
}

/* arch: libseccomp's token, which for all but x32 is the kernel's AUDIT_ARCH_*. */
static int add_newest(struct buf *out, uint32_t arch, uint32_t above, struct err *e)
{
	const struct sock_filter part[] = {
		LOAD(arch), JUMP(BPF_JEQ, arch, 0, 4), LOAD(nr), JUMP(BPF_JGE, X32_BIT, 2, 0), JUMP(BPF_JGT, above, 0, 1), RETURN_ENOSYS,
	};
	return buf_append(out, part, sizeof(part), e);
}

static int add_x32(struct buf *out, struct err *e)
{
	const struct sock_filter part[] = {
		LOAD(arch),
		JUMP(BPF_JEQ, AUDIT_ARCH_X86_64, 0, 4),
		LOAD(nr),
		JUMP(BPF_JGE, X32_BIT, 0, 2),
		/* -1 is what a tracer leaves for a call that it skipped. */
		JUMP(BPF_JEQ, UINT32_MAX, 1, 0),
		RETURN_ENOSYS,
	};
	return buf_append(out, part, sizeof(part), e);
}

int prologue_build(const Davit__OciSeccomp *s, uint32_t default_action, struct buf *out, struct err *e)
{
	static const uint32_t archs[] = { SCMP_ARCH_X86_64,  SCMP_ARCH_X86,	SCMP_ARCH_AARCH64, SCMP_ARCH_ARM,
					  SCMP_ARCH_RISCV64, SCMP_ARCH_PPC64LE, SCMP_ARCH_S390X };
	bool errors = (default_action & 0xffff0000U) == SCMP_ACT_ERRNO(0);
	for (size_t i = 0; default_action == SCMP_ACT_ERRNO(EPERM) && i < ARRAY_LEN(archs); i++) {
		int highest = archs[i] == seccomp_arch_native() || lists(s, archs[i]) ? highest_call(s, archs[i]) : -1;
		if (highest >= 0 && add_newest(out, archs[i], (uint32_t)highest, e) < 0)
			return -1;
	}
	if (errors && seccomp_arch_native() == SCMP_ARCH_X86_64 && !lists(s, SCMP_ARCH_X32))
		return add_x32(out, e);
	return 0;
}
