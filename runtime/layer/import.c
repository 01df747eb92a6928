/* Unpacking a tar (libarchive: ustar, pax, GNU). Runs inside the jail only; "/" is the folder that is filled.
 *
 * The jail makes escapes impossible; names that try are refused all the same, since what follows would be something else than what was packed:
 * absolute names, "..", sockets. Everything else is as in the archive: owners by number, modes, times, hard links, sparse files, devices, ACLs,
 * attributes. */
#include "runtime/layer/import.h"
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>
#include "base/fd.h"
#include "base/str.h"
#include "runtime/layer/export.h"
#include "runtime/layer/lazy_archive.h"
#include "runtime/layer/tree.h"

#define FREE_MARGIN (64ULL << 20)
#define FILES_DEFAULT 10000000
#define TRAILER_MAX (16 << 20)
#define XATTRS_MAX 256

int import_limits(int dirfd, const struct layer_limits *lim, struct layer_limits *out, struct err *e)
{
	struct statvfs fs;
	*out = lim ? *lim : (struct layer_limits){ 0 };
	if (!out->files)
		out->files = FILES_DEFAULT;
	if (out->bytes)
		return 0;
	if (fstatvfs(dirfd, &fs) < 0)
		return err_sys(e, errno, "free disk space");
	uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (free_bytes <= FREE_MARGIN)
		return err_set(e, ERR_RESOURCE, ENOSPC, "only %llu bytes of disk are free", (unsigned long long)free_bytes);
	out->bytes = free_bytes - FREE_MARGIN;
	return 0;
}

/* ERR_CORRUPT unless a system call was behind it. */
static int fail(struct archive *a, const char *what, struct err *e)
{
	int sys = archive_errno(a);
	const char *text = archive_error_string(a);
	enum err_code code = sys == ENOSPC || sys == EDQUOT || sys == ENOMEM ? ERR_RESOURCE : sys == EIO ? ERR_IO : ERR_CORRUPT;
	return err_set(e, code, 0, "%s: %s", what, text ? text : "the archive is damaged");
}

static int check_name(const char *name, const char *what, struct err *e)
{
	if (!name || !*name)
		return err_set(e, ERR_INVALID, 0, "the archive holds an entry without a %s", what);
	if (*name == '/')
		return err_set(e, ERR_INVALID, 0, "the archive holds an absolute %s: %s", what, name);
	for (const char *p = name; p; p = strchr(p, '/'), p = p ? p + 1 : NULL)
		if (str_prefix(p, "..") && (p[2] == '/' || !p[2]))
			return err_set(e, ERR_INVALID, 0, "the archive holds a %s with \"..\": %s", what, name);
	return 0;
}

static int check_entry(struct archive_entry *entry, struct err *e)
{
	const char *name = archive_entry_pathname(entry), *link = archive_entry_hardlink(entry);
	if (check_name(name, "name", e) < 0 || (link && check_name(link, "hard link", e) < 0))
		return -1;
	if (!link && (archive_entry_filetype(entry) == AE_IFSOCK || !archive_entry_filetype(entry)))
		return err_set(e, ERR_INVALID, 0, "the archive holds %s, of a type that cannot be unpacked", name);
	return 0;
}

struct xattr {
	char *name;
	void *value;
	size_t n;
};

/* Leaves only attributes that travel; `overlay`: overlay's too. */
static int filter_xattrs(struct archive_entry *entry, bool overlay, struct err *e)
{
	struct xattr kept[XATTRS_MAX];
	size_t n = 0, size;
	const char *name;
	const void *value;
	int rc = 0;
	if (!archive_entry_xattr_reset(entry))
		return 0;
	while (rc == 0 && archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
		if (!tree_xattr_travels(name) || (!overlay && str_prefix(name, "trusted.")))
			continue;
		if (n == XATTRS_MAX) {
			rc = err_set(e, ERR_LIMIT, 0, "%s has more than %d extended attributes", archive_entry_pathname(entry), XATTRS_MAX);
			break;
		}
		kept[n] = (struct xattr){ mem_strdup(name, e), mem_new(size + 1, 1, e), size };
		if (!kept[n].name || !kept[n].value)
			rc = -1;
		else
			memcpy(kept[n].value, value, size);
		n++;
	}
	archive_entry_xattr_clear(entry);
	for (size_t i = 0; i < n; i++) {
		if (rc == 0)
			archive_entry_xattr_add_entry(entry, kept[i].name, kept[i].value, kept[i].n);
		free(kept[i].name);
		free(kept[i].value);
	}
	return rc;
}

static int copy_data(struct archive *in, struct archive *out, struct archive_entry *entry, const struct layer_limits *lim, struct jail_counts *counts,
		     struct err *e)
{
	const void *block;
	size_t n;
	la_int64_t offset;
	for (;;) {
		int rc = archive_read_data_block(in, &block, &n, &offset);
		if (rc == ARCHIVE_EOF)
			return 0;
		if (rc != ARCHIVE_OK)
			return fail(in, archive_entry_pathname(entry), e);
		counts->bytes += n;
		if (counts->bytes > lim->bytes)
			return err_set(e, ERR_LIMIT, 0, "the archive holds more than %llu bytes", (unsigned long long)lim->bytes);
		if (archive_write_data_block(out, block, n, offset) != ARCHIVE_OK)
			return fail(out, archive_entry_pathname(entry), e);
	}
}

struct unpack {
	struct archive *in, *out;
	bool overlay;
	struct layer_limits lim;
	struct jail_counts *counts;
};

static struct archive *open_disk(struct err *e)
{
	struct archive *out = archive_write_disk_new();
	if (!out)
		err_set(e, ERR_RESOURCE, ENOMEM, "unpack an archive");
	else
		archive_write_disk_set_options(out, ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_ACL |
							ARCHIVE_EXTRACT_XATTR | ARCHIVE_EXTRACT_SECURE_NODOTDOT |
							ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS);
	return out;
}

/* Owners, modes and times of folders are given now. */
static int finish_folders(const struct unpack *u, struct err *e)
{
	return archive_write_close(u->out) == ARCHIVE_OK ? 0 : fail(u->out, "finish folders", e);
}

static int remove_entry(const char *name, struct err *e)
{
	if (unlinkat(AT_FDCWD, name, 0) == 0 || errno == ENOENT || errno == ENOTDIR)
		return 0;
	if (unlinkat(AT_FDCWD, name, AT_REMOVEDIR) == 0)
		return 0;
	return err_sys(e, errno, "remove %s, which is gone in the layer", name);
}

/* An entry that is a word of a layer's passes (export.h) is taken by its meaning. 1: it was one; 0; -1. */
static int take_word(struct unpack *u, struct archive_entry *entry, struct err *e)
{
	const char *word = NULL;
	const void *value;
	size_t size;
	if (!u->overlay || !archive_entry_xattr_reset(entry) || archive_entry_xattr_next(entry, &word, &value, &size) != ARCHIVE_OK)
		return 0;
	if (str_eq(word, EXPORT_REMOVED))
		return remove_entry(archive_entry_pathname(entry), e) < 0 ? -1 : 1;
	if (!str_eq(word, EXPORT_PASS))
		return 0;
	int rc = finish_folders(u, e);
	archive_write_free(u->out);
	u->out = open_disk(e);
	/* What was sent twice takes its place once. */
	struct statvfs fs;
	if (statvfs("/", &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize > FREE_MARGIN)
		u->lim.bytes = MAX(u->lim.bytes, u->counts->bytes + (uint64_t)fs.f_bavail * fs.f_frsize - FREE_MARGIN);
	return u->out && rc == 0 ? 1 : -1;
}

static int unpack_entry(struct unpack *u, struct archive_entry *entry, struct err *e)
{
	if (++u->counts->files > u->lim.files)
		return err_set(e, ERR_LIMIT, 0, "the archive holds more than %llu files", (unsigned long long)u->lim.files);
	if (check_entry(entry, e) < 0)
		return -1;
	int word = take_word(u, entry, e);
	if (word != 0)
		return word < 0 ? -1 : 0;
	if (filter_xattrs(entry, u->overlay, e) < 0)
		return -1;
	if (archive_write_header(u->out, entry) != ARCHIVE_OK)
		return fail(u->out, archive_entry_pathname(entry), e);
	if (copy_data(u->in, u->out, entry, &u->lim, u->counts, e) < 0)
		return -1;
	return archive_write_finish_entry(u->out) == ARCHIVE_OK ? 0 : fail(u->out, archive_entry_pathname(entry), e);
}

static int unpack_all(struct unpack *u, struct err *e)
{
	struct archive_entry *entry;
	for (;;) {
		int rc = archive_read_next_header(u->in, &entry);
		if (rc == ARCHIVE_EOF)
			break;
		if (rc != ARCHIVE_OK)
			return fail(u->in, "read the archive", e);
		if (unpack_entry(u, entry, e) < 0)
			return -1;
	}
	if (!u->counts->files)
		return err_set(e, ERR_INVALID, 0, "the archive is empty");
	return finish_folders(u, e);
}

/* Padding behind the end mark; a writer would otherwise be told that its pipe broke. */
static int read_to_end(int in, struct err *e)
{
	static char space[65536];
	size_t total = 0;
	for (ssize_t n; (n = read(in, space, sizeof(space))) != 0;) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "read the archive");
		if ((total += (size_t)n) > TRAILER_MAX)
			return err_set(e, ERR_INVALID, 0, "the archive goes on after its end");
	}
	return 0;
}

static int import(int fd, bool image, const struct layer_limits *lim, struct jail_counts *counts, struct err *e)
{
	struct unpack u = { archive_read_new(), open_disk(e), !image, *lim, counts };
	int rc = -1;
	if (!u.in || !u.out) {
		err_set(e, ERR_RESOURCE, ENOMEM, "unpack an archive");
		goto out;
	}
	archive_read_support_format_tar(u.in);
	if (image) {
		archive_read_support_filter_gzip(u.in);
		archive_read_support_filter_zstd(u.in);
	}
	if (archive_read_open_fd(u.in, fd, 256 * 1024) != ARCHIVE_OK)
		fail(u.in, image ? "no tar, plain or packed with gzip or zstd" : "no tar", e);
	else
		rc = unpack_all(&u, e);
out:
	archive_read_free(u.in);
	archive_write_free(u.out);
	return rc < 0 ? -1 : read_to_end(fd, e);
}

int import_layer(int in, const struct layer_limits *lim, struct jail_counts *counts, struct err *e)
{
	return import(in, false, lim, counts, e);
}

int import_image(int in, const struct layer_limits *lim, struct jail_counts *counts, struct err *e)
{
	return import(in, true, lim, counts, e);
}
