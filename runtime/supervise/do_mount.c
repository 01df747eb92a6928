/* mount of a new filesystem. See supervise.h.
 *
 * The worker enters the container's user and mount namespaces and becomes its root, so the kernel's own rules for who has no privilege outside hold
 * for it; without a user namespace the type's being harmless is all there is, which is why so few can be listed. Target and options are given to the
 * kernel by fsopen(2) and its kin: the target is walked once and used as a descriptor. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/fd.h"
#include "runtime/init/init.h"
#include "runtime/supervise/internal.h"
#include "runtime/sys.h"

#define DATA_MAX 4096

struct mounting {
	const struct supervisor *s;
	const struct call *c;
	char source[PATH_MAX], target[PATH_MAX], type[32], data[DATA_MAX];
	unsigned long flags;
};

static const struct {
	unsigned long flag;
	unsigned attribute;
} attributes[] = {
	{ MS_RDONLY, MOUNT_ATTR_RDONLY },
	{ MS_NOEXEC, MOUNT_ATTR_NOEXEC },
	{ MS_NOATIME, MOUNT_ATTR_NOATIME },
	{ MS_STRICTATIME, MOUNT_ATTR_STRICTATIME },
	{ MS_NODIRATIME, MOUNT_ATTR_NODIRATIME },
	/* Given in any case, or without an effect. */
	{ MS_NOSUID, MOUNT_ATTR_NOSUID },
	{ MS_NODEV, MOUNT_ATTR_NODEV },
	{ MS_RELATIME, 0 },
	{ MS_SILENT, 0 },
};

/* 0, or EPERM for a flag that is none of these. */
static int attributes_of(unsigned long flags, unsigned *out)
{
	if ((flags & 0xffff0000UL) == 0xc0ed0000UL) /* MS_MGC_VAL of old programs */
		flags &= 0xffffUL;
	*out = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	for (size_t i = 0; i < ARRAY_LEN(attributes); i++) {
		*out |= flags & attributes[i].flag ? attributes[i].attribute : 0;
		flags &= ~attributes[i].flag;
	}
	return flags ? EPERM : 0;
}

/* "size=1m,noswap": no option of the types that we mount has a comma in its value. */
static int configure(int fs, const struct mounting *m)
{
	char data[DATA_MAX], *save = NULL;
	memcpy(data, m->data, sizeof(data));
	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", *m->source ? m->source : "none", 0) < 0)
		return -1;
	for (char *o = strtok_r(data, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
		char *value = strchr(o, '=');
		if (value)
			*value++ = '\0';
		if (fsconfig(fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, o, value, 0) < 0)
			return -1;
	}
	return fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
}

/* What the kernel shows of itself stays to be seen. */
static int check_target(int fd)
{
	struct statfs fs;
	if (fstatfs(fd, &fs) < 0)
		return errno;
	return fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC || fs.f_type == CGROUP_SUPER_MAGIC || fs.f_type == CGROUP2_SUPER_MAGIC
		   ? EPERM
		   : 0;
}

static int work(void *arg)
{
	const struct mounting *m = arg;
	unsigned attribute;
	int error = attributes_of(m->flags, &attribute);
	if (error)
		return error;
	if ((m->s->own_user && setns(m->s->user, CLONE_NEWUSER) < 0) || setns(m->s->mnt, CLONE_NEWNS) < 0)
		return errno;
	if (init_become_root(NULL) < 0)
		return EPERM;
	if ((error = worker_enter(m->c)))
		return error;
	auto_close int target = sys_openat2(AT_FDCWD, m->target, O_PATH | O_DIRECTORY | O_CLOEXEC, RESOLVE_NO_MAGICLINKS);
	if (target < 0)
		return errno;
	if ((error = check_target(target)))
		return error;
	auto_close int fs = fsopen(m->type, FSOPEN_CLOEXEC);
	if (fs < 0 || configure(fs, m) < 0)
		return errno;
	auto_close int tree = fsmount(fs, FSMOUNT_CLOEXEC, attribute);
	return tree < 0 || move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ? errno : 0;
}

static void tell(const struct mounting *m, int error)
{
	char members[PATH_MAX + 512] = "", flags[24];
	snprintf(flags, sizeof(flags), "%#lx", m->flags);
	audit_add(members, sizeof(members), "type", m->type);
	audit_add(members, sizeof(members), "flags", flags);
	audit_add(members, sizeof(members), "target", m->target);
	audit_add(members, sizeof(members), "data", m->data);
	audit_call(m->s, m->c, "mount", members, error);
}

void do_mount(const struct supervisor *s, struct call *c)
{
	const __u64 *a = c->n.data.args;
	struct mounting m = { .s = s, .c = c, .flags = a[3] };
	int error = call_text(s, c, a[0], m.source, sizeof(m.source));
	if (!error)
		error = call_text(s, c, a[1], m.target, sizeof(m.target));
	if (!error && (error = call_text(s, c, a[2], m.type, sizeof(m.type))) == ENAMETOOLONG)
		error = ENODEV;
	if (!error)
		error = call_text(s, c, a[4], m.data, sizeof(m.data));
	if (error)
		return call_answer(s, c, error);
	if (!c->is_served || !supervise_lists_mount(s->what, m.type)) {
		call_answer(s, c, EPERM);
		return tell(&m, -1);
	}
	error = worker_do(work, &m);
	tell(&m, error);
	call_answer(s, c, error);
}
