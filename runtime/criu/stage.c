/* See stage.h. Sources: open_tree(2), move_mount(2), fsmount(2), CRIU's mount-v2.c. */
#include "runtime/criu/stage.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/path.h"
#include "runtime/criu/external.h"
#include "runtime/criu/mountinfo.h"
#include "runtime/device.h"
#include "runtime/mount.h"

void stage_free(struct stage *s)
{
	for (size_t i = 0; i < s->n; i++)
		fd_closep(&s->trees[i].fd);
	free(s->trees);
	*s = (struct stage){ 0 };
}

/* The stage's own tmpfs is its first tree. */
static int begin(struct stage *s, struct err *e)
{
	struct strv options = { 0 };

	if (s->n > 0)
		return 0;
	if (mem_grow(&s->trees, &s->cap, 1, sizeof(*s->trees), e) < 0 || strv_add(&options, "mode=755", e) < 0)
		return -1;
	s->trees[0] = (struct criu_tree){ .fd = mount_new("tmpfs", "davit", &options, 0, e), .path = STAGE_PATH };
	strv_free(&options);
	s->n = s->trees[0].fd >= 0;
	return s->n ? 0 : -1;
}

int stage_add(struct stage *s, int tree, const char *name, bool is_file, struct err *e)
{
	auto_close int owned = tree;

	if (tree < 0 || begin(s, e) < 0 || mem_grow(&s->trees, &s->cap, s->n + 1, sizeof(*s->trees), e) < 0)
		return -1;
	auto_close int file = is_file ? openat(s->trees[0].fd, name, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0644) : -1;
	if (is_file ? file < 0 : mkdirat(s->trees[0].fd, name, 0755) < 0)
		return err_sys(e, errno, "stage %s", name);
	struct criu_tree *t = &s->trees[s->n++];
	snprintf(t->path, sizeof(t->path), STAGE_PATH "/%s", name);
	t->fd = steal_fd(&owned);
	return 0;
}

static int name_source(Criu__CriuOpts *opts, const char *key, const char *name, struct err *e)
{
	auto_free char *text = mem_printf(e, "mnt[%s]:" STAGE_PATH "/%s", key, name);
	return text ? pb_push_str(&opts->n_external, &opts->external, text, e) : -1;
}

static bool named(const Criu__CriuOpts *opts, const char *key)
{
	size_t n = strlen(key);

	for (size_t i = 0; i < opts->n_external; i++)
		if (str_prefix(opts->external[i], "mnt[") && !strncmp(opts->external[i] + 4, key, n) && opts->external[i][4 + n] == ']')
			return true;
	return false;
}

/* The source of one external mount. Takes tree over. */
static int add_source(struct stage *s, int tree, const char *key, Criu__CriuOpts *opts, struct err *e)
{
	char name[32];
	struct stat st;
	auto_close int owned = tree;

	if (tree < 0)
		return -1;
	if (fstat(tree, &st) < 0)
		return err_sys(e, errno, "source of %s", key);
	snprintf(name, sizeof(name), "source%u", s->sources++);
	return stage_add(s, steal_fd(&owned), name, !S_ISDIR(st.st_mode), e) < 0 ? -1 : name_source(opts, key, name, e);
}

/* One mount alone out of a detached tree of several. Kernels before 6.15 clone nothing of a detached tree. */
static int single_mount(int tree, const char *rest, struct err *e)
{
	auto_close int at = path_open_in(tree, rest, O_PATH, 0, e);
	int fd = at < 0 ? -1 : open_tree(at, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (at >= 0 && fd < 0) {
		err_sys(e, errno, "clone one mount of an rbind");
		return err_remedy(e, "name what is mounted below it as mounts of their own in config.json");
	}
	return fd;
}

static int add_below(const Davit__OciMount *m, int tree, const char *rest, struct stage *s, Criu__CriuOpts *opts, struct err *e)
{
	auto_free char *key = mem_printf(e, "%s%s", m->destination, rest);

	return !key ? -1 : named(opts, key) ? 0 : add_source(s, single_mount(tree, rest, e), key, opts, e);
}

/* What an rbind brought along has its own place each, by the names that external.c gave them: in the container's user namespace CRIU may not take a
 * mount away from those below it. */
static int add_rbind(const struct create *c, const struct mount *m, struct stage *s, Criu__CriuOpts *opts, struct err *e)
{
	auto_mountinfo struct mountinfo here = { 0 };
	char real[PATH_MAX];
	auto_free char *path = m->spec->source[0] == '/' ? mem_strdup(m->spec->source, e) : mem_printf(e, "%s/%s", c->bundle, m->spec->source);

	if (!path || mountinfo_read(getpid(), &here, e) < 0)
		return -1;
	if (!realpath(path, real))
		return err_sys(e, errno, "source of %s", m->spec->destination);
	size_t n = str_eq(real, "/") ? 0 : strlen(real);
	for (size_t i = 0; i < here.n; i++) {
		const char *rest = here.v[i].point + n;
		if (!strncmp(here.v[i].point, real, n) && rest[0] == '/' && rest[1] && add_below(m->spec, m->fd, rest, s, opts, e) < 0)
			return -1;
	}
	return 0;
}

static int add_bind(const struct create *c, struct mount *m, struct stage *s, Criu__CriuOpts *opts, struct err *e)
{
	unsigned before = s->sources;

	if (m->options.rbind && add_rbind(c, m, s, opts, e) < 0)
		return -1;
	return add_source(s, s->sources == before ? steal_fd(&m->fd) : single_mount(m->fd, ".", e), m->spec->destination, opts, e);
}

static int clone_path(const char *path, struct err *e)
{
	int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	return fd < 0 ? err_sys(e, errno, "clone the mount of %s", path) : fd;
}

static int add_devices(const struct create *c, struct stage *s, Criu__CriuOpts *opts, struct err *e)
{
	auto_strv struct strv paths = { 0 };

	if (external_devices(c->spec, &paths, e) < 0)
		return -1;
	for (size_t i = 0; i < paths.n; i++)
		if (!named(opts, paths.v[i]) && add_source(s, clone_path(paths.v[i], e), paths.v[i], opts, e) < 0)
			return -1;
	return 0;
}

/* As create's masks are: CRIU takes the flags of the first one for granted in the others. */
#define MASK_ATTRIBUTES (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

/* Masks of files are the null device, of folders an empty one. Which it is, the host's own proc and sys tell. */
static int add_masks(const struct create *c, struct stage *s, Criu__CriuOpts *opts, struct err *e)
{
	auto_strv struct strv paths = { 0 }, none = { 0 };
	struct stat st;

	if (external_masks(c->spec, &paths, e) < 0 || paths.n == 0)
		return paths.n ? -1 : 0;
	auto_close int null = device_open_null(e);
	if (null < 0)
		return -1;
	int file = open_tree(null, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (file < 0)
		return err_sys(e, errno, "clone the mount of /dev/null");
	if (stage_add(s, file, "null", true, e) < 0 || stage_add(s, mount_new("tmpfs", "tmpfs", &none, MASK_ATTRIBUTES, e), "empty", false, e) < 0)
		return -1;
	for (size_t i = 0; i < paths.n; i++) {
		bool folder = stat(paths.v[i], &st) == 0 && S_ISDIR(st.st_mode);
		if (!named(opts, paths.v[i]) && name_source(opts, paths.v[i], folder ? "empty" : "null", e) < 0)
			return -1;
	}
	return 0;
}

/* A cgroup mount of the spec: on v1 one for each hierarchy below it. */
static int add_cgroup_mounts(struct mount_set *set, const char *target, struct stage *s, Criu__CriuOpts *opts, struct err *e)
{
	for (size_t i = 0; i < set->ncgroups; i++) {
		const char *name = set->cgroups[i].name;
		auto_free char *key = name[0] ? mem_printf(e, "%s/%s", target, name) : mem_strdup(target, e);
		if (!key || add_source(s, steal_fd(&set->cgroups[i].fd), key, opts, e) < 0)
			return -1;
		if (!name[0])
			break;
	}
	return 0;
}

/* Whether the place of mount i is on the rootfs itself, and not on another mount that CRIU makes with its folders. */
static bool lies_on_rootfs(const struct mount_set *set, size_t i)
{
	const char *target = set->mounts[i].spec->destination;

	for (size_t j = 0; j < set->n; j++) {
		const char *other = set->mounts[j].spec->destination;
		size_t n = strlen(other);
		while (n > 0 && other[n - 1] == '/')
			n--;
		if (j != i && n > 0 && !strncmp(target, other, n) && target[n] == '/')
			return false;
	}
	return true;
}

/* CRIU expects the places of mounts to be there; in a fresh rootfs they are not, as create makes them on the first start. */
static int make_mount_points(const struct mount_set *set, struct err *e)
{
	for (size_t i = 0; i < set->n; i++) {
		const struct mount *m = &set->mounts[i];
		if (!lies_on_rootfs(set, i))
			continue;
		auto_close int fd = path_make_in(set->rootfs, m->spec->destination, m->kind == MOUNT_BIND && m->is_file, e);
		if (fd < 0)
			return err_prefix(e, "%s", m->field);
	}
	return 0;
}

int stage_mounts(const struct create *c, struct stage *s, Criu__CriuOpts *opts, struct err *e)
{
	auto_mount_set struct mount_set set;

	mount_set_init(&set);
	if (mount_set_open(c->spec, c->bundle, c->state, &set, e) < 0 || make_mount_points(&set, e) < 0 ||
	    stage_add(s, steal_fd(&set.rootfs), "root", false, e) < 0 || pb_set_str(&opts->root, STAGE_PATH "/root", e) < 0)
		return -1;
	for (size_t i = 0; i < set.n; i++) {
		struct mount *m = &set.mounts[i];
		if (m->kind == MOUNT_BIND && add_bind(c, m, s, opts, e) < 0)
			return -1;
		if (m->kind == MOUNT_CGROUP && add_cgroup_mounts(&set, m->spec->destination, s, opts, e) < 0)
			return -1;
	}
	return add_devices(c, s, opts, e) < 0 ? -1 : add_masks(c, s, opts, e);
}

int stage_root(const struct stage *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (str_eq(s->trees[i].path, STAGE_PATH "/root"))
			return s->trees[i].fd;
	return -1;
}

int stage_images(int images_dirfd, int over_dirfd, struct stage *s, Criu__CriuOpts *opts, struct err *e)
{
	auto_strv struct strv options = { 0 };
	int tree;

	if (strv_addf(&options, e, "lowerdir=%s:%s", path_of_fd(over_dirfd).s, path_of_fd(images_dirfd).s) < 0)
		return -1;
	tree = mount_new("overlay", "images", &options, MOUNT_ATTR_RDONLY, e);
	if (tree < 0)
		return err_prefix(e, "show the images to criu");
	opts->images_dir_fd = -1;
	if (stage_add(s, tree, "images", false, e) < 0)
		return -1;
	/* By a link: criu before 4.2 reads the path as one (readlink(2)) and takes nothing else. */
	if (symlinkat("images", s->trees[0].fd, "images.link") < 0)
		return err_sys(e, errno, "stage the link of the images");
	return pb_set_str(&opts->images_dir, STAGE_PATH "/images.link", e);
}
