/* From an OCI linux.seccomp object to BPF, through libseccomp.
 *
 * Conditions of one rule hold together; two on the same argument cannot, in libseccomp, so each then becomes a rule of its own, as other
 * runtimes do it. A rule whose action is the default's is left out. Calls that libseccomp does not know are skipped, as the spec demands; a call of
 * another architecture is kept for that one. A call of an architecture that is not listed ends the process.
 *
 * libseccomp exports to a descriptor only (2.5): a memfd, read back and put behind our own prologue. */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "base/fd.h"
#include "proto/pb.h"
#include "runtime/seccomp/internal.h"

#define ARGS_MAX 6
#define PROGRAM_MAX (BPF_MAXINSNS * sizeof(struct sock_filter))

static void release(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}
#define auto_filter auto_cleanup(release)

void seccomp_filter_free(struct seccomp_filter *f)
{
	buf_free(&f->bpf);
	*f = (struct seccomp_filter){ 0 };
}

static int add_architectures(scmp_filter_ctx ctx, const Davit__OciSeccomp *s, struct err *e)
{
	for (size_t i = 0; i < s->n_architectures; i++) {
		uint32_t token = arch_token(s->architectures[i]);
		if (!token)
			return err_field(e, "linux.seccomp.architectures", "linux.seccomp.architectures[%zu]: \"%s\" is not known", i,
					 s->architectures[i]);
		int result = seccomp_arch_add(ctx, token);
		if (result < 0 && result != -EEXIST) {
			err_sys(e, -result, "linux.seccomp.architectures[%zu]: %s", i, s->architectures[i]);
			err_prefix_field(e, "linux.seccomp.architectures");
			return -1;
		}
	}
	return 0;
}

static int flags_parse(const Davit__OciSeccomp *s, unsigned *out, struct err *e)
{
	for (size_t i = 0; i < s->n_flags; i++) {
		const struct flag_name *f = flag_names;
		while (f->name && !str_eq(f->name, s->flags[i]))
			f++;
		if (!f->name)
			return err_field(e, "linux.seccomp.flags", "linux.seccomp.flags[%zu]: \"%s\" is not known", i, s->flags[i]);
		*out |= f->flag;
	}
	return 0;
}

static int arg_parse(const Davit__OciSeccompArg *a, const char *what, struct scmp_arg_cmp *out, struct err *e)
{
	unsigned op = 0;
	while (op < OPERATOR_COUNT && !(operator_names[op] && str_eq(operator_names[op], a->op)))
		op++;
	if (op == OPERATOR_COUNT)
		return err_field(e, what, "%s.args: \"%s\" is no operator", what, a->op ? a->op : "");
	if (!a->has_index || a->index >= ARGS_MAX)
		return err_field(e, what, "%s.args: index must be 0 to %d", what, ARGS_MAX - 1);
	if (!a->has_value)
		return err_field(e, what, "%s.args: value is missing", what);
	*out = (struct scmp_arg_cmp){ .arg = a->index, .op = op, .datum_a = a->value, .datum_b = a->value_two };
	return 0;
}

static int add_one(scmp_filter_ctx ctx, uint32_t action, int nr, unsigned n, const struct scmp_arg_cmp *args, const char *what, struct err *e)
{
	int result = seccomp_rule_add_array(ctx, action, nr, n, args);
	/* The same rule twice is one. */
	if (result == 0 || result == -EEXIST)
		return 0;
	err_sys(e, -result, "%s: libseccomp refuses the rule", what);
	err_prefix_field(e, what);
	return -1;
}

static int add_call(scmp_filter_ctx ctx, uint32_t action, int nr, unsigned n, const struct scmp_arg_cmp *args, const char *what, struct err *e)
{
	unsigned seen = 0;
	bool twice = false;
	for (unsigned i = 0; i < n; i++) {
		twice |= seen & 1U << args[i].arg;
		seen |= 1U << args[i].arg;
	}
	if (!twice)
		return add_one(ctx, action, nr, n, args, what, e);
	for (unsigned i = 0; i < n; i++)
		if (add_one(ctx, action, nr, 1, &args[i], what, e) < 0)
			return -1;
	return 0;
}

/* Notifying about what the notifier needs to answer would never end (seccomp_unotify(2)). */
static int check_notify(const Davit__OciSyscall *c, uint32_t action, const char *what, struct err *e)
{
	for (size_t i = 0; action == SCMP_ACT_NOTIFY && i < c->n_names; i++)
		if (str_eq(c->names[i], "write") || str_eq(c->names[i], "sendmsg"))
			return err_field(e, what, "%s: SCMP_ACT_NOTIFY cannot be used for %s, by which the listener is handed over", what,
					 c->names[i]);
	return 0;
}

static int add_syscalls(scmp_filter_ctx ctx, const Davit__OciSyscall *c, size_t index, uint32_t default_action, bool *notifies, struct err *e)
{
	char what[64];
	uint32_t action;
	struct scmp_arg_cmp args[ARGS_MAX];
	snprintf(what, sizeof(what), "linux.seccomp.syscalls[%zu]", index);
	if (action_parse(c->action, c->has_errno_ret, c->errno_ret, what, &action, e) < 0 || check_notify(c, action, what, e) < 0)
		return -1;
	if (c->n_names == 0)
		return err_field(e, what, "%s: names is empty", what);
	if (c->n_args > ARGS_MAX)
		return err_field(e, what, "%s: more than %d args", what, ARGS_MAX);
	for (size_t i = 0; i < c->n_args; i++)
		if (arg_parse(c->args[i], what, &args[i], e) < 0)
			return -1;
	*notifies |= action == SCMP_ACT_NOTIFY;
	for (size_t i = 0; i < c->n_names && action != default_action; i++) {
		int nr = seccomp_syscall_resolve_name(c->names[i]);
		if (nr != __NR_SCMP_ERROR && add_call(ctx, action, nr, (unsigned)c->n_args, args, what, e) < 0)
			return -1;
	}
	return 0;
}

static int export(scmp_filter_ctx ctx, struct buf *out, struct err *e)
{
	auto_close int fd = memfd_create("seccomp", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "memory for the seccomp filter");
	int result = seccomp_export_bpf(ctx, fd);
	if (result < 0)
		return err_sys(e, -result, "libseccomp cannot make the filter");
	size_t len;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, errno, "read the seccomp filter back");
	auto_free char *bpf = fd_read_all(fd, PROGRAM_MAX, &len, e);
	if (!bpf || buf_append(out, bpf, len, e) < 0)
		return -1;
	if (out->len > PROGRAM_MAX)
		return err_set(e, ERR_LIMIT, 0, "linux.seccomp: the filter has more than %d instructions", BPF_MAXINSNS);
	return 0;
}

/* Whether a call is allowed whatever its arguments. */
static bool is_free(const Davit__OciSeccomp *s, const char *call)
{
	bool allowed = str_eq(s->default_action, "SCMP_ACT_ALLOW");
	for (size_t i = 0; i < s->n_syscalls; i++)
		for (size_t k = 0; k < s->syscalls[i]->n_names; k++) {
			if (!str_eq(s->syscalls[i]->names[k], call))
				continue;
			if (!str_eq(s->syscalls[i]->action, "SCMP_ACT_ALLOW") || s->syscalls[i]->n_args)
				return false;
			allowed = true;
		}
	return allowed;
}

/* The supervisor lets most opens go on as if nobody had asked, so it must not open what the profile closes. One filter has one listener. */
static int supervise(const Davit__OciSeccomp *s, unsigned supervised, struct seccomp_filter *out, struct err *e)
{
	if (out->notifies || (s->listener_path && *s->listener_path)) {
		err_field(e, "linux.seccomp", "SCMP_ACT_NOTIFY or listenerPath, and a supervisor: a filter has one listener");
		return err_remedy(e, "leave one of them away");
	}
	if ((supervised & SECCOMP_SUPERVISE_SYSCTL) && !(is_free(s, "openat") && is_free(s, "open")))
		return err_field(e, "linux.seccomp", "a profile that has rules of its own for open or openat, and a supervisor for sysctls");
	out->notifies = true;
	out->flags |= FLAG_WAIT_KILLABLE;
	return supervised_build(supervised, &out->bpf, e);
}

static int compile(const Davit__OciSeccomp *s, unsigned supervised, struct seccomp_filter *out, struct err *e)
{
	uint32_t default_action;
	if (!s->default_action)
		return err_field(e, "linux.seccomp.defaultAction", "linux.seccomp.defaultAction is missing");
	if (action_parse(s->default_action, s->has_default_errno_ret, s->default_errno_ret, "linux.seccomp.defaultAction", &default_action, e) < 0)
		return -1;
	if (default_action == SCMP_ACT_NOTIFY)
		return err_field(e, "linux.seccomp.defaultAction", "SCMP_ACT_NOTIFY cannot be the default: the container could not even start");
	auto_filter scmp_filter_ctx ctx = seccomp_init(default_action);
	if (!ctx)
		return err_set(e, ERR_UNSUPPORTED, 0, "linux.seccomp.defaultAction: libseccomp and this kernel cannot do %s", s->default_action);
	if (flags_parse(s, &out->flags, e) < 0 || add_architectures(ctx, s, e) < 0)
		return -1;
	seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < s->n_syscalls; i++)
		if (add_syscalls(ctx, s->syscalls[i], i, default_action, &out->notifies, e) < 0)
			return -1;
	/* Both want to answer with a number: a pid, and a descriptor. */
	if (out->notifies && (out->flags & SECCOMP_FILTER_FLAG_TSYNC))
		out->flags |= SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
	if (supervised && supervise(s, supervised, out, e) < 0)
		return -1;
	return prologue_build(s, default_action, &out->bpf, e) < 0 ? -1 : export(ctx, &out->bpf, e);
}

int seccomp_compile(const Davit__OciSeccomp *s, unsigned supervised, struct seccomp_filter *out, struct err *e)
{
	Davit__OciSeccomp open = DAVIT__OCI_SECCOMP__INIT;
	open.default_action = (char *)"SCMP_ACT_ALLOW";
	*out = (struct seccomp_filter){ 0 };
	int result = compile(s ? s : &open, supervised, out, e);
	if (result < 0)
		seccomp_filter_free(out);
	return result;
}
