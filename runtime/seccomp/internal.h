/* What the files of runtime/seccomp share: the tables of the default profile, and the parts of the compiler. */
#pragma once
#include <linux/filter.h>
#include <seccomp.h>
#include "runtime/seccomp/seccomp.h"

/* Calls that a container may make in any case; NULL-terminated, as all lists here. */
extern const char *const profile_allowed[];
/* Known calls that no capability opens. */
extern const char *const profile_denied[];
/* Calls that are allowed to a container with one of these capabilities, else denied. */
struct profile_gate {
	const char *caps[4];
	const char *const *calls;
};
extern const struct profile_gate profile_gates[]; /* ends with calls NULL */

struct action_name {
	const char *name;
	uint32_t action;  /* SCMP_ACT_*; the errno is put into its low half */
	bool takes_errno; /* ERRNO and TRACE */
};
extern const struct action_name action_names[]; /* ends with name NULL */
extern const char *const arch_names[];		/* "SCMP_ARCH_X86", …; NULL-terminated */
extern const char *const operator_names[];	/* by enum scmp_compare; holes are NULL */
#define OPERATOR_COUNT (_SCMP_CMP_MAX)
/* A call that the supervisor has begun is not begun again because of a signal (Linux 5.19). */
#define FLAG_WAIT_KILLABLE (1U << 5)
struct flag_name {
	const char *name;
	unsigned flag;
};
extern const struct flag_name flag_names[]; /* ends with name NULL */

/* "SCMP_ARCH_X86_64" to libseccomp's token; 0 if unknown. */
uint32_t arch_token(const char *name);
/* An action with its errno. what: field path for errors. */
int action_parse(const char *name, bool has_errno, uint32_t errno_ret, const char *what, uint32_t *out, struct err *e);
/* The instructions that send the supervised calls of this architecture to the listener. */
int supervised_build(unsigned supervised, struct buf *out, struct err *e);
/* The instructions that go before libseccomp's: calls newer than any that the profile names get ENOSYS. */
int prologue_build(const Davit__OciSeccomp *s, uint32_t default_action, struct buf *out, struct err *e);
