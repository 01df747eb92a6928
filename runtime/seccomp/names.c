/* The words of OCI linux.seccomp and what they are to libseccomp and to the kernel. */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "proto/pb.h"
#include "runtime/seccomp/internal.h"

const struct action_name action_names[] = {
	{ "SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD, false },
	{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS, false },
	{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD, false },
	{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP, false },
	{ "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0), true },
	{ "SCMP_ACT_TRACE", SCMP_ACT_TRACE(0), true },
	{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW, false },
	{ "SCMP_ACT_LOG", SCMP_ACT_LOG, false },
	{ "SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY, false },
	{ NULL, 0, false },
};

const char *const arch_names[] = {
	"SCMP_ARCH_X86",	 "SCMP_ARCH_X86_64", "SCMP_ARCH_X32",	    "SCMP_ARCH_ARM",	 "SCMP_ARCH_AARCH64",
	"SCMP_ARCH_MIPS",	 "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL",	 "SCMP_ARCH_MIPSEL64",
	"SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC",    "SCMP_ARCH_PPC64",	    "SCMP_ARCH_PPC64LE", "SCMP_ARCH_S390",
	"SCMP_ARCH_S390X",	 "SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64",  "SCMP_ARCH_RISCV64", NULL,
};

const char *const operator_names[OPERATOR_COUNT] = {
	[SCMP_CMP_NE] = "SCMP_CMP_NE",
	[SCMP_CMP_LT] = "SCMP_CMP_LT",
	[SCMP_CMP_LE] = "SCMP_CMP_LE",
	[SCMP_CMP_EQ] = "SCMP_CMP_EQ",
	[SCMP_CMP_GE] = "SCMP_CMP_GE",
	[SCMP_CMP_GT] = "SCMP_CMP_GT",
	[SCMP_CMP_MASKED_EQ] = "SCMP_CMP_MASKED_EQ",
};

const struct flag_name flag_names[] = {
	{ "SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC },
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
	{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV },
	{ NULL, 0 },
};

uint32_t arch_token(const char *name)
{
	char lower[32];
	const char prefix[] = "SCMP_ARCH_";
	if (!name || strncmp(name, prefix, sizeof(prefix) - 1) != 0 || strlen(name) - sizeof(prefix) + 1 >= sizeof(lower))
		return 0;
	size_t n = 0;
	for (const char *p = name + sizeof(prefix) - 1; *p; p++)
		lower[n++] = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
	lower[n] = '\0';
	return seccomp_arch_resolve_name(lower);
}

int action_parse(const char *name, bool has_errno, uint32_t errno_ret, const char *what, uint32_t *out, struct err *e)
{
	const struct action_name *a = action_names;
	while (a->name && !str_eq(a->name, name))
		a++;
	if (!a->name)
		return err_field(
		    e, what, "%s: \"%s\" is no action, which are SCMP_ACT_ALLOW, _ERRNO, _KILL_PROCESS, _KILL_THREAD, _LOG, _NOTIFY, _TRACE, _TRAP",
		    what, name ? name : "");
	if (has_errno && !a->takes_errno)
		return err_field(e, what, "%s: %s takes no errno", what, name);
	/* The kernel's largest errno is MAX_ERRNO, 4095; TRACE hands 16 bits to the tracer. */
	if (has_errno && errno_ret > (a->action == SCMP_ACT_ERRNO(0) ? 4095 : 0xffff))
		return err_field(e, what, "%s: %u is no errno", what, errno_ret);
	*out = a->action | (a->takes_errno ? (has_errno ? errno_ret : EPERM) : 0);
	return 0;
}

/* A flag that the kernel knows gets as far as the filter that is not there (seccomp(2), EFAULT). */
static bool kernel_takes(unsigned flag)
{
	/* This one is for filters that notify only. */
	if (flag == SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
		flag |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flag, NULL) < 0 && errno == EFAULT;
}

int seccomp_features(Davit__OciFeaturesSeccomp *out, struct err *e)
{
	out->has_enabled = true;
	out->enabled = true;
	for (const struct action_name *a = action_names; a->name; a++)
		if (pb_push_str(&out->n_actions, &out->actions, a->name, e) < 0)
			return -1;
	for (size_t i = 0; i < OPERATOR_COUNT; i++)
		if (operator_names[i] && pb_push_str(&out->n_operators, &out->operators, operator_names[i], e) < 0)
			return -1;
	for (const char *const *a = arch_names; *a; a++)
		if (arch_token(*a) && pb_push_str(&out->n_archs, &out->archs, *a, e) < 0)
			return -1;
	for (const struct flag_name *f = flag_names; f->name; f++)
		if (pb_push_str(&out->n_known_flags, &out->known_flags, f->name, e) < 0 ||
		    (kernel_takes(f->flag) && pb_push_str(&out->n_supported_flags, &out->supported_flags, f->name, e) < 0))
			return -1;
	return 0;
}
