/* The parent's half of the mounts: see mount.h. */
#include "runtime/mount.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/path.h"
#include "runtime/idmap.h"

void mount_set_init(struct mount_set *s)
{
	*s = (struct mount_set){ .rootfs = -1 };
}

void mount_set_close(struct mount_set *s)
{
	for (size_t i = 0; i < s->n; i++) {
		fd_closep(&s->mounts[i].fd);
		mount_options_free(&s->mounts[i].options);
	}
	for (size_t i = 0; i < s->ncgroups; i++)
		fd_closep(&s->cgroups[i].fd);
	mem_freep(&s->mounts);
	mem_freep(&s->cgroups);
	mem_freep(&s->rootfs_path);
	fd_closep(&s->rootfs);
	s->n = s->ncgroups = 0;
}

int mount_propagate(int fd, uint64_t propagation, bool recursive)
{
	struct mount_attr a = { .propagation = propagation };

	return mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &a, sizeof(a));
}

static int set_attr(int fd, uint64_t set, uint64_t clear, bool recursive, struct err *e)
{
	struct mount_attr a = { .attr_set = set, .attr_clr = clear };

	if (!set && !clear)
		return 0;
	if (mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &a, sizeof(a)) < 0)
		return err_sys(e, errno, "set mount attributes");
	return 0;
}

/* The mount's own mappings, or those of the container ("idmap" without mappings). */
static int set_idmap(const struct mount *m, const Davit__OciLinux *l, struct err *e)
{
	const Davit__OciMount *s = m->spec;
	bool own = s->n_uid_mappings > 0;
	struct mount_attr a = { .attr_set = MOUNT_ATTR_IDMAP };
	auto_close int ns = own ? idmap_userns(s->uid_mappings, s->n_uid_mappings, s->gid_mappings, s->n_gid_mappings, e)
				: idmap_userns(l->uid_mappings, l->n_uid_mappings, l->gid_mappings, l->n_gid_mappings, e);

	if (ns < 0)
		return -1;
	a.userns_fd = (uint64_t)ns;
	if (mount_setattr(m->fd, "", AT_EMPTY_PATH | (m->options.idmap_rec ? AT_RECURSIVE : 0), &a, sizeof(a)) == 0)
		return 0;
	err_sys(e, errno, "map the ids of mount source %s", s->source);
	return err_remedy(e, "its filesystem may not know idmapped mounts on this kernel: leave the mappings away");
}

/* A shared tree is a peer of the host's. In a user namespace it becomes one that receives only, as mounts copied into one do (mount_namespaces(7)).
 */
static int set_bind_propagation(const struct mount *m, bool userns, struct err *e)
{
	uint64_t p = m->options.propagation ? m->options.propagation : MS_PRIVATE;
	bool rec = m->options.propagation ? m->options.propagation_rec : true;

	if (p == MS_SHARED && userns && mount_propagate(m->fd, MS_SLAVE, rec) < 0)
		return err_sys(e, errno, "set mount propagation");
	return mount_propagate(m->fd, p, rec) < 0 ? err_sys(e, errno, "set mount propagation") : 0;
}

static int open_bind(struct mount *m, const Davit__OciSpec *spec, int bundle_fd, bool userns, struct err *e)
{
	const struct mount_options *o = &m->options;
	struct stat st;
	char field[64];

	m->fd = open_tree(bundle_fd, m->spec->source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (o->rbind ? AT_RECURSIVE : 0));
	if (m->fd < 0 || fstat(m->fd, &st) < 0) {
		int sys = errno;

		snprintf(field, sizeof(field), "%s.source", m->field);
		err_field(e, field, "bind mount %s: %s", m->spec->source, strerror(sys));
		return err_remedy(e, "name an existing file or folder of the host");
	}
	m->is_file = !S_ISDIR(st.st_mode);
	if ((o->idmap || m->spec->n_uid_mappings) && set_idmap(m, spec->linux, e) < 0)
		return -1;
	if (set_attr(m->fd, o->rec_set, o->rec_clear, true, e) < 0 || set_attr(m->fd, o->set, o->clear, false, e) < 0)
		return err_prefix(e, "%s", m->field);
	return set_bind_propagation(m, userns, e);
}

static enum mount_kind kind_of(const struct mount *m)
{
	if (m->options.bind || str_eq(m->spec->type, "bind"))
		return m->options.remount ? MOUNT_REMOUNT : MOUNT_BIND;
	if (m->options.remount)
		return MOUNT_REMOUNT;
	return str_eq(m->spec->type, "cgroup") || str_eq(m->spec->type, "cgroup2") ? MOUNT_CGROUP : MOUNT_FILESYSTEM;
}

static int add_mount(struct mount_set *s, const Davit__OciSpec *spec, size_t i, int bundle_fd, struct err *e)
{
	struct mount *m = &s->mounts[i];
	char field[64];

	*m = (struct mount){ .spec = spec->mounts[i], .fd = -1 };
	s->n = i + 1;
	snprintf(m->field, sizeof(m->field), "mounts[%zu]", i);
	snprintf(field, sizeof(field), "%s.options", m->field);
	if (mount_options_parse(m->spec->options, m->spec->n_options, field, &m->options, e) < 0)
		return -1;
	m->kind = kind_of(m);
	if (m->kind == MOUNT_FILESYSTEM)
		m->late_ro = (m->options.set & MOUNT_ATTR_RDONLY) && (str_eq(m->spec->type, "tmpfs") || str_eq(m->spec->destination, "/dev"));
	if (m->kind == MOUNT_BIND && str_eq(m->spec->destination, "/dev"))
		s->own_dev = false;
	return m->kind == MOUNT_BIND ? open_bind(m, spec, bundle_fd, ns_how_of_spec(spec, NS_USER) != NS_HOST, e) : 0;
}

/* "cpu,cpuacct" and "name=systemd" as the folders below /sys/fs/cgroup are called. */
static void cgroup_name(const char *controllers, char *out, size_t cap)
{
	snprintf(out, cap, "%s", str_prefix(controllers, "name=") ? controllers + 5 : controllers);
}

/* A container without a cgroup of its own, which its user could not make, sees the host's, to read. */
static int open_host_cgroups(struct mount_set *s, struct err *e)
{
	struct mount_cgroup *c = &s->cgroups[0];

	c->fd = open_tree(AT_FDCWD, "/sys/fs/cgroup", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (c->fd < 0)
		return err_sys(e, errno, "clone /sys/fs/cgroup");
	s->ncgroups = 1;
	if (mount_propagate(c->fd, MS_PRIVATE, true) < 0)
		return err_sys(e, errno, "set mount propagation");
	return set_attr(c->fd, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, 0, true, e);
}

static int open_cgroups(struct mount_set *s, const Davit__RuntimeState *state, struct err *e)
{
	s->cgroups = mem_new(state->n_cgroups ? state->n_cgroups : 1, sizeof(*s->cgroups), e);
	if (!s->cgroups)
		return -1;
	if (state->n_cgroups == 0)
		return open_host_cgroups(s, e);
	for (size_t i = 0; i < state->n_cgroups; i++) {
		struct mount_cgroup *c = &s->cgroups[i];

		c->fd = open_tree(AT_FDCWD, state->cgroups[i]->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		if (c->fd < 0)
			return err_sys(e, errno, "clone cgroup %s", state->cgroups[i]->path);
		s->ncgroups = i + 1;
		cgroup_name(state->cgroups[i]->controllers, c->name, sizeof(c->name));
		if (mount_propagate(c->fd, MS_PRIVATE, false) < 0)
			return err_sys(e, errno, "set mount propagation");
	}
	return 0;
}

static const struct {
	const char *name;
	uint64_t before, after; /* while init works on it, and once it is the root */
	bool rec;
} root_propagations[] = {
	{ "", MS_PRIVATE, 0, true },
	{ "private", MS_PRIVATE, 0, true },
	{ "rprivate", MS_PRIVATE, 0, true },
	{ "slave", MS_SLAVE, 0, false },
	{ "rslave", MS_SLAVE, 0, true },
	{ "shared", MS_SLAVE, MS_SHARED, false },
	{ "rshared", MS_SLAVE, MS_SHARED, true },
	{ "unbindable", MS_PRIVATE, MS_UNBINDABLE, false },
	{ "runbindable", MS_PRIVATE, MS_UNBINDABLE, true },
};

/* pivot_root(2) refuses a shared root, so "shared" comes after it. */
static int open_rootfs(struct mount_set *s, const Davit__OciSpec *spec, int bundle_fd, struct err *e)
{
	const char *want = spec->linux && spec->linux->rootfs_propagation ? spec->linux->rootfs_propagation : "";
	char real[PATH_MAX];

	s->rootfs = open_tree(bundle_fd, spec->root->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (s->rootfs < 0)
		return err_sys(e, errno, "open the root filesystem %s", spec->root->path);
	auto_close int fd = openat(bundle_fd, spec->root->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "open the root filesystem %s", spec->root->path);
	ssize_t n = readlink(path_of_fd(fd).s, real, sizeof(real) - 1);
	if (n < 0)
		return err_sys(e, errno, "find the path of the root filesystem");
	real[n] = 0;
	s->rootfs_path = mem_strdup(real, e);
	for (size_t i = 0; s->rootfs_path && i < ARRAY_LEN(root_propagations); i++) {
		if (strcmp(root_propagations[i].name, want) != 0)
			continue;
		s->root_propagation = root_propagations[i].after;
		s->root_propagation_rec = root_propagations[i].rec;
		if (mount_propagate(s->rootfs, root_propagations[i].before, true) < 0)
			return err_sys(e, errno, "set the propagation of the root filesystem");
	}
	return s->rootfs_path ? 0 : -1;
}

int mount_set_open(const Davit__OciSpec *spec, const char *bundle, const Davit__RuntimeState *state, struct mount_set *out, struct err *e)
{
	auto_close int bundle_fd = file_open_dir(AT_FDCWD, bundle, e);
	bool wants_cgroups = false;

	if (bundle_fd < 0 || open_rootfs(out, spec, bundle_fd, e) < 0)
		return -1;
	out->own_dev = true;
	out->mounts = mem_new(spec->n_mounts ? spec->n_mounts : 1, sizeof(*out->mounts), e);
	if (!out->mounts)
		return -1;
	for (size_t i = 0; i < spec->n_mounts; i++) {
		if (add_mount(out, spec, i, bundle_fd, e) < 0)
			return -1;
		wants_cgroups |= out->mounts[i].kind == MOUNT_CGROUP;
	}
	return wants_cgroups ? open_cgroups(out, state, e) : 0;
}
