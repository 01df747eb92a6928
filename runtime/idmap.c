/* Writing and reading id mappings: see idmap.h. */
#include "runtime/idmap.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"
#include "runtime/sys.h"

bool idmap_to_host(Davit__OciIdMapping *const *maps, size_t n, uint32_t id, uint32_t *out)
{
	for (size_t i = 0; i < n; i++) {
		if (id < maps[i]->container_id || id - maps[i]->container_id >= maps[i]->size)
			continue;
		*out = maps[i]->host_id + (id - maps[i]->container_id);
		return true;
	}
	return false;
}

bool idmap_from_host(Davit__OciIdMapping *const *maps, size_t n, uint32_t host_id)
{
	for (size_t i = 0; i < n; i++)
		if (host_id >= maps[i]->host_id && host_id - maps[i]->host_id < maps[i]->size)
			return true;
	return false;
}

/* The kernel takes a map in one write(2). */
static int write_map(pid_t pid, const char *file, Davit__OciIdMapping *const *maps, size_t n, struct err *e)
{
	char path[64];
	auto_buf struct buf text = { 0 };

	for (size_t i = 0; i < n; i++)
		if (buf_printf(&text, e, "%u %u %u\n", maps[i]->container_id, maps[i]->host_id, maps[i]->size) < 0)
			return -1;
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	if (file_write_pseudo(AT_FDCWD, path, text.data, e) == 0)
		return 0;
	err_prefix(e, "map the ids of the user namespace");
	return err_remedy(e, "check linux.%sMappings: they may not overlap, and the caller must own the host's ids", file[0] == 'u' ? "uid" : "gid");
}

static int write_maps(pid_t pid, Davit__OciIdMapping *const *uids, size_t nuids, Davit__OciIdMapping *const *gids, size_t ngids, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)pid);
	if (geteuid() != 0 && file_write_pseudo(AT_FDCWD, path, "deny", e) < 0)
		return -1;
	return write_map(pid, "gid_map", gids, ngids, e) < 0 ? -1 : write_map(pid, "uid_map", uids, nuids, e);
}

int idmap_write(pid_t pid, const Davit__OciLinux *l, struct err *e)
{
	return write_maps(pid, l->uid_mappings, l->n_uid_mappings, l->gid_mappings, l->n_gid_mappings, e);
}

int idmap_userns(Davit__OciIdMapping *const *uids, size_t nuids, Davit__OciIdMapping *const *gids, size_t ngids, struct err *e)
{
	char path[64];
	int pidfd = -1, fd = -1;
	pid_t pid = sys_clone(CLONE_NEWUSER, &pidfd);

	if (pid < 0)
		return err_sys(e, errno, "make a user namespace for an idmapped mount");
	if (pid == 0) {
		/* Only its namespace is wanted; it is killed below. */
		for (;;)
			pause();
	}
	if (write_maps(pid, uids, nuids, gids, ngids, e) == 0) {
		snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			err_sys(e, errno, "open %s", path);
	}
	close(pidfd);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return fd;
}
