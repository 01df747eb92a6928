/* Options that a dump and a restore have in common. */
#pragma once
#include "base/err.h"
#include "criu.pb-c.h"
#include "oci.pb-c.h"
#include "runtime/container.h"

/* Deleted files that are still open travel inside the images up to this size. */
#define CRIU_GHOST_LIMIT (64 << 20)

/* As in runc: a file of options for criu, which go before ours. Empty: none. */
#define CRIU_CONFIG_ANNOTATION "org.criu.config"

struct criu_choices {
	bool tcp_established, tcp_close, ext_unix_sk, shell_job, file_locks, lazy_pages, auto_dedup;
	const char *lsm_profile, *lsm_mount_context;
};
/* Fills opts (a heap message). work_dirfd: for CRIU's log `log_file`. */
int criu_opts_common(const Davit__OciSpec *spec, const struct criu_choices *c, int work_dirfd, const char *log_file, Criu__CriuOpts *opts,
		     struct err *e);
/* "ADDRESS:PORT" of --page-server. */
int criu_opts_page_server(const char *text, Criu__CriuOpts *opts, struct err *e);
/* The folder for CRIU's kernel cache: the one asked for, else a private one on /dev/shm; NULL where there is none. Borrowed. */
const char *criu_tmp_dir(const struct runtime *rt);
