/* Log lines: built on the stack, written by one write(2). Sources: sd-daemon(3), RFC 8259. */
#include "base/log.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/str.h"

#define LINE_MAX_BYTES 8192

static const struct {
	const char *name;
	int priority; /* syslog(3), for journald */
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", 3 },
	[LOG_LEVEL_WARN] = { "warn", 4 },
	[LOG_LEVEL_INFO] = { "info", 6 },
	[LOG_LEVEL_DEBUG] = { "debug", 7 },
};
static const char *const formats[] = { [LOG_FORMAT_TEXT] = "text", [LOG_FORMAT_JSON] = "json", [LOG_FORMAT_JOURNALD] = "journald" };

static struct {
	int fd;
	enum log_level level;
	enum log_format format;
} state = { 2, LOG_LEVEL_INFO, LOG_FORMAT_TEXT };

void log_setup(int fd, enum log_level level, enum log_format format)
{
	state.fd = fd;
	state.level = level;
	state.format = format;
}

int log_fd(void)
{
	return state.fd;
}

enum log_level log_level(void)
{
	return state.level;
}

int log_level_of(const char *name, enum log_level *out, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		if (str_eq(name, levels[i].name)) {
			*out = (enum log_level)i;
			return 0;
		}
	if (str_eq(name, "warning")) {
		*out = LOG_LEVEL_WARN;
		return 0;
	}
	err_field(e, "log_level", "\"%.32s\" is no log level", name);
	return err_remedy(e, "use error, warn, info or debug");
}

int log_format_of(const char *name, enum log_format *out, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(formats); i++)
		if (str_eq(name, formats[i])) {
			*out = (enum log_format)i;
			return 0;
		}
	err_field(e, "log_format", "\"%.32s\" is no log format", name);
	return err_remedy(e, "use text, json or journald");
}

/* Copies s into out so that it is one line, and inside a JSON string if json. Stops where the next character would not fit. */
static size_t escape(const char *s, bool json, char *out, size_t cap)
{
	size_t used = 0;
	while (*s) {
		char text[8];
		unsigned char c = (unsigned char)*s;
		if (!json && (c < 0x20 || c == 0x7f || c == '"' || c == '\\'))
			snprintf(text, sizeof(text), c == '"' || c == '\\' ? "%c" : "\\x%02x", *s++);
		else
			str_json_char(&s, text);
		size_t len = strlen(text);
		if (used + len >= cap)
			break;
		memcpy(out + used, text, len);
		used += len;
	}
	out[used] = '\0';
	return used;
}

static void write_line(enum log_level level, const char *msg)
{
	char line[LINE_MAX_BYTES], now[32];
	const size_t tail = 4; /* room for the end of the line */
	int head = 0;
	bool json = state.format == LOG_FORMAT_JSON;
	clock_rfc3339(clock_now_ns(CLOCK_REALTIME), now);
	if (json)
		head = snprintf(line, sizeof(line), "{\"time\":\"%s\",\"level\":\"%s\",\"msg\":\"", now, levels[level].name);
	else if (state.format == LOG_FORMAT_JOURNALD)
		head = snprintf(line, sizeof(line), "<%d>", levels[level].priority);
	else
		head = snprintf(line, sizeof(line), "%s %-5s ", now, levels[level].name);
	size_t n = (size_t)head;
	n += escape(msg, json, line + n, sizeof(line) - n - tail);
	n += (size_t)snprintf(line + n, tail, json ? "\"}\n" : "\n");
	while (write(state.fd, line, n) < 0 && errno == EINTR)
		; /* any other failure has no one to be told */
}

void log_write(enum log_level level, const char *fmt, ...)
{
	if (level > state.level)
		return;
	int saved = errno;
	char msg[LINE_MAX_BYTES];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	write_line(level, msg);
	errno = saved;
}

void log_err(enum log_level level, const char *what, const struct err *e)
{
	log_write(level, "%s: %s", what, err_line(e).s);
}
