/* Log to stderr or a file: text for people, JSON for collectors, "<N>" priorities for journald (sd-daemon(3)).
 *
 * The level and format are the process's only global state. A line is one write(2), so that lines of several processes
 * do not mix. Never logs secrets; never called between fork and exec. */
#pragma once
#include <stdbool.h>
#include "base/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON, LOG_FORMAT_JOURNALD };

/* fd: where lines go (borrowed; 2 at start). */
void log_setup(int fd, enum log_level level, enum log_format format);
enum log_level log_level(void);
int log_fd(void);
int log_level_of(const char *name, enum log_level *out, struct err *e);
int log_format_of(const char *name, enum log_format *out, struct err *e);
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
/* Logs an error object at `level`: "what: field: message (remedy)". */
void log_err(enum log_level level, const char *what, const struct err *e);
