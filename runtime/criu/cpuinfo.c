/* The instructions of a CPU, as CRIU tells and compares them. Its image goes through a folder that only we see and that is gone afterwards. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"
#include "proto/pb.h"
#include "runtime/criu/criu.h"

#define IMAGE "cpuinfo.img"
#define LOG "cpuinfo.log"
#define IMAGE_MAX (256 << 10)

struct folder {
	char path[32];
	int fd;
};

static void folder_remove(struct folder *f)
{
	fd_closep(&f->fd);
	if (f->path[0])
		file_remove_tree(AT_FDCWD, f->path, NULL);
}

static int folder_make(struct folder *f, struct err *e)
{
	static const char template[] = "/tmp/davit-cpuinfo.XXXXXX";

	memcpy(f->path, template, sizeof(template));
	if (!mkdtemp(f->path)) {
		f->path[0] = '\0';
		return err_sys(e, errno, "make a folder in /tmp");
	}
	f->fd = file_open_dir(AT_FDCWD, f->path, e);
	return f->fd < 0 ? -1 : 0;
}

static int ask(const char *criu, Criu__ReqType type, const struct folder *f, struct err *e)
{
	Criu__CriuReq req = CRIU__CRIU_REQ__INIT;
	Criu__CriuOpts opts = CRIU__CRIU_OPTS__INIT;

	opts.images_dir_fd = f->fd;
	opts.log_file = LOG;
	req.type = type;
	req.opts = &opts;
	struct criu_call c = { .criu = criu, .req = &req, .timens_fd = -1, .log_dirfd = f->fd, .cancel_fd = -1 };
	auto_pb(Criu__CriuResp) *resp = criu_run(&c, NULL, e);
	return resp ? 0 : -1;
}

int criu_cpuinfo(const char *criu, struct buf *out, struct err *e)
{
	auto_cleanup(folder_remove) struct folder f = { .fd = -1 };
	size_t n;

	if (folder_make(&f, e) < 0 || ask(criu, CRIU__REQ_TYPE__REQ_CPUINFO_DUMP, &f, e) < 0)
		return -1;
	auto_free char *image = file_read(f.fd, IMAGE, IMAGE_MAX, &n, e);
	return image ? buf_append(out, image, n, e) : -1;
}

int criu_cpuinfo_check(const char *criu, const void *image, size_t n, struct err *e)
{
	auto_cleanup(folder_remove) struct folder f = { .fd = -1 };

	if (n > IMAGE_MAX)
		return err_set(e, ERR_LIMIT, 0, "an image of a CPU has %zu bytes, at most %d", n, IMAGE_MAX);
	if (folder_make(&f, e) < 0 || file_write_atomic(f.fd, IMAGE, image, n, 0600, false, e) < 0)
		return -1;
	if (ask(criu, CRIU__REQ_TYPE__REQ_CPUINFO_CHECK, &f, e) == 0)
		return 0;
	if (e && e->code == ERR_CRIU) {
		e->code = ERR_INCOMPATIBLE;
		err_remedy(e, "choose a host whose CPU has every instruction of this one's");
	}
	return -1;
}
