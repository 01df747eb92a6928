/* A layer as a tar (libarchive, pax), and back through the jail. Sources: tar(5), libarchive-formats(5), lseek(2) (SEEK_DATA), overlayfs.rst.
 *
 * Names are taken as bytes (hdrcharset=BINARY), so that a name in no known charset comes back the same. Unix sockets are left out: tar has no entry
 * for them, and CRIU makes anew those it restores. */
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/path.h"
#include "runtime/layer/export.h"
#include "runtime/layer/import.h"
#include "runtime/layer/layer.h"
#include "runtime/layer/lazy_archive.h"
#include "runtime/layer/tree.h"

#define READ_SIZE (256 * 1024)
#define HOLE_SIZE (1 << 20)
#define HEAD_SIZE 1024 /* of most entries, with their times and attributes */

static la_ssize_t write_out(struct archive *a, void *arg, const void *p, size_t n)
{
	struct export *x = arg;
	if (fd_write_all(x->fd, p, n, &x->write_error) < 0) {
		archive_set_error(a, EIO, "write");
		return -1;
	}
	x->bytes += n;
	return (la_ssize_t)n;
}

static int fail(const struct export *x, struct archive *a, const char *path, struct err *e)
{
	if (!x->write_error.code)
		return err_set(e, ERR_IO, 0, "pack %s: %s", path, archive_error_string(a));
	if (e)
		*e = x->write_error;
	return err_prefix(e, "send the layer");
}

static int add_xattrs(struct archive_entry *entry, const struct tree_entry *t, struct err *e)
{
	char names[65536], value[65536]; /* XATTR_LIST_MAX, XATTR_SIZE_MAX */
	ssize_t n = flistxattr(t->fd, names, sizeof(names));
	if (n < 0 && errno != ENOTSUP)
		return err_sys(e, errno, "attributes of %s", t->path);
	for (const char *name = names; n > 0 && name < names + n; name += strlen(name) + 1) {
		if (!tree_xattr_travels(name) || strncmp(name, "system.", 7) == 0)
			continue; /* ACLs are told in tar's own way */
		ssize_t len = fgetxattr(t->fd, name, value, sizeof(value));
		if (len < 0)
			return err_sys(e, errno, "attribute %s of %s", name, t->path);
		archive_entry_xattr_add_entry(entry, name, value, (size_t)len);
	}
	return 0;
}

static int add_link_target(struct archive_entry *entry, const struct tree_entry *t, struct err *e)
{
	char target[4097];
	ssize_t n = readlinkat(t->fd, "", target, sizeof(target) - 1);
	if (n < 0)
		return err_sys(e, errno, "read link %s", t->path);
	target[n] = '\0';
	archive_entry_copy_symlink(entry, target);
	return 0;
}

/* Where its data lies, if it has holes. */
static void add_holes(struct archive_entry *entry, const struct tree_entry *t)
{
	if ((uint64_t)t->st.st_blocks * 512 >= (uint64_t)t->st.st_size)
		return;
	off_t at = 0, end;
	while ((at = lseek(t->fd, at, SEEK_DATA)) >= 0 && at < t->st.st_size && (end = lseek(t->fd, at, SEEK_HOLE)) > at) {
		archive_entry_sparse_add_entry(entry, at, MIN(end, t->st.st_size) - at);
		at = end;
	}
	/* A file that is one hole: an empty region at its end says so. */
	if (!archive_entry_sparse_count(entry))
		archive_entry_sparse_add_entry(entry, t->st.st_size, 0);
	lseek(t->fd, 0, SEEK_SET);
}

static int describe(struct export *x, struct archive_entry *entry, const struct tree_entry *t, struct err *e)
{
	archive_entry_copy_pathname(entry, t->path);
	archive_entry_copy_stat(entry, &t->st);
	if (S_ISLNK(t->st.st_mode))
		return add_link_target(entry, t, e);
	if (!S_ISREG(t->st.st_mode) && !S_ISDIR(t->st.st_mode))
		return 0;
	archive_entry_copy_sourcepath(entry, path_of_fd(t->fd).s); /* a folder's default ACL is read by path */
	if (archive_read_disk_entry_from_file(x->disk, entry, t->fd, &t->st) < ARCHIVE_WARN)
		return fail(x, x->disk, t->path, e);
	if (S_ISREG(t->st.st_mode))
		add_holes(entry, t);
	return add_xattrs(entry, t, e);
}

static int write_hole(struct export *x, off_t n, const char *path, struct err *e)
{
	while (n > 0) {
		la_ssize_t done = archive_write_data(x->tar, x->zero, (size_t)MIN(n, HOLE_SIZE));
		if (done <= 0)
			return fail(x, x->tar, path, e);
		n -= done;
	}
	return 0;
}

static int write_region(struct export *x, const struct tree_entry *t, off_t at, off_t n, struct err *e)
{
	while (n > 0) {
		ssize_t got = pread(t->fd, x->buffer, (size_t)MIN(n, READ_SIZE), at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, errno, "read %s", t->path);
		if (got == 0 && x->running) {
			x->torn = true;
			return write_hole(x, n, t->path, e);
		}
		if (got == 0)
			return err_set(e, ERR_IO, 0, "%s became shorter while it was read", t->path);
		if (archive_write_data(x->tar, x->buffer, (size_t)got) != got)
			return fail(x, x->tar, t->path, e);
		x->told += (uint64_t)got;
		at += got;
		n -= got;
	}
	return 0;
}

static int write_content(struct export *x, struct archive_entry *entry, const struct tree_entry *t, struct err *e)
{
	la_int64_t start, len;
	off_t at = 0;
	if (!archive_entry_sparse_reset(entry))
		return write_region(x, t, 0, t->st.st_size, e);
	while (archive_entry_sparse_next(entry, &start, &len) == ARCHIVE_OK) {
		if (write_hole(x, start - at, t->path, e) < 0 || write_region(x, t, start, len, e) < 0)
			return -1;
		at = start + len;
	}
	return write_hole(x, t->st.st_size - at, t->path, e);
}

int export_entry(void *arg, const struct tree_entry *t, struct err *e)
{
	struct export *x = arg;
	if (S_ISSOCK(t->st.st_mode))
		return 0;
	struct archive_entry *entry = archive_entry_new(), *later = NULL;
	int rc = entry ? describe(x, entry, t, e) : err_set(e, ERR_RESOURCE, ENOMEM, "pack %s", t->path);
	if (rc == 0) {
		x->told += HEAD_SIZE;
		archive_entry_linkify(x->links, &entry, &later);
		if (archive_write_header(x->tar, entry) != ARCHIVE_OK)
			rc = fail(x, x->tar, t->path, e);
		else if (S_ISREG(t->st.st_mode) && !archive_entry_hardlink(entry))
			rc = write_content(x, entry, t, e);
	}
	archive_entry_free(entry);
	return rc;
}

int export_word(struct export *x, const char *path, const char *word, struct err *e)
{
	struct archive_entry *entry = archive_entry_new();
	struct stat plain = { .st_mode = S_IFREG };
	if (!entry)
		return err_set(e, ERR_RESOURCE, ENOMEM, "pack %s", path);
	archive_entry_copy_stat(entry, &plain);
	archive_entry_copy_pathname(entry, path);
	archive_entry_xattr_add_entry(entry, word, "1", 1); /* an empty one does not travel */
	int rc = archive_write_header(x->tar, entry) == ARCHIVE_OK ? 0 : fail(x, x->tar, path, e);
	archive_entry_free(entry);
	return rc;
}

static int new_links(struct export *x, struct err *e)
{
	if (!(x->links = archive_entry_linkresolver_new()))
		return err_set(e, ERR_RESOURCE, ENOMEM, "pack a layer");
	archive_entry_linkresolver_set_strategy(x->links, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE);
	return 0;
}

int export_next_pass(struct export *x, struct err *e)
{
	archive_entry_linkresolver_free(x->links);
	return new_links(x, e);
}

int export_end(struct export *x, struct err *e)
{
	return archive_write_close(x->tar) == ARCHIVE_OK ? 0 : fail(x, x->tar, "the end", e);
}

int export_open(struct export *x, int fd, struct err *e)
{
	*x = (struct export){ .fd = fd };
	if (lazy_archive(e) < 0)
		return -1;
	x->tar = archive_write_new();
	x->disk = archive_read_disk_new();
	x->buffer = mem_new(READ_SIZE, 1, e);
	x->zero = mem_new(HOLE_SIZE, 1, e);
	if (!x->tar || !x->disk || !x->buffer || !x->zero)
		return err_set(e, ERR_RESOURCE, ENOMEM, "pack a layer");
	if (new_links(x, e) < 0)
		return -1;
	archive_read_disk_set_behavior(x->disk, ARCHIVE_READDISK_NO_XATTR | ARCHIVE_READDISK_NO_FFLAGS | ARCHIVE_READDISK_NO_SPARSE);
	if (archive_write_set_format_pax(x->tar) != ARCHIVE_OK ||
	    archive_write_set_format_option(x->tar, "pax", "hdrcharset", "BINARY") != ARCHIVE_OK ||
	    archive_write_set_bytes_per_block(x->tar, READ_SIZE) != ARCHIVE_OK || archive_write_set_bytes_in_last_block(x->tar, 1) != ARCHIVE_OK ||
	    archive_write_open(x->tar, x, NULL, write_out, NULL) != ARCHIVE_OK)
		return fail(x, x->tar, "a layer", e);
	return 0;
}

void export_close(struct export *x)
{
	if (!x->tar)
		return;
	archive_write_free(x->tar);
	archive_read_free(x->disk);
	archive_entry_linkresolver_free(x->links);
	free(x->buffer);
	free((void *)x->zero);
}

int layer_open_upper(const char *layer_dir, struct err *e)
{
	auto_free char *path = mem_printf(e, "%s/upper", layer_dir);
	if (!path)
		return -1;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(e, errno, "open the layer %s", path) : fd;
}

int layer_export(const char *layer_dir, int fd, uint64_t *bytes, struct err *e)
{
	struct export x = { 0 };
	auto_close int upper = layer_open_upper(layer_dir, e);
	if (upper < 0)
		return -1;
	int rc = export_open(&x, fd, e);
	if (rc == 0)
		rc = tree_walk(upper, export_entry, &x, e);
	if (rc == 0)
		rc = export_end(&x, e);
	export_close(&x);
	*bytes = x.bytes;
	return rc;
}

static int add_size(void *arg, const struct tree_entry *t, struct err *e)
{
	uint64_t *bytes = arg;
	(void)e;
	if (S_ISREG(t->st.st_mode))
		*bytes += (uint64_t)t->st.st_blocks * 512;
	return 0;
}

int layer_bytes(const char *layer_dir, uint64_t *bytes, struct err *e)
{
	*bytes = 0;
	auto_close int upper = layer_open_upper(layer_dir, e);
	return upper < 0 ? -1 : tree_walk(upper, add_size, bytes, e);
}
