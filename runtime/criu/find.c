/* Which criu to use, and what it can do.
 *
 * A candidate is asked for its version and for its own check of the running kernel, which takes up to 0.2 s; so the answer is kept in cache_dir/criu
 * for this boot and this very file (boot id, inode, time of change). */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/proc.h"
#include "base/str.h"
#include "proto/pb.h"
#include "runtime/criu/criu.h"

/* Apart, so that what one caller names is not what another finds. */
#define CACHE_FILE "criu"
#define CACHE_FILE_CONFIGURED "criu-configured"

/* Fixed, not $PATH: who calls us does not choose which program runs as root. */
static const char *const candidates[] = {
	"/usr/lib/davit/criu/sbin/criu",
	DAVIT_PREFIX "/lib/davit/criu/sbin/criu",
	"/usr/local/sbin/criu",
	"/usr/sbin/criu",
	"/usr/bin/criu",
	"/sbin/criu",
};

static Criu__CriuResp *ask(const char *criu, const char *tmp_dir, const Criu__CriuReq *req, struct err *e)
{
	struct criu_call c = { .criu = criu, .req = req, .timens_fd = -1, .tmp_dir = tmp_dir, .log_dirfd = -1, .cancel_fd = -1 };
	if (req->opts) {
		c.fds = &req->opts->images_dir_fd;
		c.nfds = 1;
	}
	return criu_run(&c, NULL, e);
}

int criu_version(const char *criu, struct err *e)
{
	Criu__CriuReq req = CRIU__CRIU_REQ__INIT;

	req.type = CRIU__REQ_TYPE__REQ_VERSION;
	auto_pb(Criu__CriuResp) *resp = ask(criu, NULL, &req, e);
	if (!resp)
		return -1;
	if (!resp->version)
		return err_set(e, ERR_CRIU, 0, "%s tells no version", criu);
	const Criu__Version *v = resp->version;
	return v->major_number * 10000 + v->minor_number * 100 + (v->has_sublevel ? v->sublevel : 0);
}

int criu_features(const char *criu, const char *tmp_dir, Criu__Features *out, struct err *e)
{
	Criu__CriuReq req = CRIU__CRIU_REQ__INIT;
	Criu__Features all = CRIU__FEATURES__INIT;

	all.has_mem_track = all.mem_track = all.has_lazy_pages = all.lazy_pages = all.has_pidfd_store = all.pidfd_store = true;
	req.type = CRIU__REQ_TYPE__REQ_FEATURE_CHECK;
	req.features = &all;
	auto_pb(Criu__CriuResp) *resp = ask(criu, tmp_dir, &req, e);
	if (!resp)
		return -1;
	criu__features__init(out);
	if (!resp->features)
		return 0;
	out->has_mem_track = out->has_lazy_pages = out->has_pidfd_store = true;
	out->mem_track = resp->features->mem_track;
	out->lazy_pages = resp->features->lazy_pages;
	out->pidfd_store = resp->features->pidfd_store;
	return 0;
}

static int check(const char *criu, const char *tmp_dir, struct err *e)
{
	Criu__CriuReq req = CRIU__CRIU_REQ__INIT;
	/* It needs none, but criu 4.1 reads them all the same, and wants a folder for images that it does not look at. */
	Criu__CriuOpts opts = CRIU__CRIU_OPTS__INIT;

	if (access(criu, X_OK) < 0)
		return err_sys(e, errno, "%s", criu);
	int version = criu_version(criu, e);
	if (version < 0)
		return err_prefix(e, "%s", criu);
	if (version < CRIU_VERSION_MIN)
		return err_set(e, ERR_UNSUPPORTED, 0, "%s: version %d.%d.%d is older than %d.%d", criu, version / 10000, version / 100 % 100,
			       version % 100, CRIU_VERSION_MIN / 10000, CRIU_VERSION_MIN / 100 % 100);
	req.type = CRIU__REQ_TYPE__REQ_CHECK;
	auto_close int folder = file_open_dir(AT_FDCWD, "/", e);
	if (folder < 0)
		return -1;
	opts.images_dir_fd = folder;
	req.opts = &opts;
	auto_pb(Criu__CriuResp) *resp = ask(criu, tmp_dir, &req, e);
	return resp ? 0 : err_prefix(e, "%s does not work on this kernel", criu);
}

/* "BOOT_ID INODE CHANGE_TIME PATH" */
static char *cache_line(const char *criu, struct err *e)
{
	char boot_id[37];
	struct stat st;

	if (proc_boot_id(boot_id, e) < 0)
		return NULL;
	if (stat(criu, &st) < 0) {
		err_sys(e, errno, "%s", criu);
		return NULL;
	}
	return mem_printf(e, "%s %lu %ld %s", boot_id, (unsigned long)st.st_ino, (long)st.st_ctime, criu);
}

static const char *cache_file(const char *configured)
{
	return configured ? CACHE_FILE_CONFIGURED : CACHE_FILE;
}

static char *cached(int dirfd, const char *configured)
{
	char line[PATH_MAX];

	if (file_read_line(dirfd, cache_file(configured), line, sizeof(line), NULL) < 0)
		return NULL;
	const char *path = strchr(line, '/');
	auto_free char *now = path ? cache_line(path, NULL) : NULL;
	if (!str_eq(now, line) || (configured && !str_eq(path, configured)))
		return NULL;
	return mem_strdup(path, NULL);
}

static char *found(const char *criu, const char *configured, int dirfd, struct err *e)
{
	auto_free char *line = dirfd >= 0 ? cache_line(criu, NULL) : NULL;
	if (line)
		file_write_atomic(dirfd, cache_file(configured), line, strlen(line), 0600, false, NULL); /* without it the next search takes longer */
	return mem_strdup(criu, e);
}

char *criu_find(const char *configured, const char *cache_dir, struct err *e)
{
	const char *const one[] = { configured };
	const char *const *list = configured ? one : candidates;
	size_t n = configured ? 1 : ARRAY_LEN(candidates);
	auto_buf struct buf reasons = { 0 };

	auto_close int dirfd = cache_dir ? file_open_dir(AT_FDCWD, cache_dir, NULL) : -1;
	char *known = dirfd >= 0 ? cached(dirfd, configured) : NULL;
	if (known)
		return known;
	for (size_t i = 0; i < n; i++) {
		struct err cause = { 0 };
		if (check(list[i], cache_dir, &cause) == 0)
			return found(list[i], configured, dirfd, e);
		if ((cause.code != ERR_NOT_FOUND || configured) && buf_printf(&reasons, e, "; %s", cause.msg) < 0)
			return NULL;
	}
	err_set(e, ERR_UNSUPPORTED, 0, "no criu works here%s", reasons.len ? reasons.data : ": none is installed");
	err_remedy(e, "install criu %d.%d or newer, or run `make deps`", CRIU_VERSION_MIN / 10000, CRIU_VERSION_MIN / 100 % 100);
	return NULL;
}
