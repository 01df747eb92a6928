/* The report to the caller: one line of JSON on --sync-fd, {"pid":N} or {"error":"text"}. A caller that has gone meanwhile is no reason to end: the
 * container is there, and whoever comes after the caller finds it by its files. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/str.h"
#include "runtime/monitor/monitor.h"

static void say(struct monitor *m, const char *line, size_t n)
{
	if (m->o.sync_fd < 0)
		return;
	(void)fd_write_all(m->o.sync_fd, line, n, NULL);
	close(m->o.sync_fd);
	m->o.sync_fd = -1;
}

void sync_pid(struct monitor *m, pid_t pid)
{
	char line[40];
	int n = snprintf(line, sizeof(line), "{\"pid\":%d}\n", (int)pid);
	say(m, line, (size_t)n);
}

/* Text of any bytes as the inside of a JSON string: what is not plain ASCII or well-formed UTF-8 becomes '?'. */
static size_t utf8_length(const uint8_t *p)
{
	size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

static size_t escape(const char *text, char *out, size_t cap)
{
	size_t at = 0;
	for (const uint8_t *p = (const uint8_t *)text; *p && at + 5 < cap;) {
		size_t n = utf8_length(p);
		if (*p == '"' || *p == '\\')
			out[at++] = '\\';
		if (!n || *p < 0x20 || *p == 0x7f) {
			out[at++] = *p == '\t' ? ' ' : '?';
			p++;
			continue;
		}
		memcpy(out + at, p, n);
		at += n;
		p += n;
	}
	return at;
}

void sync_error(struct monitor *m, const struct err *e)
{
	char line[2 * ERR_MSG_MAX + 16] = "{\"error\":\"";
	size_t at = strlen(line);
	at += escape(e->msg, line + at, sizeof(line) - at - 4);
	memcpy(line + at, "\"}\n", 3);
	say(m, line, at + 3);
}

/* The text of "msg" in a line of runc's JSON log, in place; the line itself if it is none. */
static char *json_message(char *line)
{
	static const char key[] = "\"msg\":\"";
	char *at = line[0] == '{' ? strstr(line, key) : NULL;
	if (!at)
		return line;
	at += sizeof(key) - 1;
	char *out = at, *to = at;
	for (const char *p = at; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1])
			p++;
		*to++ = *p;
	}
	*to = '\0';
	return out;
}

int sync_program_error(const struct monitor *m, int wait_status, struct err *e)
{
	char text[PROGRAM_TAIL_MAX + 1];
	memcpy(text, m->tail, m->tail_n);
	text[m->tail_n] = '\0';
	size_t n = m->tail_n;
	while (n && strchr("\r\n \t", text[n - 1]))
		text[--n] = '\0';
	char *line = strrchr(text, '\n');
	line = json_message(line ? line + 1 : text);
	if (str_prefix(line, "davit-runtime: "))
		line += strlen("davit-runtime: ");
	if (*line)
		return err_set(e, ERR_INTERNAL, 0, "%s", line);
	if (WIFSIGNALED(wait_status))
		return err_set(e, ERR_INTERNAL, 0, "%s was ended by signal %d", m->o.program[0], WTERMSIG(wait_status));
	return err_set(e, ERR_INTERNAL, 0, "%s ended with status %d and no word", m->o.program[0], WEXITSTATUS(wait_status));
}
