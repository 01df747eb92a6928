/* mknod of a device. See supervise.h. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/fd.h"
#include "runtime/caps.h"
#include "runtime/supervise/internal.h"
#include "runtime/sys.h"

struct mknod {
	const struct supervisor *s;
	const struct call *c;
	char path[PATH_MAX];
	mode_t mode;
	dev_t dev;
};

/* The worker's file permissions are the caller's, without capabilities over files; it keeps those for devices and mounts. */
static int become_caller(const struct call *c)
{
	struct caps caps = { 0 };
	static const char *const kept[] = { "CAP_MKNOD", "CAP_SYS_ADMIN", "CAP_SYS_CHROOT" };
	if (setgroups(0, NULL) < 0)
		return errno;
	setfsgid(c->gid);
	setfsuid(c->uid);
	if ((uid_t)setfsuid((uid_t)-1) != c->uid || (gid_t)setfsgid((gid_t)-1) != c->gid)
		return EPERM;
	umask(c->mask);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		caps.permitted |= 1ULL << caps_number(kept[i]);
	caps.effective = caps.permitted;
	return caps_apply(&caps) < 0 ? errno : 0;
}

/* A mount of its own that is nothing but the node, to be bound over a file. */
static int device_tree(const struct mknod *m)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/proc", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=700,size=64k") < 0 || mknod("/proc/node", m->mode, m->dev) < 0)
		return -1;
	return open_tree(AT_FDCWD, "/proc/node", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
}

static int bind_device(const struct mknod *m, int tree, int parent, const char *name)
{
	auto_close int file = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, m->mode & 0777);
	if (file < 0)
		return errno;
	auto_close int target = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat made, found;
	if (target < 0 || fstat(file, &made) < 0 || fstat(target, &found) < 0 || made.st_ino != found.st_ino || made.st_dev != found.st_dev)
		return EIO;
	if (setns(m->s->mnt, CLONE_NEWNS) < 0 || move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0) {
		int error = errno;
		unlinkat(parent, name, 0);
		return error;
	}
	return 0;
}

/* Whether a node in this folder could be opened: not on a filesystem that a user namespace owns, nor where devices are off. */
static int is_usable(const struct supervisor *s, int folder, bool *out)
{
	struct stat st;
	struct statvfs fs;
	if (fstat(folder, &st) < 0 || fstatvfs(folder, &fs) < 0)
		return -1;
	*out = !s->own_user || (st.st_dev == s->root_dev && !(fs.f_flag & ST_NODEV));
	return 0;
}

static int work(void *arg)
{
	struct mknod *m = arg;
	int error = become_caller(m->c);
	auto_close int tree = !error && m->s->own_user ? device_tree(m) : -1;
	if (error || (m->s->own_user && tree < 0))
		return error ? error : errno;
	if ((error = worker_enter(m->c)))
		return error;
	char *slash = strrchr(m->path, '/'), *name = slash ? slash + 1 : m->path;
	const char *folder = slash == m->path ? "/" : slash ? m->path : ".";
	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return *m->path ? EEXIST : ENOENT;
	if (slash)
		*slash = '\0';
	auto_close int parent = sys_openat2(AT_FDCWD, *folder ? folder : "/", O_PATH | O_DIRECTORY | O_CLOEXEC, RESOLVE_NO_MAGICLINKS);
	bool usable;
	if (parent < 0 || is_usable(m->s, parent, &usable) < 0)
		return errno;
	if (!usable)
		return bind_device(m, tree, parent, name);
	return mknodat(parent, name, m->mode, m->dev) < 0 ? errno : 0;
}

static void tell(const struct mknod *m, int error)
{
	char members[PATH_MAX + 128] = "", device[48], mode[16];
	snprintf(device, sizeof(device), "%c %u:%u", S_ISBLK(m->mode) ? 'b' : 'c', major(m->dev), minor(m->dev));
	snprintf(mode, sizeof(mode), "%04o", m->mode & 07777U);
	audit_add(members, sizeof(members), "path", m->path);
	audit_add(members, sizeof(members), "device", device);
	audit_add(members, sizeof(members), "mode", mode);
	audit_call(m->s, m->c, "mknod", members, error);
}

void do_mknod(const struct supervisor *s, struct call *c)
{
	struct mknod m = { .s = s, .c = c }, worked;
	bool at = c->n.data.nr == SYS_mknodat;
	const __u64 *a = c->n.data.args + at;
	uint32_t dev = (uint32_t)a[2];
	/* Numbers as the kernel takes them from a register (new_decode_dev()). */
	m.dev = makedev((dev & 0xfff00) >> 8, (dev & 0xff) | ((dev >> 12) & 0xfff00));
	m.mode = (mode_t)a[1] & (S_IFMT | 07777);
	int error = call_text(s, c, a[0], m.path, sizeof(m.path));
	if (!error && at)
		error = call_at(s, c, (int)c->n.data.args[0]);
	if (error)
		return call_answer(s, c, error);
	if (!c->is_served || !supervise_lists_device(s->what, m.mode, major(m.dev), minor(m.dev))) {
		call_answer(s, c, EPERM);
		return tell(&m, -1);
	}
	worked = m;
	error = worker_do(work, &worked);
	tell(&m, error);
	call_answer(s, c, error);
}
