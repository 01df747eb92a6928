/* The default profile as an OCI linux.seccomp object: the lists of profile_table.c, and rules for calls that are judged by their arguments.
 *
 * The default action is ENOSYS, for calls that are newer than our tables; what we know and deny gets EPERM. libseccomp lets a rule without
 * arguments for a call win over those with arguments, so "all but" has to be said as a set of rules that cover the rest:
 * - ioctl: all but TIOCSTI and TIOCLINUX, which put characters into a terminal as if they were typed. The kernel looks at the low 32 bits
 *   of the request only, so the rules have to as well: for each bit, "equal to TIOCSTI down to this bit, which differs".
 * - clone: any flags that make no namespace. clone3 hides its flags in memory: ENOSYS, and C libraries fall back on clone.
 * - socket: Unix, IPv4, IPv6, netlink, and packet with CAP_NET_RAW; other families (vsock reaches the hypervisor, AF_ALG the kernel's crypto
 *   code) do not exist here: EAFNOSUPPORT. socketcall, by which 32-bit programs could get around that, is denied.
 * - personality: the plain ones, that of 32-bit programs, and asking. */
#include <asm/ioctls.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include "proto/pb.h"
#include "runtime/seccomp/internal.h"

/* Both values share all but their last four bits. */
_Static_assert((TIOCSTI & ~0xf) == (TIOCLINUX & ~0xf), "ioctl rules");

struct profile {
	Davit__OciSeccomp *s;
	struct err *e;
	bool failed;
};

static void check(struct profile *p, int result)
{
	p->failed |= result < 0;
}

/* A rule whose names are still to be given. errno_ret 0: none. */
static Davit__OciSyscall *add_rule(struct profile *p, const char *action, uint32_t errno_ret)
{
	Davit__OciSyscall *rule = p->failed ? NULL : pb_new(&davit__oci_syscall__descriptor, p->e);
	if (!rule) {
		p->failed = true;
		return NULL;
	}
	rule->has_errno_ret = errno_ret != 0;
	rule->errno_ret = errno_ret;
	/* rule is p->s's from here on, also when it could not be put there. */
	if (pb_push(&p->s->n_syscalls, &p->s->syscalls, rule, p->e) < 0) {
		p->failed = true;
		return NULL;
	}
	check(p, pb_set_str(&rule->action, action, p->e));
	return rule;
}

static void add_name(struct profile *p, Davit__OciSyscall *rule, const char *name)
{
	if (rule && !p->failed)
		check(p, pb_push_str(&rule->n_names, &rule->names, name, p->e));
}

static void add_list(struct profile *p, Davit__OciSyscall *rule, const char *const *names)
{
	for (; *names; names++)
		add_name(p, rule, *names);
}

static void add_judged(struct profile *p, const char *name, const char *action, uint32_t errno_ret, uint32_t index, const char *op, uint64_t value,
		       uint64_t value_two)
{
	Davit__OciSyscall *rule = add_rule(p, action, errno_ret);
	add_name(p, rule, name);
	Davit__OciSeccompArg *arg = p->failed ? NULL : pb_new(&davit__oci_seccomp_arg__descriptor, p->e);
	if (!arg) {
		p->failed = true;
		return;
	}
	arg->has_index = arg->has_value = true;
	arg->index = index;
	arg->value = value;
	arg->has_value_two = value_two != 0 || str_eq(op, "SCMP_CMP_MASKED_EQ");
	arg->value_two = value_two;
	check(p, pb_push(&rule->n_args, &rule->args, arg, p->e) < 0 ? -1 : pb_set_str(&arg->op, op, p->e));
}

static void allow_if(struct profile *p, const char *name, uint32_t index, const char *op, uint64_t value, uint64_t value_two)
{
	add_judged(p, name, "SCMP_ACT_ALLOW", 0, index, op, value, value_two);
}

static void deny_if(struct profile *p, const char *name, uint32_t errno_ret, uint32_t index, const char *op, uint64_t value, uint64_t value_two)
{
	add_judged(p, name, "SCMP_ACT_ERRNO", errno_ret, index, op, value, value_two);
}

static void add_ioctl(struct profile *p)
{
	for (int bit = 31; bit >= 4; bit--) {
		uint32_t mask = ~0U << bit;
		allow_if(p, "ioctl", 1, "SCMP_CMP_MASKED_EQ", mask, (TIOCSTI & mask) ^ 1U << bit);
	}
	for (uint32_t low = 0; low < 16; low++) {
		uint32_t request = (TIOCSTI & ~0xfU) | low;
		if (request == TIOCSTI || request == TIOCLINUX)
			deny_if(p, "ioctl", EPERM, 1, "SCMP_CMP_MASKED_EQ", UINT32_MAX, request);
		else
			allow_if(p, "ioctl", 1, "SCMP_CMP_MASKED_EQ", UINT32_MAX, request);
	}
}

static void add_clone(struct profile *p)
{
	/* s390 has the stack first. CLONE_NEWTIME's bit is a part of the signal here. */
	static const uint64_t flags[] = { CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET };
	uint32_t arch = seccomp_arch_native(), index = arch == SCMP_ARCH_S390 || arch == SCMP_ARCH_S390X ? 1 : 0;
	uint64_t all = 0;
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		all |= flags[i];
	allow_if(p, "clone", index, "SCMP_CMP_MASKED_EQ", all, 0);
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		deny_if(p, "clone", EPERM, index, "SCMP_CMP_MASKED_EQ", flags[i], flags[i]);
}

static void add_socket(struct profile *p, bool packet)
{
	for (uint64_t family = 0; family <= AF_PACKET; family++) {
		bool allowed =
		    family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK || (packet && family == AF_PACKET);
		if (allowed)
			allow_if(p, "socket", 0, "SCMP_CMP_EQ", family, 0);
		else
			deny_if(p, "socket", EAFNOSUPPORT, 0, "SCMP_CMP_EQ", family, 0);
	}
	deny_if(p, "socket", EAFNOSUPPORT, 0, "SCMP_CMP_GT", AF_PACKET, 0);
}

static void add_personality(struct profile *p)
{
	/* PER_LINUX, PER_LINUX32, both with UNAME26, and the question */
	static const uint64_t plain[] = { 0x0, 0x8, 0x20000, 0x20008, 0xffffffff };
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		allow_if(p, "personality", 0, "SCMP_CMP_EQ", plain[i], 0);
}

static bool has_cap(char *const *caps, size_t n, const char *cap)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(caps[i], cap))
			return true;
	return false;
}

static bool gate_is_open(const struct profile_gate *gate, char *const *caps, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(gate->caps) && gate->caps[i]; i++)
		if (has_cap(caps, n, gate->caps[i]))
			return true;
	return false;
}

/* clone and clone3 behind a closed gate have rules of their own. */
static void add_gates(struct profile *p, char *const *caps, size_t n)
{
	Davit__OciSyscall *allow = p->s->syscalls[0], *deny = p->s->syscalls[1];
	for (const struct profile_gate *gate = profile_gates; gate->calls; gate++) {
		bool open = gate_is_open(gate, caps, n);
		for (const char *const *call = gate->calls; *call; call++)
			if (open || !str_prefix(*call, "clone") || str_prefix(*call, "clone_"))
				add_name(p, open ? allow : deny, *call);
	}
}

static void add_architectures(struct profile *p)
{
	static const struct {
		uint32_t native;
		const char *names[3];
	} sets[] = {
		{ SCMP_ARCH_X86_64, { "SCMP_ARCH_X86_64", "SCMP_ARCH_X86" } }, /* x32 is not: its calls get ENOSYS, as from kernels without it */
		{ SCMP_ARCH_AARCH64, { "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM" } },
		{ SCMP_ARCH_S390X, { "SCMP_ARCH_S390X", "SCMP_ARCH_S390" } },
	};
	for (size_t i = 0; i < ARRAY_LEN(sets); i++)
		for (size_t k = 0; sets[i].native == seccomp_arch_native() && sets[i].names[k]; k++)
			check(p, pb_push_str(&p->s->n_architectures, &p->s->architectures, sets[i].names[k], p->e));
}

Davit__OciSeccomp *seccomp_default(char *const *caps, size_t ncaps, struct err *e)
{
	auto_pb(Davit__OciSeccomp) *s = pb_new(&davit__oci_seccomp__descriptor, e);
	struct profile p = { .s = s, .e = e };
	if (!s || pb_set_str(&s->default_action, "SCMP_ACT_ERRNO", e) < 0)
		return NULL;
	s->has_default_errno_ret = true;
	s->default_errno_ret = ENOSYS;
	add_architectures(&p);
	add_list(&p, add_rule(&p, "SCMP_ACT_ALLOW", 0), profile_allowed);
	add_list(&p, add_rule(&p, "SCMP_ACT_ERRNO", EPERM), profile_denied);
	if (!p.failed)
		add_gates(&p, caps, ncaps);
	if (!has_cap(caps, ncaps, "CAP_SYS_ADMIN"))
		add_clone(&p);
	add_ioctl(&p);
	add_socket(&p, has_cap(caps, ncaps, "CAP_NET_RAW"));
	add_personality(&p);
	return p.failed ? NULL : steal_ptr(&s);
}
