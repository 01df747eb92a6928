/* A flat folder of plain files as a tar (POSIX ustar): CRIU's images of a move. Sources: tar(5), pax(1) of POSIX.1-2017 ("ustar Interchange Format").
 *
 * Written and read by hand, since it lies in the time a container stands still: many small files leave in one write, large ones go from file
 * to descriptor without a copy where the kernel can (sendfile(2)). What is read is held to what is written here: plain files with plain names, and
 * sizes in octal or, past 8 GiB, in GNU's base-256. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/str.h"
#include "runtime/layer/import.h"
#include "runtime/layer/layer.h"

#define BLOCK 512
#define GATHER (512 * 1024) /* bytes gathered before a write */
#define NAME_MAX_FLAT 99

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, linkname[100], magic[6], version[2], uname[32], gname[32],
	    devmajor[8], devminor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a tar header is one block");

static unsigned checksum(const struct header *h)
{
	const uint8_t *p = (const uint8_t *)h;
	unsigned sum = 8 * ' '; /* the field itself counts as spaces */
	for (size_t i = 0; i < BLOCK; i++)
		if (i < offsetof(struct header, checksum) || i >= offsetof(struct header, type))
			sum += p[i];
	return sum;
}

static void put_size(struct header *h, uint64_t n)
{
	if (n < 1ULL << 33) {
		snprintf(h->size, sizeof(h->size), "%011llo", (unsigned long long)n);
		return;
	}
	h->size[0] = (char)0x80;
	for (int i = 11; i > 3; i--, n >>= 8)
		h->size[i] = (char)n;
}

static void make_header(struct header *h, const char *name, uint64_t size)
{
	memset(h, 0, sizeof(*h));
	memcpy(h->name, name, strlen(name));
	memcpy(h->mode, "0000644", 8);
	memcpy(h->uid, "0000000", 8);
	memcpy(h->gid, "0000000", 8);
	memcpy(h->mtime, "00000000000", 12);
	put_size(h, size);
	h->type = '0';
	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	snprintf(h->checksum, sizeof(h->checksum), "%06o", checksum(h));
	h->checksum[7] = ' ';
}

struct writer {
	int fd;
	struct buf out;
	uint64_t bytes;
};

static int flush(struct writer *w, struct err *e)
{
	int rc = fd_write_all(w->fd, w->out.data, w->out.len, e);
	w->bytes += w->out.len;
	w->out.len = 0;
	return rc;
}

static int pad(struct writer *w, uint64_t size, struct err *e)
{
	static const char zero[BLOCK];
	return buf_append(&w->out, zero, (BLOCK - size % BLOCK) % BLOCK, e);
}

/* Small: into the buffer. */
static int gather(struct writer *w, int file, size_t size, const char *name, struct err *e)
{
	if (buf_reserve(&w->out, size + BLOCK, e) < 0)
		return -1;
	if (size && fd_read_exact(file, w->out.data + w->out.len, size, e) != 1)
		return err_prefix(e, "read %s", name);
	w->out.len += size;
	return 0;
}

/* Large: past the buffer. */
static int stream(struct writer *w, int file, uint64_t size, const char *name, struct err *e)
{
	if (flush(w, e) < 0)
		return -1;
	while (size) {
		ssize_t n = sendfile(w->fd, file, NULL, (size_t)MIN(size, 1U << 30));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN && fd_wait(w->fd, POLLOUT, -1, e) > 0) /* as long as its reader lives */
			continue;
		if (n < 0)
			return err_sys(e, errno, "send %s", name);
		if (n == 0)
			return err_set(e, ERR_IO, 0, "%s became shorter while it was read", name);
		size -= (uint64_t)n;
		w->bytes += (uint64_t)n;
	}
	return 0;
}

static int export_file(struct writer *w, int dirfd, const char *name, struct err *e)
{
	struct header h;
	struct stat st;
	auto_close int file = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (file < 0 || fstat(file, &st) < 0)
		return err_sys(e, errno, "open %s", name);
	if (!S_ISREG(st.st_mode) || strlen(name) > NAME_MAX_FLAT)
		return err_set(e, ERR_INVALID, 0, "%.120s is no plain file with a name of at most %d bytes", name, NAME_MAX_FLAT);
	uint64_t size = (uint64_t)st.st_size;
	make_header(&h, name, size);
	if (buf_append(&w->out, &h, sizeof(h), e) < 0)
		return -1;
	if ((size > GATHER / 4 ? stream(w, file, size, name, e) : gather(w, file, (size_t)size, name, e)) < 0 || pad(w, size, e) < 0)
		return -1;
	return w->out.len > GATHER ? flush(w, e) : 0;
}

static bool is_skipped(const char *name, const char *const *skip)
{
	for (; skip && *skip; skip++)
		if (str_eq(name, *skip))
			return true;
	return str_eq(name, ".") || str_eq(name, "..");
}

static int export_all(struct writer *w, int dirfd, const char *const *skip, struct err *e)
{
	static const char end[2 * BLOCK];
	auto_close int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	if (!d)
		return err_sys(e, errno, "read a folder of images");
	steal_fd(&copy);
	int rc = 0;
	errno = 0;
	for (struct dirent *entry; rc == 0 && (entry = readdir(d)); errno = 0)
		if (!is_skipped(entry->d_name, skip))
			rc = export_file(w, dirfd, entry->d_name, e);
	if (rc == 0 && errno)
		rc = err_sys(e, errno, "read a folder of images");
	closedir(d);
	return rc < 0 || buf_append(&w->out, end, sizeof(end), e) < 0 ? -1 : flush(w, e);
}

int layer_export_flat(int dirfd, int fd, const char *const *skip, uint64_t *bytes, struct err *e)
{
	struct writer w = { .fd = fd };
	int rc = buf_reserve(&w.out, GATHER, e) < 0 ? -1 : export_all(&w, dirfd, skip, e);
	buf_free(&w.out);
	*bytes = w.bytes;
	return rc;
}

/* Bytes in, gathered so that small files cost no call of their own. */
struct reader {
	int fd;
	struct buf in; /* read ahead, not used yet; never past what the archive needs next */
	size_t at;
};

/* Makes n bytes (at most GATHER) available at r->in.data + r->at. 1, 0 at the end of the input, -1. */
static int need(struct reader *r, size_t n, struct err *e)
{
	if (r->in.len - r->at >= n)
		return 1;
	buf_consume(&r->in, r->at);
	r->at = 0;
	if (buf_reserve(&r->in, GATHER, e) < 0)
		return -1;
	while (r->in.len < n) {
		ssize_t got = read(r->fd, r->in.data + r->in.len, r->in.cap - 1 - r->in.len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN && fd_wait(r->fd, POLLIN, -1, e) > 0) /* as long as its writer lives */
			continue;
		if (got < 0)
			return err_sys(e, errno, "read an archive of images");
		if (got == 0)
			return r->in.len ? err_set(e, ERR_CORRUPT, 0, "the archive of images ends in the middle") : 0;
		r->in.len += (size_t)got;
	}
	return 1;
}

static int get_size(const struct header *h, uint64_t *n, struct err *e)
{
	*n = 0;
	if ((uint8_t)h->size[0] == 0x80) {
		for (int i = 4; i < 12; i++)
			*n = *n << 8 | (uint8_t)h->size[i];
		return *n < 1ULL << 62 ? 0 : err_set(e, ERR_CORRUPT, 0, "an image's size is impossible");
	}
	for (int i = 0; i < 11; i++) {
		if (h->size[i] < '0' || h->size[i] > '7')
			return err_set(e, ERR_CORRUPT, 0, "an image's size is no number");
		*n = *n << 3 | (uint64_t)(h->size[i] - '0');
	}
	return 0;
}

static int check_header(const struct header *h, struct err *e)
{
	unsigned sum = 0;
	for (int i = 0; i < 6 && h->checksum[i] >= '0' && h->checksum[i] <= '7'; i++)
		sum = sum << 3 | (unsigned)(h->checksum[i] - '0');
	if (sum != checksum(h) || memcmp(h->magic, "ustar", 6) != 0)
		return err_set(e, ERR_CORRUPT, 0, "the archive of images is damaged");
	size_t n = strnlen(h->name, sizeof(h->name));
	if (h->type != '0' || h->prefix[0] || !n || n > NAME_MAX_FLAT || memchr(h->name, '/', n) || str_eq(h->name, ".") || str_eq(h->name, ".."))
		return err_set(e, ERR_INVALID, 0, "the archive of images holds something else than plain files");
	return 0;
}

/* Takes size bytes and the padding. */
static int take_content(struct reader *r, int file, uint64_t size, const char *name, struct err *e)
{
	for (uint64_t left = size; left;) {
		if (need(r, (size_t)MIN(left, (uint64_t)BLOCK), e) != 1)
			return err_set(e, ERR_CORRUPT, 0, "the archive ends in %s", name);
		size_t n = (size_t)MIN(left, r->in.len - r->at);
		if (fd_write_all(file, r->in.data + r->at, n, e) < 0)
			return err_prefix(e, "write %s", name);
		r->at += n;
		left -= n;
	}
	size_t rest = (BLOCK - size % BLOCK) % BLOCK;
	if (need(r, rest, e) < (rest ? 1 : 0))
		return err_set(e, ERR_CORRUPT, 0, "the archive ends behind %s", name);
	r->at += rest;
	return 0;
}

static int import_file(struct reader *r, int dirfd, const struct header *h, const struct layer_limits *lim, struct jail_counts *counts, struct err *e)
{
	char name[NAME_MAX_FLAT + 1];
	uint64_t size;
	if (check_header(h, e) < 0 || get_size(h, &size, e) < 0)
		return -1;
	snprintf(name, sizeof(name), "%.*s", NAME_MAX_FLAT, h->name);
	if (++counts->files > lim->files || size > lim->bytes - counts->bytes)
		return err_set(e, ERR_LIMIT, 0, "images: more than %llu files or %llu bytes", (unsigned long long)lim->files,
			       (unsigned long long)lim->bytes);
	counts->bytes += size;
	auto_close int file = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	return file < 0 ? err_sys(e, errno, "make %s", name) : take_content(r, file, size, name, e);
}

/* Up to the end of the input: two blocks of zeroes and whatever follows of them. */
static int import_all(struct reader *r, int dirfd, const struct layer_limits *lim, struct jail_counts *counts, struct err *e)
{
	static const struct header zero;
	bool ended = false;
	int rc;
	while ((rc = need(r, BLOCK, e)) == 1) {
		struct header h;
		memcpy(&h, r->in.data + r->at, BLOCK);
		r->at += BLOCK;
		if (memcmp(&h, &zero, BLOCK) == 0)
			ended = true;
		else if (ended)
			return err_set(e, ERR_CORRUPT, 0, "the archive of images goes on after its end");
		else if (import_file(r, dirfd, &h, lim, counts, e) < 0)
			return -1;
	}
	return rc < 0 || ended ? rc : err_set(e, ERR_CORRUPT, 0, "the archive of images has no end mark");
}

int layer_import_flat(int dirfd, int fd, const struct layer_limits *lim, uint64_t *bytes, struct err *e)
{
	struct layer_limits limits;
	struct jail_counts counts = { 0 };
	struct reader r = { .fd = fd };
	if (import_limits(dirfd, lim, &limits, e) < 0)
		return -1;
	int rc = import_all(&r, dirfd, &limits, &counts, e);
	buf_free(&r.in);
	*bytes = counts.bytes;
	return rc;
}
