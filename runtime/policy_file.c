/* See policy_file.h. */
#include "runtime/policy_file.h"
#include <errno.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "proto/pb.h"

#define FILE_MAX (1 << 20)

void *policy_file_read(const char *path, const ProtobufCMessageDescriptor *d, enum json_unknown unknown, struct err *e)
{
	struct stat st;
	size_t n = 0;
	auto_close int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	if (!path || (fd < 0 && errno == ENOENT))
		return pb_new(d, e);
	if (fd < 0 || fstat(fd, &st) < 0) {
		err_sys(e, errno, "open %s", path);
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & 022)) {
		err_set(e, ERR_DENIED, 0, "%s must be a plain file of root that nobody else can write", path);
		return NULL;
	}
	auto_free char *text = fd_read_all(fd, FILE_MAX, &n, e);
	void *m = text ? json_parse(d, text, n, unknown, NULL, e) : NULL;
	if (!m)
		err_prefix(e, "%s", path);
	return m;
}
