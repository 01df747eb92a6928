/* `tar` for criu: a quick way for the small folders that it saves and restores, tar(1) itself for all others.
 *
 * CRIU runs `tar --gzip` for each tmpfs of a container while the container stands still, and tar a shell and gzip: 5 ms each, for folders that are
 * mostly empty. This program comes first in criu's PATH. It saves a folder of a few folders, plain files and symbolic links, and marks the archive as
 * its own by a comment in gzip's header; it restores what bears this mark. For anything else, and for options it was not given by CRIU, it becomes
 * tar(1), before it has written or read a byte. Its archives are ordinary ones, so that any tar reads them.
 *
 * Archives come from other hosts: what they name is looked up below the folder only, and through no link.
 * Sources: CRIU's tmpfs.c (options), pax(1) of POSIX.1-2017 ("ustar Interchange Format"), RFC 1952, openat2(2). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <zlib.h>

#define BLOCK 512
#define PLAIN_MAX (1 << 20) /* bytes of an archive */
#define DEPTH_MAX 16
#define GZIP_FORMAT (15 + 16)
#define MARK_PLACE 10 /* a comment follows gzip's fixed header if it is the only extra */
#define TAR "/bin/tar"

static const char mark[] = "davit";
static const char head_of_ours[] = { 0x1f, (char)0x8b, 8, 16 };

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, linkname[100], magic[6], version[2], uname[32], gname[32],
	    devmajor[8], devminor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a tar header is one block");

struct archive {
	uint8_t *data;
	size_t len;
	dev_t dev;
};

static void *room(struct archive *a, size_t n)
{
	size_t whole = (n + BLOCK - 1) / BLOCK * BLOCK;
	if (whole > PLAIN_MAX - a->len)
		return NULL;
	void *p = a->data + a->len;
	a->len += whole;
	return p;
}

static unsigned checksum(const struct header *h)
{
	struct header copy = *h;
	unsigned sum = 0;
	memset(copy.checksum, ' ', sizeof(copy.checksum));
	for (size_t i = 0; i < BLOCK; i++)
		sum += ((const uint8_t *)&copy)[i];
	return sum;
}

/* 0; -1: this needs tar(1). Ids, sizes and times that do not fit into the old octal fields are such a case. */
static int add_header(struct archive *a, const char *path, const struct stat *st, char type, const char *link)
{
	struct header *h = room(a, sizeof(*h));
	if (!h || strlen(path) >= sizeof(h->name) || st->st_uid > 07777777 || st->st_gid > 07777777 || st->st_mtime < 0)
		return -1;
	strcpy(h->name, path);
	snprintf(h->mode, sizeof(h->mode), "%07o", st->st_mode & 07777);
	snprintf(h->uid, sizeof(h->uid), "%07o", st->st_uid);
	snprintf(h->gid, sizeof(h->gid), "%07o", st->st_gid);
	snprintf(h->size, sizeof(h->size), "%011llo", type == '0' ? (unsigned long long)st->st_size : 0ULL);
	snprintf(h->mtime, sizeof(h->mtime), "%011llo", (unsigned long long)st->st_mtime);
	h->type = type;
	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	if (link)
		strncpy(h->linkname, link, sizeof(h->linkname) - 1);
	snprintf(h->checksum, sizeof(h->checksum), "%06o", checksum(h));
	h->checksum[7] = ' ';
	return 0;
}

static int add_content(struct archive *a, int fd, size_t size)
{
	uint8_t *p = room(a, size);
	if (!p)
		return -1;
	for (size_t at = 0; at < size;) {
		ssize_t n = read(fd, p + at, size - at);
		if (n <= 0)
			return -1;
		at += (size_t)n;
	}
	return 0;
}

static int add_folder(struct archive *a, int fd, const char *path, const struct stat *st, int depth);

static int add_entry(struct archive *a, int dirfd, const char *name, const char *path, int depth)
{
	struct stat st;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != a->dev)
		return -1;
	if (S_ISLNK(st.st_mode)) {
		char link[100] = "";
		ssize_t n = readlinkat(dirfd, name, link, sizeof(link));
		return n <= 0 || n == sizeof(link) ? -1 : add_header(a, path, &st, '2', link);
	}
	/* Hard links, and files with holes, are tar's. */
	if (!S_ISDIR(st.st_mode) && (!S_ISREG(st.st_mode) || st.st_nlink > 1 || st.st_blocks * 512 < st.st_size))
		return -1;
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int rc = S_ISDIR(st.st_mode) ? add_folder(a, fd, path, &st, depth + 1)
				     : (add_header(a, path, &st, '0', NULL) < 0 ? -1 : add_content(a, fd, (size_t)st.st_size));
	close(fd);
	return rc;
}

static int add_folder(struct archive *a, int fd, const char *path, const struct stat *st, int depth)
{
	DIR *d = depth < DEPTH_MAX ? fdopendir(dup(fd)) : NULL;
	int rc = d ? add_header(a, path, st, '5', NULL) : -1;
	for (struct dirent *entry; rc == 0 && (entry = readdir(d));) {
		char below[100];
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		rc = snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) < (int)sizeof(below) ? add_entry(a, fd, entry->d_name, below, depth)
												       : -1;
	}
	if (d)
		closedir(d);
	return rc;
}

static int write_all(int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, p, n);
		if (done < 0 && errno != EINTR)
			return -1;
		p += done > 0 ? done : 0;
		n -= done > 0 ? (size_t)done : 0;
	}
	return 0;
}

/* Stored, not compressed. 0; -1 nothing was written; 1 writing failed. */
static int save(struct archive *a)
{
	z_stream z = { .next_in = a->data, .avail_in = (uInt)a->len };
	gz_header head = { .comment = (Bytef *)(uintptr_t)mark, .os = 3 };
	if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, GZIP_FORMAT, 8, Z_DEFAULT_STRATEGY) != Z_OK || deflateSetHeader(&z, &head) != Z_OK)
		return -1;
	size_t cap = deflateBound(&z, a->len);
	z.next_out = malloc(cap);
	uint8_t *out = z.next_out;
	z.avail_out = (uInt)cap;
	if (!out || deflate(&z, Z_FINISH) != Z_STREAM_END)
		return -1;
	return write_all(STDOUT_FILENO, out, z.total_out) < 0 ? 1 : 0;
}

static int create(const char *folder)
{
	struct archive a = { .data = calloc(1, PLAIN_MAX) };
	struct stat st;
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!a.data || fd < 0 || fstat(fd, &st) < 0)
		return -1;
	a.dev = st.st_dev;
	if (add_folder(&a, fd, ".", &st, 0) < 0 || !room(&a, 2 * BLOCK))
		return -1;
	return save(&a);
}

static bool is_ours(void)
{
	char head[MARK_PLACE + sizeof(mark)];
	off_t at = lseek(STDIN_FILENO, 0, SEEK_CUR);
	return at >= 0 && pread(STDIN_FILENO, head, sizeof(head), at) == sizeof(head) && !memcmp(head, head_of_ours, sizeof(head_of_ours)) &&
	       !memcmp(head + MARK_PLACE, mark, sizeof(mark));
}

/* 0 or -1: damaged, or more than what is written here. */
static int load(struct archive *a)
{
	uint8_t in[16384];
	z_stream z = { .next_out = a->data, .avail_out = PLAIN_MAX };
	int rc = inflateInit2(&z, GZIP_FORMAT);
	while (rc == Z_OK) {
		ssize_t n = read(STDIN_FILENO, in, sizeof(in));
		if (n <= 0)
			return -1;
		z.next_in = in;
		z.avail_in = (uInt)n;
		rc = inflate(&z, Z_NO_FLUSH);
	}
	a->len = z.total_out;
	return rc == Z_STREAM_END && a->len % BLOCK == 0 ? 0 : -1;
}

static unsigned long long octal(const char *text, size_t n)
{
	unsigned long long v = 0;
	for (size_t i = 0; i < n && text[i] >= '0' && text[i] <= '7'; i++)
		v = v << 3 | (unsigned long long)(text[i] - '0');
	return v;
}

/* The folder that an entry is in; *name: its last part. Owned descriptor or -1. */
static int open_parent(int root, char *path, const char **name)
{
	const struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	char *slash = strrchr(path, '/');
	*name = slash ? slash + 1 : path;
	if (slash)
		*slash = '\0';
	if (slash && (!strcmp(*name, "..") || !**name || !strcmp(*name, ".")))
		return -1;
	return (int)syscall(SYS_openat2, root, slash ? path : ".", &how, sizeof(how));
}

static int put_file(int dir, const char *name, const uint8_t *content, size_t size)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc = fd < 0 ? -1 : write_all(fd, content, size);
	if (fd >= 0)
		close(fd);
	return rc;
}

static int put_entry(int root, const struct header *h, const uint8_t *content, size_t size)
{
	char path[sizeof(h->name) + 1] = "", link[sizeof(h->linkname) + 1] = "";
	const char *name;
	memcpy(path, h->name, sizeof(h->name));
	memcpy(link, h->linkname, sizeof(h->linkname));
	int rc, dir = open_parent(root, path, &name);
	if (dir < 0)
		return -1;
	if (h->type == '5')
		rc = mkdirat(dir, name, 0700) < 0 && errno != EEXIST ? -1 : 0;
	else if (h->type == '2')
		rc = symlinkat(link, dir, name);
	else
		rc = h->type == '0' ? put_file(dir, name, content, size) : -1;
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = (time_t)octal(h->mtime, sizeof(h->mtime)) } };
	if (rc == 0 && (fchownat(dir, name, (uid_t)octal(h->uid, 8), (gid_t)octal(h->gid, 8), AT_SYMLINK_NOFOLLOW) < 0 ||
			(h->type != '2' && fchmodat(dir, name, (mode_t)octal(h->mode, 8) & 07777, 0) < 0) ||
			utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0))
		rc = -1;
	close(dir);
	return rc;
}

static int extract(const char *folder)
{
	struct archive a = { .data = calloc(1, PLAIN_MAX) };
	int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!a.data || root < 0 || load(&a) < 0)
		return 1;
	for (size_t at = 0; at < a.len;) {
		const struct header *h = (const struct header *)(a.data + at);
		size_t size = (size_t)octal(h->size, sizeof(h->size));
		at += BLOCK;
		if (!h->name[0])
			return 0;
		if (octal(h->checksum, 6) != checksum(h) || size > a.len - at || put_entry(root, h, a.data + at, size) < 0) {
			fprintf(stderr, "tar: %.100s: %s\n", h->name, strerror(errno));
			return 1;
		}
		at += (size + BLOCK - 1) / BLOCK * BLOCK;
	}
	return 1;
}

/* What CRIU passes and what is understood here; the folder follows --directory. */
static const char *folder_of(char **argv, const char *job)
{
	static const char *const known[] = { "--gzip",
					     "--no-unquote",
					     "--no-wildcards",
					     "--one-file-system",
					     "--check-links",
					     "--preserve-permissions",
					     "--sparse",
					     "--numeric-owner",
					     "." };
	const char *folder = NULL;
	if (!argv[0] || !argv[1] || strcmp(argv[1], job))
		return NULL;
	for (argv += 2; *argv; argv++) {
		bool found = false;
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			found = found || !strcmp(*argv, known[i]);
		if (!strcmp(*argv, "--directory") && argv[1])
			folder = *++argv;
		else if (!found)
			return NULL;
	}
	return folder;
}

int main(int argc, char **argv)
{
	const char *folder;
	int rc = -1;
	(void)argc;
	umask(0);
	if ((folder = folder_of(argv, "--create")))
		rc = create(folder);
	else if ((folder = folder_of(argv, "--extract")) && is_ours())
		rc = extract(folder);
	if (rc >= 0)
		return rc;
	execv(TAR, argv);
	fprintf(stderr, "tar: " TAR ": %s\n", strerror(errno));
	return 127;
}
