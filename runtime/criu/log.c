/* CRIU's log: "(00.012345)    123: Error (criu/files-ext.c:98): text". Lines of a restored task carry its pid, "Error" and the place in the source
 * are constant. */
#include "runtime/criu/log.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "proto/pb.h"
#include "runtime/criu/obstacle.h"

#define LOG_TAIL_MAX (64 << 10)

char *criu_log_tail(int dirfd, const char *name, size_t *n, struct err *e)
{
	struct stat st;

	auto_close int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0) {
		err_sys(e, errno, "CRIU's log %s", name);
		return NULL;
	}
	if (st.st_size > LOG_TAIL_MAX)
		lseek(fd, st.st_size - LOG_TAIL_MAX, SEEK_SET);
	return fd_read_all(fd, LOG_TAIL_MAX + 4096, n, e);
}

/* The message of an error line: what follows "Error (place): ". NULL if the line is none, or says only that it failed. */
static const char *error_text(const char *line, const char *end)
{
	static const char *const empty[] = { "rlimit: Can't setup", "Dumping FAILED", "Restoring FAILED", "Killing processes because of failure" };
	const char *p = memmem(line, (size_t)(end - line), "Error (", 7);
	const char *text = p ? memmem(p, (size_t)(end - p), "): ", 3) : NULL;

	if (!text)
		return NULL;
	text += 3;
	while (text < end && *text == ' ')
		text++;
	for (size_t i = 0; i < ARRAY_LEN(empty); i++)
		if (str_prefix(text, empty[i]))
			return NULL;
	return text < end ? text : NULL;
}

void criu_log_errors(const char *log, char *out, size_t cap)
{
	const char *first = NULL, *last = NULL;
	int first_len = 0, last_len = 0;

	for (const char *p = log; *p;) {
		const char *end = strchrnul(p, '\n'), *text = error_text(p, end);
		if (text) {
			last = text;
			last_len = (int)(end - text);
		}
		if (text && !first) {
			first = last;
			first_len = last_len;
		}
		p = *end ? end + 1 : end;
	}
	out[0] = '\0';
	if (first == last && first)
		snprintf(out, cap, "%.*s", first_len, first);
	else if (first)
		snprintf(out, cap, "%.*s; %.*s", first_len, first, last_len, last);
}

int criu_log_explain(const char *what, const char *log, size_t n, Davit__ObstacleList *obstacles, struct err *e)
{
	char lines[ERR_MSG_MAX / 2];
	auto_pb(Davit__ObstacleList) *own = pb_new(&davit__obstacle_list__descriptor, e);

	if (!own)
		return -1;
	Davit__ObstacleList *list = obstacles ? obstacles : own;
	if (obstacle_of_log(log, n, list, e) < 0)
		return -1;
	criu_log_errors(log, lines, sizeof(lines));
	if (list->n_obstacles > 0) {
		obstacle_err(list, e);
		return err_prefix(e, "%s", what);
	}
	return err_set(e, ERR_CRIU, 0, "%s: CRIU failed: %s", what, lines[0] ? lines : "its log tells no error");
}
