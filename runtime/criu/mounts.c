/* See mounts.h. Sources: mount_namespaces(7), CRIU's kerndat.c. */
#include "runtime/criu/mounts.h"
#include <errno.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include "base/fd.h"
#include "base/file.h"

#define CACHE_FILE "/run/criu.kdat"
#define MOUNT_TRIES 3

static bool on_tmpfs(const char *path)
{
	struct statfs s;
	return statfs(path, &s) == 0 && s.f_type == TMPFS_MAGIC;
}

bool criu_cache_folder(const struct criu_call *c, char out[PATH_MAX])
{
	struct stat st;

	/* Another criu at the same path has another cache, as it would refuse this one but could not replace it. */
	if (!c->tmp_dir || on_tmpfs("/run") || !on_tmpfs(c->tmp_dir) || stat(c->criu, &st) < 0)
		return false;
	snprintf(out, PATH_MAX, "%s/criu-%lx-%lx", c->tmp_dir, (unsigned long)st.st_ino, (unsigned long)st.st_mtime);
	return mkdir(out, 0700) == 0 || errno == EEXIST;
}

/* An empty file to bind over: other criu programs take it for a stale cache, and remove it. */
static bool mount_point_ready(void)
{
	auto_close int fd = open(CACHE_FILE, O_CREAT | O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd >= 0;
}

static void prepare_cache(const struct criu_call *c, struct criu_mounts *m)
{
	char folder[PATH_MAX];

	if (!criu_cache_folder(c, folder))
		return;
	if ((size_t)snprintf(m->cache, sizeof(m->cache), "%s/criu.kdat", folder) < sizeof(m->cache) && file_exists(AT_FDCWD, m->cache) &&
	    mount_point_ready())
		return;
	m->cache[0] = '\0';
}

void criu_mounts_prepare(const struct criu_call *c, struct criu_mounts *m)
{
	*m = (struct criu_mounts){ .trees = c->trees, .ntrees = c->ntrees };
	prepare_cache(c, m);
	m->any = m->cache[0] || m->ntrees > 0;
}

/* Without it criu works too, and probes the kernel anew: so a file that is removed again and again is no failure. */
static int mount_cache(const struct criu_mounts *m)
{
	for (int tries = 0; tries < MOUNT_TRIES; tries++) {
		if (mount(m->cache, m->whole_run ? "/run" : CACHE_FILE, NULL, MS_BIND, NULL) == 0)
			return 0;
		if (errno != ENOENT)
			return -1;
		(void)mount_point_ready();
	}
	return 0;
}

int criu_mounts_apply(const struct criu_mounts *m)
{
	if (!m->any)
		return 0;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return -1;
	if (m->cache[0] && mount_cache(m) < 0)
		return -1;
	for (size_t i = 0; i < m->ntrees; i++)
		if (move_mount(m->trees[i].fd, "", AT_FDCWD, m->trees[i].path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
			return -1;
	return 0;
}
