/* The digest of a tree: BLAKE2b-256 (RFC 7693, libsodium) over its entries in sorted order. Every part is preceded by its length, so that no two
 * trees give the same bytes. Times are left out: unpacking the same archive twice gives the same digest. */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "runtime/layer/layer.h"
#include "runtime/layer/tree.h"

#define READ_SIZE (256 * 1024)

struct digest {
	crypto_generichash_state state;
	uint8_t *buffer; /* READ_SIZE */
	uint64_t bytes, files;
};

static void add(struct digest *d, const void *p, size_t n)
{
	uint64_t len = n; /* of this machine's byte order: digests compare images of like machines */
	crypto_generichash_update(&d->state, (const uint8_t *)&len, sizeof(len));
	crypto_generichash_update(&d->state, p, n);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_xattr(struct digest *d, int fd, const char *name, const char *path, struct err *e)
{
	uint8_t value[65536]; /* XATTR_SIZE_MAX */
	ssize_t n = fgetxattr(fd, name, value, sizeof(value));
	if (n < 0)
		return err_sys(e, errno, "attribute %s of %s", name, path);
	add(d, name, strlen(name));
	add(d, value, (size_t)n);
	return 0;
}

static int add_xattrs(struct digest *d, const struct tree_entry *t, struct err *e)
{
	char names[65536]; /* XATTR_LIST_MAX */
	char *sorted[1024];
	size_t count = 0;
	ssize_t n = flistxattr(t->fd, names, sizeof(names));
	if (n < 0)
		return errno == ENOTSUP ? 0 : err_sys(e, errno, "attributes of %s", t->path);
	for (char *p = names; p < names + n && count < ARRAY_LEN(sorted); p += strlen(p) + 1)
		if (tree_xattr_travels(p))
			sorted[count++] = p;
	qsort(sorted, count, sizeof(*sorted), compare);
	for (size_t i = 0; i < count; i++)
		if (add_xattr(d, t->fd, sorted[i], t->path, e) < 0)
			return -1;
	return 0;
}

static int add_content(struct digest *d, const struct tree_entry *t, struct err *e)
{
	for (;;) {
		ssize_t n = read(t->fd, d->buffer, READ_SIZE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "read %s", t->path);
		if (n == 0)
			return 0;
		crypto_generichash_update(&d->state, d->buffer, (size_t)n);
		d->bytes += (uint64_t)n;
	}
}

static int visit(void *arg, const struct tree_entry *t, struct err *e)
{
	struct digest *d = arg;
	const bool plain = S_ISREG(t->st.st_mode), folder = S_ISDIR(t->st.st_mode), link = S_ISLNK(t->st.st_mode);
	const uint64_t numbers[] = { t->st.st_mode, t->st.st_uid, t->st.st_gid, plain ? (uint64_t)t->st.st_size : 0,
				     plain || folder || link ? 0 : t->st.st_rdev };
	char target[4096];
	d->files++;
	add(d, t->path, strlen(t->path));
	add(d, numbers, sizeof(numbers));
	if (link) {
		ssize_t n = readlinkat(t->fd, "", target, sizeof(target));
		if (n < 0)
			return err_sys(e, errno, "read link %s", t->path);
		add(d, target, (size_t)n);
	}
	if ((plain || folder) && add_xattrs(d, t, e) < 0)
		return -1;
	return plain ? add_content(d, t, e) : 0;
}

char *image_digest(int rootfs_fd, uint64_t *bytes, uint64_t *files, struct err *e)
{
	struct digest d = { 0 };
	uint8_t hash[crypto_generichash_BYTES];
	char hex[2 * sizeof(hash) + 1];
	auto_free uint8_t *buffer = mem_new(READ_SIZE, 1, e);
	if (!buffer)
		return NULL;
	d.buffer = buffer;
	crypto_generichash_init(&d.state, NULL, 0, sizeof(hash));
	if (tree_walk(rootfs_fd, visit, &d, e) < 0)
		return NULL;
	crypto_generichash_final(&d.state, hash, sizeof(hash));
	str_hex(hash, sizeof(hash), hex);
	*bytes = d.bytes;
	*files = d.files - 1; /* the root is not counted */
	return mem_printf(e, "blake2b:%s", hex);
}
