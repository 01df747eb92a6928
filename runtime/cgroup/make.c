/* Making one folder in one hierarchy.
 *
 * v2: a controller acts in a folder only if every folder above has it in cgroup.subtree_control, so it is written on the way down. A
 * folder above that holds processes refuses that (the "no internal processes" rule); what is then missing is told when a limit needs it.
 * v1: a new cpuset has neither CPUs nor memory nodes (unless cgroup.clone_children is set above) and takes no process: both are
 * copied from above. An empty folder left by someone is made anew, so that no old limit holds. Source: cgroups(7), cpuset(7). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "runtime/cgroup/internal.h"

#define CPUSET_VALUE_MAX 4096

static int subtree_list(const struct hierarchy *h, char *out, size_t cap)
{
	size_t len = 0;
	for (unsigned c = 0; c < CONTROLLER_COUNT; c++) {
		bool built_in = c == CONTROLLER_DEVICES || c == CONTROLLER_FREEZER;
		if (!built_in && (h->controllers & CONTROLLER_BIT(c)))
			len += (size_t)snprintf(out + len, cap - len, "%s+%s", len ? " " : "", controller_name(c, true));
	}
	return len > 0;
}

/* Gives the children of `path` the controllers of h: all at once, or those that can be had. */
static void enable_controllers(const struct hierarchy *h, const char *path)
{
	char list[256], *save = NULL;
	auto_close int dir = file_open_dir(AT_FDCWD, path, NULL);
	if (dir < 0 || !subtree_list(h, list, sizeof(list)) || file_write_pseudo(dir, "cgroup.subtree_control", list, NULL) == 0)
		return;
	for (char *one = strtok_r(list, " ", &save); one; one = strtok_r(NULL, " ", &save))
		file_write_pseudo(dir, "cgroup.subtree_control", one, NULL);
}

/* The folder is there already. Made anew if it is empty; kept if only its sub-cgroups hold it; refused if processes do. */
static int make_again(struct hierarchy *h, struct err *e)
{
	if (rmdir(h->path) == 0 && mkdir(h->path, 0755) == 0) {
		h->made = 1;
		return 0;
	}
	auto_close int dir = file_open_dir(AT_FDCWD, h->path, e);
	if (dir < 0)
		return -1;
	if (!cgroup_has_process(dir))
		return 0;
	err_set(e, ERR_EXISTS, 0, "cgroup %s has processes of another container", h->path);
	return err_remedy(e, "choose another linux.cgroupsPath, or end those processes");
}

/* Makes every folder between the mount point and the last one. */
static int make_above(struct hierarchy *h, struct err *e)
{
	size_t start = strlen(h->mount);
	if (h->unified)
		enable_controllers(h, h->mount);
	for (char *slash = strchr(h->path + start + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		int made = mkdir(h->path, 0755);
		int sys = errno;
		if (made == 0)
			h->made++;
		if (h->unified && (made == 0 || sys == EEXIST))
			enable_controllers(h, h->path);
		if (made < 0 && sys != EEXIST) {
			err_sys(e, sys, "make cgroup %s", h->path);
			*slash = '/';
			return -1;
		}
		*slash = '/';
	}
	return 0;
}

int hierarchy_open(struct hierarchy *h, struct err *e)
{
	h->fd = open(h->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return h->fd < 0 ? err_sys(e, errno, "open cgroup %s", h->path) : 0;
}

int hierarchy_make(struct hierarchy *h, struct err *e)
{
	/* On v1 the folder above is mostly there: one call. */
	int made = h->unified ? -1 : mkdir(h->path, 0755);
	if (made < 0 && (h->unified || errno == ENOENT)) {
		if (make_above(h, e) < 0)
			return -1;
		made = mkdir(h->path, 0755);
	}
	if (made == 0)
		h->made++;
	else if (errno != EEXIST)
		return err_sys(e, errno, "make cgroup %s", h->path);
	else if (make_again(h, e) < 0)
		return -1;
	if (hierarchy_open(h, e) < 0)
		return -1;
	if (!h->unified && (h->controllers & CONTROLLER_BIT(CONTROLLER_CPUSET)))
		return cpuset_v1_inherit(h, e);
	return 0;
}

void hierarchy_unmake(struct hierarchy *h)
{
	for (; h->made > 0 && rmdir(h->path) == 0; h->made--) {
		char *slash = strrchr(h->path, '/');
		if (!slash)
			return;
		*slash = '\0';
	}
}

/* Fills `file` of `path` from above if it is empty; value gets its content. path is changed and put back. */
static int inherit(const char *mount, char *path, const char *file, char value[CPUSET_VALUE_MAX], struct err *e)
{
	auto_close int dir = file_open_dir(AT_FDCWD, path, e);
	char *slash = strrchr(path, '/');
	if (dir < 0 || file_read_line(dir, file, value, CPUSET_VALUE_MAX, e) < 0)
		return -1;
	if (*value || strlen(path) <= strlen(mount) || !slash)
		return 0;
	*slash = '\0';
	int result = inherit(mount, path, file, value, e);
	*slash = '/';
	return result < 0 ? -1 : file_write_pseudo(dir, file, value, e);
}

int cpuset_v1_inherit(const struct hierarchy *h, struct err *e)
{
	char value[CPUSET_VALUE_MAX];
	auto_free char *path = mem_strdup(h->path, e);
	const char *mount = h->mount ? h->mount : "/";
	if (!path || inherit(mount, path, "cpuset.cpus", value, e) < 0)
		return -1;
	return inherit(mount, path, "cpuset.mems", value, e);
}
