/* Which criu to use, and what it can do.
 *
 * A candidate is asked for its version and for its own check of the running kernel, which takes up to 0.2 s; so the answer is kept in cache_dir/criu
 * for this boot and these very files (boot id, inodes, times of change). */
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
#define CACHE_LINE_MAX 8192

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

struct list {
	const char *const *paths;
	size_t n;
	const char *cache_file;
};

static struct list list_of(const char *const *configured)
{
	return *configured ? (struct list){ configured, 1, CACHE_FILE_CONFIGURED } : (struct list){ candidates, ARRAY_LEN(candidates), CACHE_FILE };
}

/* "BOOT_ID INODE CHANGE_TIME PATH…", of the i-th and of those before it that exist: one that was installed or changed since could be fit now. */
static int cache_line(const struct list *l, size_t i, struct buf *line, struct err *e)
{
	char boot_id[37];
	struct stat st;

	if (proc_boot_id(boot_id, e) < 0 || buf_printf(line, e, "%s", boot_id) < 0)
		return -1;
	for (size_t k = 0; k <= i; k++) {
		if (stat(l->paths[k], &st) < 0) {
			if (k == i)
				return err_sys(e, errno, "%s", l->paths[k]);
		} else if (buf_printf(line, e, " %lu %ld %s", (unsigned long)st.st_ino, (long)st.st_ctime, l->paths[k]) < 0) {
			return -1;
		}
	}
	return 0;
}

static char *cached(int dirfd, const struct list *l)
{
	char known[CACHE_LINE_MAX];

	if (file_read_line(dirfd, l->cache_file, known, sizeof(known), NULL) < 0)
		return NULL;
	for (size_t i = 0; i < l->n; i++) {
		auto_buf struct buf line = { 0 };
		if (cache_line(l, i, &line, NULL) == 0 && str_eq(line.data, known))
			return mem_strdup(l->paths[i], NULL);
	}
	return NULL;
}

static char *found(int dirfd, const struct list *l, size_t i, struct err *e)
{
	auto_buf struct buf line = { 0 };
	if (dirfd >= 0 && cache_line(l, i, &line, NULL) == 0)
		file_write_atomic(dirfd, l->cache_file, line.data, line.len, 0600, false, NULL); /* without it the next search takes longer */
	return mem_strdup(l->paths[i], e);
}

char *criu_known(const char *configured, const char *cache_dir)
{
	const struct list l = list_of(&configured);
	auto_close int dirfd = cache_dir ? file_open_dir(AT_FDCWD, cache_dir, NULL) : -1;
	return dirfd < 0 ? NULL : cached(dirfd, &l);
}

char *criu_find(const char *configured, const char *cache_dir, struct err *e)
{
	const struct list l = list_of(&configured);
	auto_buf struct buf reasons = { 0 };

	char *known = criu_known(configured, cache_dir);
	if (known)
		return known;
	auto_close int dirfd = cache_dir ? file_open_dir(AT_FDCWD, cache_dir, NULL) : -1;
	for (size_t i = 0; i < l.n; i++) {
		struct err cause = { 0 };
		if (check(l.paths[i], cache_dir, &cause) == 0)
			return found(dirfd, &l, i, e);
		if ((cause.code != ERR_NOT_FOUND || configured) && buf_printf(&reasons, e, "; %s", cause.msg) < 0)
			return NULL;
	}
	err_set(e, ERR_UNSUPPORTED, 0, "no criu works here%s", reasons.len ? reasons.data : ": none is installed");
	err_remedy(e, "install criu %d.%d or newer, or run `make deps`", CRIU_VERSION_MIN / 10000, CRIU_VERSION_MIN / 100 % 100);
	return NULL;
}
