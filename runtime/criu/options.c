/* See options.h. */
#include "runtime/criu/options.h"
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "proto/pb.h"
#include "runtime/annotation.h"
#include "runtime/namespace.h"

#define SHM_FOLDER "/dev/shm/davit-criu"
#define LOG_LEVEL_CRIU 2 /* warnings; each line of more costs a write(2) */

static void set_flags(const Davit__OciSpec *spec, const struct criu_choices *c, Criu__CriuOpts *o)
{
	enum ns_how net = ns_how_of_spec(spec, NS_NETWORK);

	o->has_tcp_established = o->has_tcp_close = o->has_ext_unix_sk = o->has_shell_job = o->has_file_locks = o->has_lazy_pages = true;
	o->tcp_established = c->tcp_established;
	o->tcp_close = c->tcp_close;
	o->ext_unix_sk = c->ext_unix_sk;
	o->shell_job = c->shell_job;
	o->file_locks = c->file_locks;
	o->lazy_pages = c->lazy_pages;
	o->has_auto_dedup = true;
	o->auto_dedup = c->auto_dedup;
	o->has_link_remap = o->link_remap = true;
	o->has_notify_scripts = o->notify_scripts = true;
	o->has_orphan_pts_master = o->orphan_pts_master = true;
	o->has_ghost_limit = true;
	o->ghost_limit = CRIU_GHOST_LIMIT;
	/* A network namespace of the container's own is left out, and made anew by us: its links and addresses are the host's business, and packets
	 * are held at the bridge. In a shared one CRIU itself has to lock the connections. */
	o->has_network_lock = true;
	o->network_lock = net == NS_NEW ? CRIU__NETWORK_LOCK__LOCK_SKIP : CRIU__NETWORK_LOCK__LOCK_NFTABLES;
	if (net == NS_NEW) {
		o->has_empty_ns = true;
		o->empty_ns = CLONE_NEWNET;
	}
}

/* A dump without pages of its own has a file of ours already. */
static int set_config(const Davit__OciSpec *spec, Criu__CriuOpts *opts, struct err *e)
{
	const char *path = annotation_of_spec(spec, CRIU_CONFIG_ANNOTATION);

	if (!path || !*path || opts->config_file)
		return 0;
	if (*path != '/' || access(path, R_OK) < 0) {
		err_field(e, "annotations." CRIU_CONFIG_ANNOTATION, "%s: %s", path, *path == '/' ? strerror(errno) : "not an absolute path");
		return err_remedy(e, "name a file that is there, with options of criu(8)");
	}
	return pb_set_str(&opts->config_file, path, e);
}

int criu_opts_common(const Davit__OciSpec *spec, const struct criu_choices *c, int work_dirfd, const char *log_file, Criu__CriuOpts *opts,
		     struct err *e)
{
	set_flags(spec, c, opts);
	if (set_config(spec, opts, e) < 0)
		return -1;
	opts->has_work_dir_fd = opts->has_log_level = opts->has_manage_cgroups_mode = true;
	opts->work_dir_fd = work_dirfd;
	opts->log_level = log_level() == LOG_LEVEL_DEBUG ? 4 : LOG_LEVEL_CRIU;
	opts->manage_cgroups_mode = CRIU__CGROUP_MODE__CG_IGNORE;
	if (c->lsm_profile && pb_set_str(&opts->lsm_profile, c->lsm_profile, e) < 0)
		return -1;
	if (c->lsm_mount_context && pb_set_str(&opts->lsm_mount_context, c->lsm_mount_context, e) < 0)
		return -1;
	return pb_set_str(&opts->log_file, log_file, e);
}

int criu_opts_page_server(const char *text, Criu__CriuOpts *opts, struct err *e)
{
	const char *colon = strrchr(text, ':');
	uint64_t port;

	if (!colon || colon == text || str_to_u64(colon + 1, 1, 65535, &port, "page-server", NULL) < 0) {
		err_field(e, "page-server", "\"%s\" is not ADDRESS:PORT", text);
		return err_remedy(e, "write for example 10.0.0.2:9999");
	}
	auto_free char *address = mem_printf(e, "%.*s", (int)(colon - text), text);
	if (!address || (!opts->ps && !(opts->ps = pb_new(&criu__page_server__descriptor, e))))
		return -1;
	opts->ps->has_port = true;
	opts->ps->port = (int32_t)port;
	return pb_set_str(&opts->ps->address, address, e);
}

const char *criu_tmp_dir(const struct runtime *rt)
{
	struct stat st;

	if (rt->criu_tmp)
		return rt->criu_tmp;
	if (mkdir(SHM_FOLDER, 0700) < 0 && errno != EEXIST)
		return NULL;
	/* /dev/shm is everybody's: a folder that is not ours alone is not used. */
	if (lstat(SHM_FOLDER, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
		return NULL;
	return SHM_FOLDER;
}
