/* The log, in the line format of Kubernetes' CRI: `2026-11-24T10:00:00.123456789Z stdout F text`; P instead of F: the line goes on in the
 * next entry of that stream (it was read in pieces, or is longer than one read).
 *
 * Entries are written whole: many in one writev(2), without copying the text; what a short write left of an entry is cut off again.
 * Rotation: a file that would grow past --log-max-bytes becomes NAME.1, NAME.1 becomes NAME.2 …; --log-max-files counts NAME itself.
 *
 * A full disk must not stop the container, which may be what frees the disk: entries that cannot be written are counted and dropped (attached clients
 * still get them), and when writing works again an entry of stderr says how many bytes were lost and why. A disk that is only slow is waited for: the
 * pipe fills, and the container's writes wait. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include "base/mem.h"
#include "runtime/monitor/monitor.h"

#define LINES_MAX 100 /* in one writev */
#define PREFIX_MAX 48
static const char *const stream_names[] = { "stdout", "stderr" };

static int open_current(struct log *l, const struct options *o)
{
	int fd = openat(l->dirfd, l->name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	struct stat st;
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		errno = EINVAL;
		return -1;
	}
	/* Only --log-group reads it besides root; we are in that group, so this takes no capability. */
	if (o->has_log_group && (fchown(fd, (uid_t)-1, (gid_t)o->log_group) < 0 || fchmod(fd, 0640) < 0)) {
		close(fd);
		return -1;
	}
	l->size = (uint64_t)st.st_size;
	return fd;
}

int log_open(struct log *l, const struct options *o, struct err *e)
{
	if (!o->log)
		return 0;
	char dir[4096], base[4096];
	snprintf(dir, sizeof(dir), "%s", o->log);
	snprintf(base, sizeof(base), "%s", o->log);
	if (snprintf(l->name, sizeof(l->name), "%s", basename(base)) >= (int)sizeof(l->name) - 12)
		return err_field(e, "log", "%s: the name is too long", o->log);
	l->dirfd = open(dirname(dir), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (l->dirfd < 0)
		return err_sys(e, errno, "folder of the log %s", o->log);
	l->fd = open_current(l, o);
	return l->fd < 0 ? err_sys(e, errno, "open the log %s", o->log) : 0;
}

void log_look_again(struct log *l)
{
	struct stat st;
	if (l->fd >= 0 && fstat(l->fd, &st) == 0)
		l->size = (uint64_t)st.st_size;
}

static void numbered(const struct log *l, uint64_t i, char out[280])
{
	if (i)
		snprintf(out, 280, "%s.%llu", l->name, (unsigned long long)i);
	else
		snprintf(out, 280, "%s", l->name);
}

static void rotate(struct log *l, const struct options *o)
{
	char from[280], to[280];
	for (uint64_t i = o->log_max_files - 1; i > 0; i--) {
		numbered(l, i - 1, from);
		numbered(l, i, to);
		(void)renameat(l->dirfd, from, l->dirfd, to); /* not there yet: nothing to do */
	}
	if (o->log_max_files == 1)
		(void)unlinkat(l->dirfd, l->name, 0);
	int fd = open_current(l, o);
	if (fd < 0)
		return; /* go on in the old file rather than lose lines */
	close(l->fd);
	l->fd = fd;
}

/* "TIME STREAM TAG " for both tags. */
static void make_prefixes(int stream, char full[PREFIX_MAX], char partial[PREFIX_MAX])
{
	struct timespec t;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	char at[24];
	strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(full, PREFIX_MAX, "%.19s.%09ldZ %s F ", at, t.tv_nsec, stream_names[stream]);
	snprintf(partial, PREFIX_MAX, "%.19s.%09ldZ %s P ", at, t.tv_nsec, stream_names[stream]);
}

/* Writes whole entries or none. 0 or -1. */
static int write_entries(struct log *l, const struct options *o, const struct iovec *iov, int n)
{
	size_t total = 0;
	for (int i = 0; i < n; i++)
		total += iov[i].iov_len;
	if (o->log_max_bytes && l->size && l->size + total > o->log_max_bytes)
		rotate(l, o);
	ssize_t done;
	do
		done = writev(l->fd, iov, n);
	while (done < 0 && errno == EINTR);
	if (done == (ssize_t)total) {
		l->size += total;
		return 0;
	}
	if (done >= 0) {
		/* Where it began, not l->size: somebody may have cut the file to make room. */
		off_t end = lseek(l->fd, 0, SEEK_CUR);
		(void)!ftruncate(l->fd, end - done);
		errno = ENOSPC;
	}
	return -1;
}

static void tell_loss(struct log *l, const struct options *o)
{
	char full[PREFIX_MAX], partial[PREFIX_MAX], text[128];
	make_prefixes(1, full, partial);
	int n = snprintf(text, sizeof(text), "davit-monitor: %llu bytes of output were lost here: %s\n", (unsigned long long)l->lost,
			 strerror(l->lost_errno));
	struct iovec iov[] = { { full, strlen(full) }, { text, (size_t)n } };
	if (write_entries(l, o, iov, 2) == 0)
		l->lost = 0;
}

/* Entries for up to LINES_MAX lines of p. Returns how many bytes of p they took; *entries counts iov's used. */
static size_t collect(const uint8_t *p, size_t n, char *full, char *partial, struct iovec *iov, int *used)
{
	size_t at = 0;
	for (int line = 0; line < LINES_MAX && at < n; line++) {
		const uint8_t *end = memchr(p + at, '\n', n - at);
		size_t len = end ? (size_t)(end - (p + at)) + 1 : n - at;
		char *prefix = end ? full : partial;
		iov[(*used)++] = (struct iovec){ prefix, strlen(prefix) };
		iov[(*used)++] = (struct iovec){ (void *)(p + at), len };
		if (!end)
			iov[(*used)++] = (struct iovec){ "\n", 1 };
		at += len;
	}
	return at;
}

void log_output(struct log *l, const struct options *o, int stream, const uint8_t *p, size_t n)
{
	char full[PREFIX_MAX], partial[PREFIX_MAX];
	if (l->fd < 0)
		return;
	make_prefixes(stream, full, partial);
	for (size_t at = 0; at < n;) {
		struct iovec iov[2 * LINES_MAX + 1];
		int used = 0;
		size_t took = collect(p + at, n - at, full, partial, iov, &used);
		if (l->lost)
			tell_loss(l, o);
		if (l->lost || write_entries(l, o, iov, used) < 0) {
			l->lost_errno = l->lost ? l->lost_errno : errno;
			l->lost += took;
		}
		at += took;
	}
}
