/* Mounts of the images. See trust.h.
 *
 * A container without CAP_SYS_ADMIN cannot change its mounts: each has to be one of config.json's, once, with at least its flags; a second one at the
 * same place would hide it. What is bound from outside has one of the keys that we give, and lies where that key belongs. One with CAP_SYS_ADMIN may
 * have made others, of file systems that hold nothing of the host.
 *
 * Masks and read-only paths are made by create where the kernel has such a path. So the images' may lack some that this kernel has: they are noted,
 * and covered after the restore (trust_cover()). Sources: CRIU's mount.c, mnt.proto (numbers of file systems). */
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"
#include "proto/pb.h"
#include "runtime/criu/images.h"
#include "runtime/criu/trust.h"
#include "runtime/mount.h"

#define MEMBER "mountpoint"
#define COVER_LIMIT_MS 10000
#define GUARDS (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC) /* the same numbers as MOUNT_ATTR_… */

static const struct filesystem {
	const char *name;
	bool harmless; /* made by whoever may mount in a user namespace, and shows what that owns */
} filesystems[] = {
	[1] = { "proc", true },	    [2] = { "sysfs", true },   [3] = { "devtmpfs", false }, [5] = { "tmpfs", true },	 [6] = { "devpts", true },
	[12] = { "cgroup", false }, [14] = { "mqueue", true }, [17] = { "overlay", false }, [23] = { "cgroup2", false },
};

struct list {
	Criu__MntEntry **v;
	size_t n;
};

static void list_free(struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		pb_freep(&l->v[i]);
	free(l->v);
}

static int take_entry(void *arg, const uint8_t *p, uint32_t n, struct err *e)
{
	struct list *l = arg;
	Criu__MntEntry *m = pb_unpack(&criu__mnt_entry__descriptor, p, n, "mountpoints", e);

	return m ? pb_push(&l->n, &l->v, m, e) : -1;
}

static const char *name_of(const Criu__MntEntry *m)
{
	return m->fstype < ARRAY_LEN(filesystems) && filesystems[m->fstype].name ? filesystems[m->fstype].name : "unknown";
}

static const char *key_of(const Criu__MntEntry *m)
{
	return m->ext_key ? m->ext_key : m->has_ext_mount && m->ext_mount ? m->root : NULL;
}

static bool given(const struct trust *t, const char *key)
{
	size_t n = strlen(key);

	for (size_t i = 0; i < t->opts->n_external; i++) {
		const char *x = t->opts->external[i];
		if (str_prefix(x, "mnt[") && !strncmp(x + 4, key, n) && x[4 + n] == ']')
			return true;
	}
	return false;
}

static int find_place(struct trust *t, const char *path, struct err *e)
{
	char real[PATH_MAX];
	auto_free char *plain = path_join(NULL, "/", path);
	auto_close int fd = path_open_in(t->rootfs, path, O_PATH, 0, NULL);
	ssize_t n = fd < 0 ? -1 : readlink(path_of_fd(fd).s, real, sizeof(real) - 1);

	real[MAX(n, 0)] = '\0';
	return strv_add(&t->plain, plain ? plain : path, e) < 0 || strv_add(&t->real, real, e) < 0 ? -1 : 0;
}

static int find_places(struct trust *t, struct err *e)
{
	for (size_t i = t->plain.n; i < t->c->spec->n_mounts; i++)
		if (find_place(t, t->c->spec->mounts[i]->destination, e) < 0)
			return -1;
	return 0;
}

/* Whether a mount of config.json belongs at this mount point. */
static bool is_place(const struct trust *t, size_t i, const char *point)
{
	return str_eq(t->plain.v[i], point) || str_eq(t->real.v[i], point);
}

static int guards_of(const Davit__OciMount *m, uint64_t *out, struct err *e)
{
	auto_mount_options struct mount_options o = { 0 };

	if (mount_options_parse(m->options, m->n_options, "mounts", &o, e) < 0)
		return -1;
	*out = (o.set | o.rec_set) & GUARDS;
	return 0;
}

static bool is_cgroup(const Davit__OciMount *m)
{
	return str_eq(m->type, "cgroup") || str_eq(m->type, "cgroup2");
}

/* What is bound from outside has the destination as its key; a cgroup mount is on v1 a tmpfs with a folder for each hierarchy. */
static bool is_type(const Davit__OciMount *want, const Criu__MntEntry *m)
{
	if (key_of(m))
		return str_eq(key_of(m), want->destination);
	return str_eq(name_of(m), is_cgroup(want) ? "tmpfs" : want->type);
}

/* Below what the cgroup mount of config.json has: v1 hierarchies. */
static bool is_hierarchy(const Davit__OciMount *want, const Criu__MntEntry *m)
{
	size_t n = strlen(want->destination);

	return is_cgroup(want) && key_of(m) && !strncmp(m->mountpoint, want->destination, n) && m->mountpoint[n] == '/';
}

/* 1: it is one of config.json's mounts, 0: it is none, -1. */
static int is_mount_of_spec(const struct trust *t, const char *image, const Criu__MntEntry *m, struct err *e)
{
	const Davit__OciSpec *s = t->c->spec;
	uint64_t flags = m->flags | m->sb_flags, guards = 0;
	bool found = false;

	for (size_t i = 0; i < s->n_mounts; i++) {
		if (!is_hierarchy(s->mounts[i], m) && (!is_type(s->mounts[i], m) || !is_place(t, i, m->mountpoint)))
			continue;
		if (guards_of(s->mounts[i], &guards, e) < 0)
			return -1;
		if ((flags & guards) == guards)
			return 1;
		found = true;
	}
	if (!found)
		return 0;
	return trust_refuse(image, "flags", e, "mount %s with fewer restrictions than config.json (flags %x, wanted %x)", m->mountpoint,
			    (unsigned)(flags & GUARDS), (unsigned)guards);
}

static bool is_path_of(char *const *paths, size_t n, const char *point)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(paths[i], point))
			return true;
	return false;
}

/* Devices and masks are bound from outside, under their own names; a read-only path is a part of the mount that it lies in. */
static bool is_cover(const struct trust *t, const Criu__MntEntry *m)
{
	const Davit__OciLinux *l = t->c->spec->linux;
	const char *key = key_of(m);

	if (key)
		return str_eq(key, m->mountpoint);
	if (str_eq(m->mountpoint, "/dev/console"))
		return t->c->spec->process->terminal && str_eq(name_of(m), "devpts");
	return is_path_of(l->readonly_paths, l->n_readonly_paths, m->mountpoint) && m->flags & MS_RDONLY;
}

static int check_root(const struct trust *t, const char *image, const Criu__MntEntry *m, struct err *e)
{
	const Davit__OciRoot *root = t->c->spec->root;

	if (key_of(m))
		return trust_refuse(image, "ext_key", e, "take the root from outside: %s", key_of(m));
	if (root->readonly && !((m->flags | m->sb_flags) & MS_RDONLY))
		return trust_refuse(image, "flags", e, "mount the root writable");
	return 0;
}

static int check_own(const struct trust *t, const char *image, const Criu__MntEntry *m, struct err *e)
{
	if (trust_has_cap(t, CAP_SYS_ADMIN) && !key_of(m) && m->fstype < ARRAY_LEN(filesystems) && filesystems[m->fstype].harmless)
		return 0;
	int of_spec = is_mount_of_spec(t, image, m, e);
	if (of_spec != 0)
		return of_spec < 0 ? -1 : 0;
	if (is_cover(t, m))
		return 0;
	return trust_refuse(image, MEMBER, e, "mount at %s what config.json does not (%s)", m->mountpoint, name_of(m));
}

static int check_entry(const struct trust *t, const char *image, const Criu__MntEntry *m, struct err *e)
{
	if (m->with_plugin)
		return trust_refuse(image, "with_plugin", e, "leave the mount of %s to a plugin of criu", m->mountpoint);
	if (key_of(m) && !given(t, key_of(m)))
		return trust_refuse(image, "ext_key", e, "bind something from outside at %s that config.json does not (%s)", m->mountpoint,
				    key_of(m));
	return str_eq(m->mountpoint, "/") ? check_root(t, image, m, e) : check_own(t, image, m, e);
}

static int check_twice(const struct trust *t, const char *image, const struct list *l, size_t at, struct err *e)
{
	size_t allowed = 0, there = 0;

	for (size_t i = 0; i < t->c->spec->n_mounts; i++)
		allowed += is_place(t, i, l->v[at]->mountpoint);
	for (size_t i = 0; i < l->n; i++)
		there += str_eq(l->v[i]->mountpoint, l->v[at]->mountpoint);
	return there <= MAX(allowed, 1) ? 0 : trust_refuse(image, MEMBER, e, "mount twice at %s", l->v[at]->mountpoint);
}

/* The mount that a path lies in, if it is a mount point of its own not that one. */
static const Criu__MntEntry *around(const struct list *l, const char *path)
{
	const Criu__MntEntry *best = NULL;

	for (size_t i = 0; i < l->n; i++) {
		const char *point = l->v[i]->mountpoint;
		size_t n = str_eq(point, "/") ? 0 : strlen(point);
		if (!strncmp(path, point, n) && path[n] == '/' && (!best || n >= strlen(best->mountpoint)))
			best = l->v[i];
	}
	return best;
}

/* Whether something is mounted at a path where nothing can hide it. */
static bool is_covered(const struct list *l, const char *path)
{
	const Criu__MntEntry *in = around(l, path);

	for (size_t i = 0; in && i < l->n; i++)
		if (str_eq(l->v[i]->mountpoint, path) && l->v[i]->parent_mnt_id == in->mnt_id)
			return true;
	return false;
}

static int note_bare(const struct list *l, char *const *paths, size_t n, size_t *out_n, char ***out, struct err *e)
{
	struct stat st;

	for (size_t i = 0; i < n; i++)
		if (!is_covered(l, paths[i]) && lstat(paths[i], &st) == 0 && pb_push_str(out_n, out, paths[i], e) < 0)
			return -1;
	return 0;
}

static int note_uncovered(struct trust *t, const struct list *l, struct err *e)
{
	const Davit__OciLinux *from = t->c->spec->linux;

	if (trust_has_cap(t, CAP_SYS_ADMIN) || t->uncovered)
		return 0;
	Davit__OciLinux *to = t->uncovered = pb_new(&davit__oci_linux__descriptor, e);
	if (!to || note_bare(l, from->masked_paths, from->n_masked_paths, &to->n_masked_paths, &to->masked_paths, e) < 0)
		return -1;
	return note_bare(l, from->readonly_paths, from->n_readonly_paths, &to->n_readonly_paths, &to->readonly_paths, e);
}

static int note_number(struct trust *t, uint32_t id, struct err *e)
{
	if (mem_grow(&t->mounts, &t->cap_mounts, t->n_mounts + 1, sizeof(*t->mounts), e) < 0)
		return -1;
	t->mounts[t->n_mounts++] = id;
	return 0;
}

bool trust_has_mount(const struct trust *t, uint32_t id)
{
	for (size_t i = 0; i < t->n_mounts; i++)
		if (t->mounts[i] == id)
			return true;
	return false;
}

int trust_mounts(struct trust *t, const char *image, struct err *e)
{
	auto_cleanup(list_free) struct list l = { 0 };

	if (find_places(t, e) < 0 || criu_image_each(t->images, image, &criu__mnt_entry__descriptor, take_entry, &l, e) < 0)
		return -1;
	for (size_t i = 0; i < l.n; i++) {
		if (check_entry(t, image, l.v[i], e) < 0 || note_number(t, l.v[i]->mnt_id, e) < 0)
			return -1;
		if (!trust_has_cap(t, CAP_SYS_ADMIN) && check_twice(t, image, &l, i, e) < 0)
			return -1;
	}
	return note_uncovered(t, &l, e);
}

/* In a child: the container's mount namespace is not one to come back from. */
static int cover_inside(const Davit__OciLinux *l, pid_t init, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", init);
	auto_close int ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNS) < 0)
		return err_sys(e, errno, "enter the mount namespace of process %d", init);
	/* Nothing has run in it yet, so its proc and sys are where their names say. */
	auto_mount_set struct mount_set set;
	mount_set_init(&set);
	set.rootfs = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_close int null = path_open_in(set.rootfs, "/dev/null", O_PATH, 0, e);
	return null < 0 ? -1 : mount_mask_paths(&set, null, l, e);
}

int trust_cover(const struct trust *t, pid_t init, struct err *e)
{
	int p[2];

	if (!t->uncovered || (!t->uncovered->n_masked_paths && !t->uncovered->n_readonly_paths))
		return 0;
	if (fd_pipe(p, e) < 0)
		return -1;
	auto_close int ours = p[0], theirs = p[1];
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(e, errno, "fork");
	if (pid == 0) {
		struct err inside = { 0 };
		int rc = cover_inside(t->uncovered, init, &inside);
		_exit(rc < 0 && fd_write_all(theirs, &inside, sizeof(inside), NULL) < 0 ? 2 : rc < 0);
	}
	struct err none, *why = e ? e : &none;
	fd_closep(&theirs);
	if (proc_wait(pid, COVER_LIMIT_MS, e) == 0)
		return 0;
	if (fd_read_exact(ours, why, sizeof(*why), NULL) <= 0)
		return err_set(e, ERR_INTERNAL, 0, "cover the paths that the images leave bare");
	return err_prefix(e, "cover what the images leave bare");
}
