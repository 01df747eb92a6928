/* GET /v1/containers/{name}/logs: the monitor's lines as they stand in the files (`TIME STREAM F|P TEXT`), the oldest file first.
 *
 * davitd reads the files itself: they are readable for its group, and nobody but the container's monitor writes them. `since` and `tail` choose
 * where to begin; `follow` waits at the end (inotify, and a look each second for the rotated file and for the container's end). */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include "agent/api/api.h"
#include "agent/db/container.h"
#include "base/clock.h"
#include "base/file.h"

#define FILES_MAX 64
#define LINE_MAX_BYTES ((size_t)64 << 10)
#define LOG_TAIL_MAX 1000000

struct log_stream {
	struct agent *agent;
	struct MHD_Connection *connection;
	char name[ROUTE_PARAM_MAX + 1];
	int dir, fd, watch; /* owned; watch: inotify, -1 without follow */
	int next;	    /* number of the file to read next: N…1 are log.N, 0 is log; -1: fd is the last */
	int64_t since;	    /* CLOCK_REALTIME, ns */
	uint64_t skip;	    /* lines left out for `tail` */
	struct buf in, out;
	bool stopped; /* the container has ended: what is there now is all */
};

static void stream_free(void *arg)
{
	struct log_stream *s = arg;

	fd_closep(&s->dir);
	fd_closep(&s->fd);
	fd_closep(&s->watch);
	buf_free(&s->in);
	buf_free(&s->out);
	free(s);
}

static int open_file(const struct log_stream *s, int number)
{
	char name[24] = "log";

	if (number > 0)
		snprintf(name, sizeof(name), "log.%d", number);
	return openat(s->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* Opens the next file there is. False: no more. */
static bool open_next(struct log_stream *s)
{
	while (s->fd < 0 && s->next >= 0)
		s->fd = open_file(s, s->next--);
	return s->fd >= 0;
}

/* A line is told if it is not older than `since`; the time stands at its beginning in a form that RFC 3339 order and byte order share. */
static int take_line(struct log_stream *s, const char *line, size_t n, struct err *e)
{
	char stamp[40];
	int64_t at = 0;
	size_t len = 0;

	while (len < n && len < sizeof(stamp) - 1 && line[len] != ' ')
		len++;
	memcpy(stamp, line, len);
	stamp[len] = 0;
	if (s->since && clock_rfc3339_parse(stamp, &at, "log", &(struct err){ 0 }) == 0 && at < s->since)
		return 0;
	if (s->skip) {
		s->skip--;
		return 0;
	}
	return buf_append(&s->out, line, n, e);
}

static int take_lines(struct log_stream *s, struct err *e)
{
	size_t done = 0;

	for (;;) {
		const char *nl = memchr(s->in.data + done, '\n', s->in.len - done);

		if (!nl)
			break;
		if (take_line(s, s->in.data + done, (size_t)(nl - s->in.data) + 1 - done, e) < 0)
			return -1;
		done = (size_t)(nl - s->in.data) + 1;
	}
	if (s->in.len - done > LINE_MAX_BYTES)
		return err_set(e, ERR_CORRUPT, 0, "a log line has more than %zu bytes", LINE_MAX_BYTES);
	buf_consume(&s->in, done);
	return 0;
}

/* Reads a piece of the current file. 1: something, 0: at its end, -1. */
static int read_piece(struct log_stream *s, struct err *e)
{
	char piece[16384];
	ssize_t n = read(s->fd, piece, sizeof(piece));

	if (n <= 0)
		return n < 0 ? err_sys(e, errno, "read the log of %s", s->name) : 0;
	if (buf_append(&s->in, piece, (size_t)n, e) < 0)
		return -1;
	return take_lines(s, e) < 0 ? -1 : 1;
}

/* Whether "log" is another file now than the one that is open: it was rotated. */
static bool is_rotated(const struct log_stream *s)
{
	struct stat open_now, named;

	return fstat(s->fd, &open_now) == 0 && fstatat(s->dir, "log", &named, AT_SYMLINK_NOFOLLOW) == 0 && open_now.st_ino != named.st_ino;
}

static bool is_stopped(const struct log_stream *s)
{
	auto_pb(Davit__ContainerStatus) *now = core_get(&s->agent->core, s->name, &(struct err){ 0 });

	return !now || str_eq(now->state, "stopped");
}

/* At the end of the last file. True: read again; false: that was all. */
static bool wait_for_more(struct log_stream *s)
{
	char events[1024];
	struct pollfd p = { .fd = s->watch, .events = POLLIN };

	if (s->watch < 0 || s->agent->stopping || request_is_gone(s->connection))
		return false;
	if (is_rotated(s)) {
		fd_closep(&s->fd);
		s->next = 0;
		return open_next(s);
	}
	if (s->stopped)
		return false;
	if (poll(&p, 1, 1000) > 0)
		while (read(s->watch, events, sizeof(events)) > 0)
			continue;
	else
		s->stopped = is_stopped(s); /* one more reading after the end was seen: the monitor writes first, then the core tells */
	return true;
}

static ssize_t read_log(void *arg, uint64_t pos, char *out, size_t max)
{
	struct log_stream *s = arg;
	struct err e = { 0 };
	size_t n;

	(void)pos;
	while (s->out.len == 0) {
		int r = open_next(s) ? read_piece(s, &e) : -1;

		if (r > 0)
			continue;
		if (r == 0 && s->next >= 0) {
			fd_closep(&s->fd);
			continue;
		}
		if (r < 0 || !wait_for_more(s))
			return MHD_CONTENT_READER_END_OF_STREAM;
	}
	n = MIN(max, s->out.len);
	memcpy(out, s->out.data, n);
	buf_consume(&s->out, n);
	return (ssize_t)n;
}

/* Counts the lines that pass `since`, so that all but the last `tail` can be left out. */
static int count_lines(struct log_stream *s, uint64_t tail, struct err *e)
{
	int first = s->next, r;
	uint64_t lines = 0;

	while (open_next(s)) {
		while ((r = read_piece(s, e)) > 0) {
			for (size_t i = 0; i < s->out.len; i++)
				lines += s->out.data[i] == '\n';
			s->out.len = 0;
		}
		fd_closep(&s->fd);
		if (r < 0)
			return -1;
	}
	s->in.len = 0;
	s->next = first;
	s->skip = lines > tail ? lines - tail : 0;
	return 0;
}

/* A time, or a span before now. */
static int parse_since(const char *text, int64_t *out, struct err *e)
{
	int64_t span;

	if (strchr(text, 'T'))
		return clock_rfc3339_parse(text, out, "since", e);
	if (clock_span_parse(text, &span, "since", e) < 0)
		return err_remedy(e, "a time such as 2026-11-24T10:00:00Z, or a span such as 10m");
	*out = clock_now_ns(CLOCK_REALTIME) - span;
	return 0;
}

static int prepare(struct request *r, struct log_stream *s, struct err *e)
{
	auto_free char *path = mem_printf(e, "%s/%s", r->agent->logs_dir, r->params[0]);
	const char *since = request_query(r, "since"), *tail = request_query(r, "tail");
	uint64_t lines = 0;
	bool follow;

	snprintf(s->name, sizeof(s->name), "%s", r->params[0]);
	if (!path || request_query_bool(r, "follow", &follow, e) < 0 || (since && parse_since(since, &s->since, e) < 0) ||
	    (tail && str_to_u64(tail, 0, LOG_TAIL_MAX, &lines, "tail", e) < 0))
		return -1;
	s->dir = file_open_dir(AT_FDCWD, path, e);
	if (s->dir < 0)
		return -1;
	if (follow) {
		s->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		if (s->watch < 0 || inotify_add_watch(s->watch, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
			return err_sys(e, errno, "watch the log of %s", s->name);
	}
	for (s->next = 0; s->next + 1 < FILES_MAX; s->next++) {
		char name[24];

		snprintf(name, sizeof(name), "log.%d", s->next + 1);
		if (!file_exists(s->dir, name))
			break;
	}
	return tail ? count_lines(s, lines, e) : 0;
}

int container_logs(struct request *r, struct err *e)
{
	auto_pb(Davit__Container) *known = db_container_get(r->agent->db, r->params[0], NULL, e);
	struct log_stream *s = known ? mem_new(1, sizeof(*s), e) : NULL;

	if (!s)
		return -1;
	s->agent = r->agent;
	s->connection = r->connection;
	s->dir = s->fd = s->watch = -1;
	if (prepare(r, s, e) < 0) {
		bool none_yet = e->code == ERR_NOT_FOUND;

		stream_free(s);
		if (!none_yet)
			return -1;
		err_clear(e);
		return 0; /* nothing was ever written: an empty answer */
	}
	return api_stream(r, 32 << 10, read_log, s, stream_free, e);
}
