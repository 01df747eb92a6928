/* The core's start and end: options, the administrator's two files, folders, RUN/tmp. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "proto/json.h"
#include "proto/pb.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/policy_file.h"
#include "runtime/serve/records.h"
#include "runtime/serve/serve.h"

#define CORE_WAIT_MS 4000 /* for one that is ending */

void serve_free(struct core *c)
{
	char **const strings[] = { &c->state_dir,   &c->run_dir,     &c->bin_dir,	 &c->cgroup_parent, &c->criu,
				   &c->policy_file, &c->config_file, &c->containers_dir, &c->images_dir,    &c->logs_dir,
				   &c->locks_dir,   &c->monitor_dir, &c->tmp_dir,	 &c->runtime_root,  &c->criu_tmp };
	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		mem_freep(strings[i]);
	pb_freep(&c->policy);
	pb_freep(&c->config);
	fd_closep(&c->lock);
}

static int set_paths(struct core *c, struct err *e)
{
	const struct {
		char **to;
		const char *base, *name;
	} paths[] = {
		{ &c->containers_dir, c->state_dir, "containers" },
		{ &c->images_dir, c->state_dir, "images" },
		{ &c->logs_dir, c->state_dir, "logs" },
		{ &c->locks_dir, c->run_dir, "locks" },
		{ &c->monitor_dir, c->run_dir, "monitor" },
		{ &c->tmp_dir, c->run_dir, "tmp" },
		{ &c->runtime_root, c->run_dir, "runtime" },
		{ &c->criu_tmp, c->run_dir, "tmp/criu" },
	};
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (!(*paths[i].to = mem_printf(e, "%s/%s", paths[i].base, paths[i].name)))
			return -1;
	c->rt = (struct runtime){ .root = c->runtime_root, .criu = c->criu, .criu_tmp = c->criu_tmp };
	return 0;
}

static int check_options(const struct core *c, struct err *e)
{
	const struct {
		const char *name, *value;
		bool path;
	} needed[] = { { "state-dir", c->state_dir, true },
		       { "run-dir", c->run_dir, true },
		       { "bin-dir", c->bin_dir, true },
		       { "cgroup-parent", c->cgroup_parent, true } };
	for (size_t i = 0; i < ARRAY_LEN(needed); i++)
		if (!needed[i].value || needed[i].value[0] != '/')
			return err_field(e, needed[i].name, "--%s needs an absolute path", needed[i].name);
	if (c->ids_start < 65536 || c->ids_count < 1 || c->ids_start + (uint64_t)c->ids_count * 65536 > UINT32_MAX)
		return err_field(e, "ids-start", "--ids-start and --ids-count must give ranges of 65536 between 65536 and %u", UINT32_MAX);
	return c->socket < 3 ? err_field(e, "socket-fd", "--socket-fd is needed, above 2") : 0;
}

/* STATE and RUN can be entered by the agent's user, who has things of his own there; what is ours cannot, but for the logs. */
static int make_folders(const struct core *c, struct err *e)
{
	const struct {
		const char *path;
		mode_t mode;
	} folders[] = {
		{ c->state_dir, 0755 }, { c->run_dir, 0755 },	  { c->containers_dir, 0711 }, { c->images_dir, 0700 }, { c->logs_dir, 0750 },
		{ c->locks_dir, 0700 }, { c->monitor_dir, 0700 }, { c->runtime_root, 0700 },   { c->tmp_dir, 0700 },
	};
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		if (file_mkdir_p(folders[i].path, folders[i].mode, e) < 0)
			return -1;
	if (c->log_gid != (gid_t)-1 && chown(c->logs_dir, 0, c->log_gid) < 0)
		return err_sys(e, errno, "chown %s", c->logs_dir);
	return 0;
}

/* CRIU's kernel cache and images on their way are on a tmpfs of ours: no page of a container touches a disk. */
static int mount_tmp(const struct core *c, struct err *e)
{
	struct stat tmp, run;
	auto_free char *moves = mem_printf(e, "%s/moves", c->tmp_dir);
	if (!moves || stat(c->tmp_dir, &tmp) < 0 || stat(c->run_dir, &run) < 0)
		return moves ? err_sys(e, errno, "stat %s", c->tmp_dir) : -1;
	if (tmp.st_dev == run.st_dev && mount("davit", c->tmp_dir, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700") < 0)
		return err_sys(e, errno, "mount a tmpfs on %s", c->tmp_dir);
	return file_mkdir_p(c->criu_tmp, 0700, e) < 0 ? -1 : file_mkdir_p(moves, 0700, e);
}

int serve_open(struct core *c, struct err *e)
{
	umask(022);
	if (check_options(c, e) < 0)
		return -1;
	if (!(c->policy = policy_file_read(c->policy_file, &davit__host_policy__descriptor, JSON_REFUSE, e)))
		return -1;
	if (!(c->config = policy_file_read(c->config_file, &davit__agent_config__descriptor, JSON_KEEP, e)))
		return -1;
	if (set_paths(c, e) < 0 || make_folders(c, e) < 0)
		return -1;
	c->lock = record_lock(c, ".core", CORE_WAIT_MS, e);
	if (c->lock < 0)
		return e->code == ERR_BUSY ? err_set(e, ERR_BUSY, 0, "another core serves %s", c->run_dir) : -1;
	return mount_tmp(c, e);
}

static int stop_at_first(void *arg, const char *name, struct err *e)
{
	(void)arg;
	return err_set(e, ERR_BUSY, 0, "container %s is there", name);
}

/* The parent of all cgroups goes with the last container. */
static void remove_cgroups(const struct core *c)
{
	struct err e = { 0 };
	auto_cgroup struct cgroup *parent = NULL;
	if (record_each(c, stop_at_first, NULL, &e) == 0 && cgroup_create(c->cgroup_parent, "parent", NULL, &parent, &e) == 0)
		(void)cgroup_remove(parent, &e);
}

/* A request that goes on without us may need it: then it stays for the next core. */
void serve_close(const struct core *c)
{
	auto_free char *moves = mem_printf(NULL, "%s/moves", c->tmp_dir);
	remove_cgroups(c);
	if (moves && rmdir(moves) == 0)
		(void)umount2(c->tmp_dir, UMOUNT_NOFOLLOW);
}
