/* Users of a container, by its own /etc/passwd and /etc/group (passwd(5), group(5)).
 *
 * Both files belong to the container, which may have made them a FIFO, a device, endless or a link to the outside: they are opened below its root
 * without blocking, must be plain files and are read up to a limit. A user that is not there is only good as a number. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/path.h"
#include "runtime/serve/bundle.h"

#define FILE_MAX (1 << 20)
#define GIDS_MAX 1024

void user_free(struct user *u)
{
	free(u->home);
	free(u->gids);
	*u = (struct user){ 0 };
}

/* Owned text, "" if there is no such plain file. */
static char *read_file(int rootfs_fd, const char *path, struct err *e)
{
	struct stat st;
	size_t n = 0;
	auto_close int fd = path_open_in(rootfs_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, NULL);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return mem_strdup("", e);
	char *text = fd_read_all(fd, FILE_MAX, &n, e);
	if (!text)
		err_prefix(e, "the container's %s", path);
	return text;
}

/* Splits a line at ':' in place into at most max fields. Returns their number. */
static size_t split(char *line, char **fields, size_t max)
{
	size_t n = 0;
	for (char *at = line; at && n < max; n++) {
		fields[n] = at;
		at = strchr(at, ':');
		if (at)
			*at++ = 0;
	}
	return n;
}

static char *next_line(char **rest)
{
	char *line = *rest;
	if (!line || !*line)
		return NULL;
	char *end = strchr(line, '\n');
	*rest = end ? end + 1 : NULL;
	if (end)
		*end = 0;
	return line;
}

static bool to_id(const char *s, uint32_t *out)
{
	uint64_t v = 0;
	if (str_to_u64(s, 0, UINT32_MAX - 1, &v, "id", NULL) < 0)
		return false;
	*out = (uint32_t)v;
	return true;
}

/* 1 found, 0 not, -1. Finds by name first, as getpwnam(3) does, then by number. */
static int find_user(char *passwd, const char *text, struct user *u, char **name, struct err *e)
{
	uint32_t wanted = 0, uid = 0, gid = 0;
	bool number = to_id(text, &wanted);
	for (char *line, *f[7]; (line = next_line(&passwd));) {
		if (split(line, f, 7) < 6 || !to_id(f[2], &uid) || !to_id(f[3], &gid))
			continue;
		if (!(number ? uid == wanted : str_eq(f[0], text)))
			continue;
		u->uid = uid;
		u->gid = gid;
		u->home = mem_strdup(f[5][0] == '/' ? f[5] : "/", e);
		*name = mem_strdup(f[0], e);
		return u->home && *name ? 1 : -1;
	}
	if (!number)
		return 0;
	u->uid = wanted;
	u->gid = 0;
	return 1;
}

static bool member(char *members, const char *name)
{
	for (char *save = NULL, *m = strtok_r(members, ",", &save); m; m = strtok_r(NULL, ",", &save))
		if (str_eq(m, name))
			return true;
	return false;
}

/* The named group, if any, and those that list the user. 1, 0: the named one is not there, -1. */
static int find_groups(char *group, const char *named, const char *name, struct user *u, struct err *e)
{
	size_t cap = 0;
	uint32_t gid = 0;
	bool found = !named || to_id(named, &u->gid);
	for (char *line, *f[4]; (line = next_line(&group));) {
		if (split(line, f, 4) < 4 || !to_id(f[2], &gid))
			continue;
		if (named && str_eq(f[0], named)) {
			u->gid = gid;
			found = true;
		}
		if (named || !name || u->n_gids == GIDS_MAX || !member(f[3], name))
			continue;
		if (mem_grow(&u->gids, &cap, u->n_gids + 1, sizeof(gid), e) < 0)
			return -1;
		u->gids[u->n_gids++] = gid;
	}
	return found;
}

int user_resolve(int rootfs_fd, const char *text, struct user *out, struct err *e)
{
	auto_free char *user = mem_strdup(text ? text : "0", e);
	auto_free char *passwd = user ? read_file(rootfs_fd, "/etc/passwd", e) : NULL;
	auto_free char *group = passwd ? read_file(rootfs_fd, "/etc/group", e) : NULL;
	auto_free char *name = NULL;
	*out = (struct user){ 0 };
	if (!group)
		return -1;
	char *named = strchr(user, ':');
	if (named)
		*named++ = 0;
	int rc = find_user(passwd, user, out, &name, e);
	if (rc == 0)
		err_field(e, "process.user", "the container's /etc/passwd has no user %s", user);
	if (rc == 1 && (rc = find_groups(group, named, name, out, e)) == 0)
		err_field(e, "process.user", "the container's /etc/group has no group %s", named);
	if (rc == 1 && !out->home)
		out->home = mem_strdup("/", e);
	if (rc == 1 && out->home)
		return 0;
	user_free(out);
	return -1;
}
