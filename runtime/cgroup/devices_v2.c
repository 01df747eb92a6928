/* Device rules on cgroup v2: a BPF_PROG_TYPE_CGROUP_DEVICE program, put together here and attached by bpf(2).
 *
 * The kernel asks it for each open and mknod with a struct bpf_cgroup_dev_ctx: access << 16 | type, major, minor. r5 holds the kinds of access
 * that no rule has decided yet. The rules are gone through from the last to the first: one that allows takes its kinds out of r5 and grants when none
 * is left; one that denies refuses if it has a kind that is still in r5. At the end the default holds. Each rule ends where the next one begins, so
 * its jumps are known while it is written.
 *
 * A cgroup may have several programs, of which all must allow. Ours is attached with BPF_F_ALLOW_MULTI, so that a service manager's own stays, and
 * replaced in place (BPF_F_REPLACE, Linux 5.6) when the rules change. Sources: bpf(2), kernel Documentation/bpf/prog_cgroup_sysctl.rst (the same life
 * cycle), include/uapi/linux/bpf.h. */
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "runtime/cgroup/internal.h"

#define PROGRAM_NAME "davit_devices"
#define PROGRAMS_MAX 64

#define INSN(c, d, s, o, i) ((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (short)(o), .imm = (i) })
#define LOAD_WORD(d, s, o) INSN(BPF_LDX | BPF_MEM | BPF_W, d, s, o, 0)
#define MOVE(d, s) INSN(BPF_ALU | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOVE_NUMBER(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define AND_NUMBER(d, i) INSN(BPF_ALU | BPF_AND | BPF_K, d, 0, 0, i)
#define SHIFT_RIGHT(d, i) INSN(BPF_ALU | BPF_RSH | BPF_K, d, 0, 0, i)
#define JUMP_UNEQUAL(d, i, o) INSN(BPF_JMP32 | BPF_JNE | BPF_K, d, 0, o, i)
#define EXIT INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

enum { R_TYPE = BPF_REG_2, R_MAJOR = BPF_REG_3, R_MINOR = BPF_REG_4, R_ACCESS = BPF_REG_5 };

struct program {
	struct bpf_insn *v;
	size_t n, cap;
};

static int emit(struct program *p, const struct bpf_insn *insns, size_t n, struct err *e)
{
	if (mem_grow(&p->v, &p->cap, p->n + n, sizeof(*p->v), e) < 0)
		return -1;
	memcpy(p->v + p->n, insns, n * sizeof(*insns));
	p->n += n;
	return 0;
}

static int emit_start(struct program *p, struct err *e)
{
	const struct bpf_insn start[] = {
		LOAD_WORD(R_TYPE, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, access_type)),
		MOVE(R_ACCESS, R_TYPE),
		AND_NUMBER(R_TYPE, 0xffff),
		SHIFT_RIGHT(R_ACCESS, 16),
		LOAD_WORD(R_MAJOR, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, major)),
		LOAD_WORD(R_MINOR, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, minor)),
	};
	return emit(p, start, ARRAY_LEN(start), e);
}

#define DECIDE 4 /* instructions behind the comparisons, the same for both kinds of rule */

/* What follows a comparison that must hold: `left` further comparisons and the decision are passed over. */
static struct bpf_insn unless_equal(int reg, int64_t number, int left)
{
	return JUMP_UNEQUAL(reg, (int)number, left + DECIDE);
}

static int emit_rule(struct program *p, const struct device_rule *rule, struct err *e)
{
	struct bpf_insn r[8];
	size_t n = 0;
	int left = (rule->major >= 0) + (rule->minor >= 0);
	r[n++] = unless_equal(R_TYPE, rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR, left);
	if (rule->major >= 0)
		r[n++] = unless_equal(R_MAJOR, rule->major, --left);
	if (rule->minor >= 0)
		r[n++] = unless_equal(R_MINOR, rule->minor, --left);
	if (rule->allow) {
		r[n++] = AND_NUMBER(R_ACCESS, (int)(~rule->access & DEVICE_ALL));
		r[n++] = JUMP_UNEQUAL(R_ACCESS, 0, 2);
		r[n++] = MOVE_NUMBER(BPF_REG_0, 1);
	} else {
		r[n++] = MOVE_NUMBER(BPF_REG_0, 0);
		r[n++] = INSN(BPF_JMP32 | BPF_JSET | BPF_K, R_ACCESS, 0, 1, (int)rule->access);
		r[n++] = INSN(BPF_JMP | BPF_JA, 0, 0, 1, 0);
	}
	r[n++] = EXIT;
	return emit(p, r, n, e);
}

struct bpf_insn *devices_v2_program(const struct device_rules *d, size_t *n, struct err *e)
{
	struct program p = { 0 };
	const struct bpf_insn end[] = { MOVE_NUMBER(BPF_REG_0, d->allow), EXIT };
	int result = emit_start(&p, e);
	for (size_t i = d->n; i > 0 && result == 0; i--)
		result = emit_rule(&p, &d->v[i - 1], e);
	if (result == 0)
		result = emit(&p, end, ARRAY_LEN(end), e);
	if (result < 0) {
		free(p.v);
		return NULL;
	}
	*n = p.n;
	return p.v;
}

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int load(const struct device_rules *d, struct err *e)
{
	size_t n;
	auto_free struct bpf_insn *program = devices_v2_program(d, &n, e);
	if (!program)
		return -1;
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insns = (uintptr_t)program,
		.insn_cnt = (unsigned)n,
		.license = (uintptr_t) "Apache-2.0",
	};
	memcpy(attr.prog_name, PROGRAM_NAME, sizeof(PROGRAM_NAME));
	int fd = bpf(BPF_PROG_LOAD, &attr);
	return fd < 0 ? err_sys(e, errno, "load the program of linux.resources.devices (%zu instructions)", n) : fd;
}

/* The fd of our program on the cgroup; -1 if there is none. */
static int find_attached(int cgroup_fd)
{
	unsigned ids[PROGRAMS_MAX] = { 0 };
	union bpf_attr query = { 0 };
	query.query.target_fd = (unsigned)cgroup_fd;
	query.query.attach_type = BPF_CGROUP_DEVICE;
	query.query.prog_ids = (uintptr_t)ids;
	query.query.prog_cnt = PROGRAMS_MAX;
	if (bpf(BPF_PROG_QUERY, &query) < 0)
		return -1;
	for (unsigned i = 0; i < query.query.prog_cnt; i++) {
		union bpf_attr by_id = { .prog_id = ids[i] };
		auto_close int fd = bpf(BPF_PROG_GET_FD_BY_ID, &by_id);
		struct bpf_prog_info info = { 0 };
		union bpf_attr about = { .info = { .bpf_fd = (unsigned)fd, .info_len = sizeof(info), .info = (uintptr_t)&info } };
		if (fd >= 0 && bpf(BPF_OBJ_GET_INFO_BY_FD, &about) == 0 && strncmp(info.name, PROGRAM_NAME, sizeof(info.name)) == 0)
			return steal_fd(&fd);
	}
	return -1;
}

static int attach(const struct hierarchy *h, int program, int old, struct err *e)
{
	/* bpf(2) takes no O_PATH descriptor. */
	auto_close int dir = openat(h->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	union bpf_attr attr = {
		.target_fd = (unsigned)dir,
		.attach_bpf_fd = (unsigned)program,
		.attach_type = BPF_CGROUP_DEVICE,
		.attach_flags = BPF_F_ALLOW_MULTI | (old >= 0 ? BPF_F_REPLACE : 0),
		.replace_bpf_fd = old >= 0 ? (unsigned)old : 0,
	};
	if (dir >= 0 && bpf(BPF_PROG_ATTACH, &attr) == 0)
		return 0;
	err_sys(e, errno, "attach the program of linux.resources.devices to cgroup %s", h->path);
	err_prefix_field(e, "linux.resources.devices");
	return -1;
}

static int detach(int dir, int old, struct err *e)
{
	union bpf_attr attr = { .target_fd = (unsigned)dir, .attach_bpf_fd = (unsigned)old, .attach_type = BPF_CGROUP_DEVICE };
	return bpf(BPF_PROG_DETACH, &attr) < 0 ? err_sys(e, errno, "detach the program of linux.resources.devices") : 0;
}

int devices_v2_apply(const struct hierarchy *h, const struct device_rules *d, bool fresh, struct err *e)
{
	auto_close int dir = fresh ? -1 : openat(h->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_close int old = fresh ? -1 : find_attached(dir);
	if (d->allow && d->n == 0)
		return old < 0 ? 0 : detach(dir, old, e);
	auto_close int program = load(d, e);
	return program < 0 ? -1 : attach(h, program, old, e);
}
