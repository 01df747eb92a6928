/* Which hierarchies this host has, and where the caller stands in them.
 *
 * /proc/self/cgroup has a line for every hierarchy: "4:memory:/a/b" (v1, also "3:cpu,cpuacct:/" and "1:name=systemd:/") or "0::/a/b"
 * (v2). /proc/self/mountinfo tells where it is mounted: a v1 mount is that of a line if its super options hold all controllers of the
 * line. A mount may show only a part of a hierarchy (fourth field, a container inside a container): the caller's path is then cut by
 * that part. Sources: cgroups(7), proc_pid_mountinfo(5), kernel Documentation/admin-guide/cgroup-v2.rst. */
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "runtime/cgroup/internal.h"

#define PROC_FILE_MAX (8 << 20)

static const struct {
	const char *v1, *v2; /* v2 NULL: built in, not in cgroup.controllers; v1 NULL: only on v2 */
} controllers[CONTROLLER_COUNT] = {
	[CONTROLLER_CPU] = { "cpu", "cpu" },
	[CONTROLLER_CPUACCT] = { "cpuacct", NULL },
	[CONTROLLER_CPUSET] = { "cpuset", "cpuset" },
	[CONTROLLER_MEMORY] = { "memory", "memory" },
	[CONTROLLER_IO] = { "blkio", "io" },
	[CONTROLLER_DEVICES] = { "devices", NULL },
	[CONTROLLER_FREEZER] = { "freezer", NULL },
	[CONTROLLER_PIDS] = { "pids", "pids" },
	[CONTROLLER_HUGETLB] = { "hugetlb", "hugetlb" },
	[CONTROLLER_NET_CLS] = { "net_cls", NULL },
	[CONTROLLER_NET_PRIO] = { "net_prio", NULL },
	[CONTROLLER_RDMA] = { "rdma", "rdma" },
	[CONTROLLER_PERF_EVENT] = { "perf_event", NULL },
	[CONTROLLER_MISC] = { "misc", "misc" },
};

const char *controller_name(enum controller c, bool unified)
{
	return unified && controllers[c].v2 ? controllers[c].v2 : controllers[c].v1;
}

static unsigned controller_bit(const char *name, size_t len)
{
	for (unsigned c = 0; c < CONTROLLER_COUNT; c++)
		for (int unified = 0; unified <= 1; unified++) {
			const char *known = unified ? controllers[c].v2 : controllers[c].v1;
			if (known && strlen(known) == len && memcmp(known, name, len) == 0)
				return CONTROLLER_BIT(c);
		}
	return 0;
}

unsigned controller_parse(const char *list, const char *separators)
{
	unsigned bits = 0;
	for (const char *p = list; *p; p += strspn(p, separators)) {
		size_t len = strcspn(p, separators);
		bits |= controller_bit(p, len);
		p += len;
	}
	return bits;
}

/* Whether every item of the list `items` is in the list `all` (both split at commas). */
static bool list_holds(const char *all, const char *items)
{
	for (const char *p = items; *p; p += *p == ',') {
		size_t len = strcspn(p, ",");
		bool found = false;
		for (const char *q = all; *q && !found; q += *q == ',') {
			size_t other = strcspn(q, ",");
			found = other == len && memcmp(p, q, len) == 0;
			q += other;
		}
		if (!found)
			return false;
		p += len;
	}
	return true;
}

struct mount {
	char *root, *point, *type, *options;
};

/* Undoes \040 and its like in place (proc_pid_mountinfo(5)). */
static char *unescape(char *s)
{
	char *to = s;
	for (const char *from = s; *from; to++) {
		if (from[0] == '\\' && from[1] && from[2] && from[3]) {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
	return s;
}

/* Cuts a line of mountinfo, whose text is changed. False if it is no cgroup mount. */
static bool mount_of_line(char *line, struct mount *m)
{
	char *tail = strstr(line, " - cgroup"), *save = NULL;
	if (!tail)
		return false;
	*tail = '\0';
	char *field[6] = { 0 };
	char *word = strtok_r(line, " ", &save);
	for (size_t i = 0; i < ARRAY_LEN(field) && word; i++, word = strtok_r(NULL, " ", &save))
		field[i] = word;
	m->type = strtok_r(tail + 3, " ", &save);
	char *source = strtok_r(NULL, " ", &save);
	m->options = strtok_r(NULL, " ", &save);
	if (!field[4] || !source || !m->options)
		return false;
	m->root = unescape(field[3]);
	m->point = unescape(field[4]);
	return true;
}

/* The caller's path as seen through a mount of `root`; "" where that is the mount point itself, or above it. */
static const char *own_below(const char *root, const char *path)
{
	size_t len = str_eq(root, "/") ? 0 : strlen(root);
	if (strstr(path, "/..") || strncmp(path, root, len) != 0 || (path[len] != '/' && path[len] != '\0'))
		return "";
	return str_eq(path + len, "/") ? "" : path + len;
}

static int hierarchy_mount(struct hierarchy *h, const struct mount *m, struct err *e)
{
	free(h->mount);
	h->mount = mem_strdup(m->point, e);
	char *own = mem_strdup(own_below(m->root, h->own), e);
	if (!h->mount || !own) {
		free(own);
		return -1;
	}
	free(h->own);
	h->own = own;
	return 0;
}

/* A line of /proc/self/cgroup, whose text is changed. */
static int hierarchy_of_line(char *line, struct hierarchy *h, struct err *e)
{
	h->fd = -1;
	char *name = strchr(line, ':');
	char *path = name ? strchr(name + 1, ':') : NULL;
	if (!path)
		return err_set(e, ERR_INTERNAL, 0, "/proc/self/cgroup: a line without two colons: %s", line);
	*path++ = '\0';
	name++;
	h->unified = *name == '\0';
	h->controllers = h->unified ? CONTROLLER_BIT(CONTROLLER_DEVICES) | CONTROLLER_BIT(CONTROLLER_FREEZER) : controller_parse(name, ",");
	h->name = mem_strdup(name, e);
	h->own = mem_strdup(path, e);
	return h->name && h->own ? 0 : -1;
}

static bool mount_is_of(const struct mount *m, const struct hierarchy *h)
{
	if (h->unified)
		return str_eq(m->type, "cgroup2");
	return str_eq(m->type, "cgroup") && list_holds(m->options, h->name);
}

static void hierarchy_clear(struct hierarchy *h)
{
	free(h->name);
	free(h->mount);
	free(h->own);
	free(h->path);
	fd_closep(&h->fd);
}

void cgroup_clear(struct cgroup *c)
{
	for (size_t i = 0; i < c->n; i++)
		hierarchy_clear(&c->h[i]);
	c->n = 0;
}

static void drop_unmounted(struct cgroup *c)
{
	size_t kept = 0;
	for (size_t i = 0; i < c->n; i++) {
		if (c->h[i].mount)
			c->h[kept++] = c->h[i];
		else
			hierarchy_clear(&c->h[i]);
	}
	c->n = kept;
}

static int find_mounts(char *mountinfo, struct cgroup *c, struct err *e)
{
	char *save = NULL;
	for (char *line = strtok_r(mountinfo, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct mount m;
		if (!mount_of_line(line, &m))
			continue;
		/* The first mount counts: later ones are those of containers. */
		for (size_t i = 0; i < c->n; i++)
			if (!c->h[i].mount && mount_is_of(&m, &c->h[i]) && hierarchy_mount(&c->h[i], &m, e) < 0)
				return -1;
	}
	return 0;
}

int host_parse(const char *mountinfo, const char *self_cgroup, struct cgroup *out, struct err *e)
{
	auto_free char *mounts = mem_strdup(mountinfo, e);
	auto_free char *lines = mounts ? mem_strdup(self_cgroup, e) : NULL;
	char *save = NULL;
	if (!lines)
		return -1;
	for (char *line = strtok_r(lines, "\n", &save); line && out->n < HIERARCHY_MAX; line = strtok_r(NULL, "\n", &save))
		if (hierarchy_of_line(line, &out->h[out->n++], e) < 0)
			goto fail;
	if (find_mounts(mounts, out, e) < 0)
		goto fail;
	drop_unmounted(out);
	if (out->n > 0)
		return 0;
	err_set(e, ERR_UNSUPPORTED, 0, "no cgroup hierarchy is mounted");
	err_remedy(e, "mount cgroup2 at /sys/fs/cgroup");
fail:
	cgroup_clear(out);
	return -1;
}

int host_find(struct cgroup *out, struct err *e)
{
	size_t len;
	auto_free char *mountinfo = file_read(AT_FDCWD, "/proc/self/mountinfo", PROC_FILE_MAX, &len, e);
	auto_free char *self_cgroup = mountinfo ? file_read(AT_FDCWD, "/proc/self/cgroup", PROC_FILE_MAX, &len, e) : NULL;
	if (!self_cgroup || host_parse(mountinfo, self_cgroup, out, e) < 0)
		return -1;
	for (size_t i = 0; i < out->n; i++) {
		struct hierarchy *h = &out->h[i];
		auto_free char *path = h->unified ? mem_printf(NULL, "%s/cgroup.controllers", h->mount) : NULL;
		char line[512];
		if (path && file_read_line(AT_FDCWD, path, line, sizeof(line), NULL) == 0)
			h->controllers |= controller_parse(line, " ");
	}
	return 0;
}

int cgroup_host_version(struct err *e)
{
	struct cgroup c = { 0 };
	if (host_find(&c, e) < 0)
		return -1;
	int version = 2;
	for (size_t i = 0; i < c.n; i++)
		if (!c.h[i].unified && c.h[i].controllers)
			version = 1;
	cgroup_clear(&c);
	return version;
}

int cgroup_host_controllers(struct strv *out, struct err *e)
{
	struct cgroup c = { 0 };
	int result = 0;
	if (host_find(&c, e) < 0)
		return -1;
	for (unsigned k = 0; k < CONTROLLER_COUNT && result == 0; k++) {
		const struct hierarchy *h = cgroup_hierarchy_of(&c, k);
		if (h)
			result = strv_add(out, controller_name(k, h->unified), e);
	}
	cgroup_clear(&c);
	return result;
}
