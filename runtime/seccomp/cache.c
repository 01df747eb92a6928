/* Compiled filters kept on disk, because libseccomp needs about 10 ms for a profile of the usual size and a container starts in less.
 *
 * ROOT/@seccomp (mode 700; "@" is in no container's id) has 64 places; a hash of the key chooses one, and a later filter for the same place takes it
 * over, so that the folder cannot grow. A file holds the whole key (the profile's bytes, libseccomp's version, the kernel's release), which is
 * compared, so that the hash need not be strong. What is wrong with the folder or a file is no error: the filter is compiled then. */
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "base/file.h"
#include "base/log.h"
#include "proto/pb.h"
#include "runtime/seccomp/seccomp.h"

#define FOLDER "@seccomp"
#define PLACES 64
#define FORMAT 2
#define FILE_MAX (4 << 20)

struct header {
	uint32_t format, flags, notifies, key_len, bpf_len;
};

/* The folder, or -1 if it is not ours alone. */
static int open_folder(const char *root)
{
	auto_close int dir = file_open_dir(AT_FDCWD, root, NULL);
	struct stat st;
	if (dir < 0)
		return -1;
	mkdirat(dir, FOLDER, 0700);
	auto_close int fd = openat(dir, FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 077))
		return -1;
	return steal_fd(&fd);
}

static int make_key(const Davit__OciSeccomp *s, unsigned supervised, struct buf *key, struct err *e)
{
	struct utsname u;
	const struct scmp_version *v = seccomp_version();
	if (uname(&u) < 0)
		u.release[0] = '\0';
	if (buf_printf(key, e, "%s %u.%u.%u %s %u\n", DAVIT_VERSION, v ? v->major : 0, v ? v->minor : 0, v ? v->micro : 0, u.release, supervised) < 0)
		return -1;
	return s ? pb_pack(&s->base, key, e) : buf_puts(key, "none", e);
}

/* FNV-1a. */
static uint64_t hash(const struct buf *key)
{
	uint64_t h = 0xcbf29ce484222325;
	for (size_t i = 0; i < key->len; i++)
		h = (h ^ (unsigned char)key->data[i]) * 0x100000001b3;
	return h;
}

static bool get(int dir, const char *name, const struct buf *key, struct seccomp_filter *out)
{
	struct header h;
	size_t len;
	auto_free char *file = file_read(dir, name, FILE_MAX, &len, NULL);
	if (!file || len < sizeof(h))
		return false;
	memcpy(&h, file, sizeof(h));
	if (h.format != FORMAT || h.key_len != key->len || len != sizeof(h) + (size_t)h.key_len + h.bpf_len)
		return false;
	if (memcmp(file + sizeof(h), key->data, key->len) != 0)
		return false;
	*out = (struct seccomp_filter){ .flags = h.flags, .notifies = h.notifies };
	return buf_append(&out->bpf, file + sizeof(h) + h.key_len, h.bpf_len, NULL) == 0;
}

static void put(int dir, const char *name, const struct buf *key, const struct seccomp_filter *f)
{
	auto_buf struct buf file = { 0 };
	struct err e = { 0 };
	const struct header h = { FORMAT, f->flags, f->notifies, (uint32_t)key->len, (uint32_t)f->bpf.len };
	if (buf_append(&file, &h, sizeof(h), &e) < 0 || buf_append(&file, key->data, key->len, &e) < 0 ||
	    buf_append(&file, f->bpf.data, f->bpf.len, &e) < 0 || file_write_atomic(dir, name, file.data, file.len, 0600, false, &e) < 0)
		log_err(LOG_LEVEL_DEBUG, "keep a compiled seccomp filter", &e);
}

int seccomp_compile_cached(const char *root, const Davit__OciSeccomp *s, unsigned supervised, struct seccomp_filter *out, struct err *e)
{
	auto_buf struct buf key = { 0 };
	auto_close int dir = root ? open_folder(root) : -1;
	char name[16];
	if (dir < 0)
		return seccomp_compile(s, supervised, out, e);
	if (make_key(s, supervised, &key, e) < 0)
		return -1;
	snprintf(name, sizeof(name), "%02x", (unsigned)(hash(&key) % PLACES));
	if (get(dir, name, &key, out))
		return 0;
	if (seccomp_compile(s, supervised, out, e) < 0)
		return -1;
	put(dir, name, &key, out);
	return 0;
}
