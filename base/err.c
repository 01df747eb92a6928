/* Errors: the table of codes, and filling an error object without allocating.
 *
 * Everything is formatted into a buffer on the stack first, because arguments may point into the error that is being
 * written ("%s", e->msg). Messages are one line: control characters become '?'. strerrordesc_np(3) is used rather than
 * strerror(3), for it neither allocates nor translates, so errors may be set between fork and exec. */
#include "base/err.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct err_info table[ERR_CODE_COUNT] = {
	[ERR_NONE] = { "none", 200, 0, "No error." },
	[ERR_INTERNAL] = { "internal", 500, 70, "A defect of davit's own; please report it." },
	[ERR_INVALID] = { "invalid", 400, 64, "The input is malformed; `field` names where." },
	[ERR_NOT_FOUND] = { "not_found", 404, 66, "There is no such container, file, snapshot or other thing." },
	[ERR_EXISTS] = { "exists", 409, 73, "The name is taken." },
	[ERR_STATE] = { "state", 409, 79, "Not possible in the state that the thing is in." },
	[ERR_BUSY] = { "busy", 409, 75, "Another operation holds it; try again later." },
	[ERR_DENIED] = { "denied", 403, 77, "The host's policy or the system's permissions do not allow it." },
	[ERR_UNAUTHENTICATED] = { "unauthenticated", 401, 80, "The caller did not prove who it is." },
	[ERR_UNSUPPORTED] = { "unsupported", 501, 69, "This kernel, build or version cannot do it." },
	[ERR_RANGE] = { "range", 400, 65, "A number is out of its range." },
	[ERR_LIMIT] = { "limit", 413, 81, "Larger, deeper or more than is allowed." },
	[ERR_RESOURCE] = { "resource", 507, 71, "Out of memory, disk space, processes, addresses or the like." },
	[ERR_TIMEOUT] = { "timeout", 504, 82, "It took longer than it was given." },
	[ERR_CANCELLED] = { "cancelled", 409, 83, "It was cancelled by request." },
	[ERR_IO] = { "io", 502, 74, "Reading, writing or connecting failed." },
	[ERR_PROTOCOL] = { "protocol", 400, 76, "The other side broke the protocol." },
	[ERR_CORRUPT] = { "corrupt", 500, 84, "A checksum or a stored file is wrong." },
	[ERR_CRIU] = { "criu", 500, 85, "CRIU failed for a cause that davit does not know; its last log lines are in the message." },
	[ERR_OBSTACLE] = { "obstacle", 422, 86, "The container holds something that cannot be checkpointed." },
	[ERR_INCOMPATIBLE] = { "incompatible", 422, 87, "The target host cannot take the container; `reasons` is the whole list." },
	[ERR_IN_DOUBT] = { "in_doubt", 503, 88, "A handover's outcome is not known yet; it will settle without help." },
};

static const struct {
	int sys;
	enum err_code code;
} errnos[] = {
	{ ENOENT, ERR_NOT_FOUND },
	{ ESRCH, ERR_NOT_FOUND },
	{ ENODEV, ERR_NOT_FOUND },
	{ ENXIO, ERR_NOT_FOUND },
	{ EEXIST, ERR_EXISTS },
	{ EPERM, ERR_DENIED },
	{ EACCES, ERR_DENIED },
	{ EROFS, ERR_DENIED },
	{ ENOMEM, ERR_RESOURCE },
	{ ENOSPC, ERR_RESOURCE },
	{ EDQUOT, ERR_RESOURCE },
	{ EMFILE, ERR_RESOURCE },
	{ ENFILE, ERR_RESOURCE },
	{ EAGAIN, ERR_BUSY },
	{ EBUSY, ERR_BUSY },
	{ ETXTBSY, ERR_BUSY },
	{ EINVAL, ERR_INVALID },
	{ ENAMETOOLONG, ERR_INVALID },
	{ ENOTDIR, ERR_INVALID },
	{ EISDIR, ERR_INVALID },
	{ ELOOP, ERR_INVALID },
	{ ENOEXEC, ERR_INVALID },
	{ ERANGE, ERR_RANGE },
	{ EOVERFLOW, ERR_RANGE },
	{ EDOM, ERR_RANGE },
	{ E2BIG, ERR_LIMIT },
	{ EFBIG, ERR_LIMIT },
	{ EMSGSIZE, ERR_LIMIT },
	{ ENOSYS, ERR_UNSUPPORTED },
	{ EOPNOTSUPP, ERR_UNSUPPORTED },
	{ EAFNOSUPPORT, ERR_UNSUPPORTED },
	{ EPROTONOSUPPORT, ERR_UNSUPPORTED },
	{ ETIMEDOUT, ERR_TIMEOUT },
	{ ETIME, ERR_TIMEOUT },
	{ ECANCELED, ERR_CANCELLED },
	{ EBADMSG, ERR_CORRUPT },
	{ EPROTO, ERR_PROTOCOL },
	{ ENOTEMPTY, ERR_STATE },
	{ EUSERS, ERR_RESOURCE },
	{ EADDRINUSE, ERR_BUSY },
	{ EBADF, ERR_INTERNAL },
	{ EFAULT, ERR_INTERNAL },
};

const struct err_info *err_info(enum err_code code)
{
	if ((unsigned)code >= ERR_CODE_COUNT)
		code = ERR_INTERNAL;
	return &table[code];
}

enum err_code err_code_of(const char *name)
{
	for (int i = 0; name && i < ERR_CODE_COUNT; i++)
		if (strcmp(table[i].name, name) == 0)
			return (enum err_code)i;
	return ERR_INTERNAL;
}

enum err_code err_code_of_errno(int sys)
{
	for (size_t i = 0; i < sizeof(errnos) / sizeof(errnos[0]); i++)
		if (errnos[i].sys == sys)
			return errnos[i].code;
	return ERR_IO;
}

static void one_line(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

/* Appends ": description" of errno as far as it fits. */
static void append_errno(char msg[ERR_MSG_MAX], int sys)
{
	const char *text = strerrordesc_np(sys);
	size_t n = strlen(msg);
	if (text)
		snprintf(msg + n, ERR_MSG_MAX - n, ": %s", text);
	else
		snprintf(msg + n, ERR_MSG_MAX - n, ": error %d", sys);
}

static void __attribute__((format(printf, 4, 0))) set(struct err *e, enum err_code code, int sys, const char *fmt, va_list ap)
{
	char msg[ERR_MSG_MAX];
	vsnprintf(msg, sizeof(msg), fmt, ap);
	if (sys)
		append_errno(msg, sys);
	one_line(msg);
	e->code = code;
	e->sys = sys;
	e->field[0] = e->remedy[0] = '\0';
	memcpy(e->msg, msg, sizeof(msg));
}

int err_set(struct err *e, enum err_code code, int sys, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	va_start(ap, fmt);
	if (e)
		set(e, code, sys, fmt, ap);
	va_end(ap);
	errno = saved;
	return -1;
}

int err_sys(struct err *e, int sys, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	va_start(ap, fmt);
	if (e)
		set(e, err_code_of_errno(sys), sys, fmt, ap);
	va_end(ap);
	errno = saved;
	return -1;
}

int err_field(struct err *e, const char *field, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	va_start(ap, fmt);
	if (e) {
		char name[ERR_FIELD_MAX];
		snprintf(name, sizeof(name), "%s", field ? field : "");
		set(e, ERR_INVALID, 0, fmt, ap);
		one_line(name);
		memcpy(e->field, name, sizeof(name));
	}
	va_end(ap);
	errno = saved;
	return -1;
}

int err_remedy(struct err *e, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	va_start(ap, fmt);
	if (e) {
		char text[ERR_REMEDY_MAX];
		vsnprintf(text, sizeof(text), fmt, ap);
		one_line(text);
		memcpy(e->remedy, text, sizeof(text));
	}
	va_end(ap);
	errno = saved;
	return -1;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	va_start(ap, fmt);
	if (e) {
		char text[ERR_MSG_MAX];
		vsnprintf(text, sizeof(text), fmt, ap);
		size_t n = strlen(text);
		snprintf(text + n, sizeof(text) - n, ": %s", e->msg);
		one_line(text);
		memcpy(e->msg, text, sizeof(text));
	}
	va_end(ap);
	errno = saved;
	return -1;
}

void err_prefix_field(struct err *e, const char *outer)
{
	if (!e || !outer || !*outer)
		return;
	char text[ERR_FIELD_MAX];
	const char *between = e->field[0] == '\0' || e->field[0] == '[' ? "" : ".";
	int n = snprintf(text, sizeof(text), "%s%s", outer, between);
	if (n > 0 && (size_t)n < sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n, "%s", e->field);
	one_line(text);
	memcpy(e->field, text, sizeof(text));
}

struct err_line err_line(const struct err *e)
{
	struct err_line line;
	bool field = e->field[0] && !strstr(e->msg, e->field), remedy = e->remedy[0];
	snprintf(line.s, sizeof(line.s), "%s%s%s%s%s%s", field ? e->field : "", field ? ": " : "", e->msg, remedy ? " (" : "", e->remedy,
		 remedy ? ")" : "");
	return line;
}

void err_clear(struct err *e)
{
	if (!e)
		return;
	e->code = ERR_NONE;
	e->sys = 0;
	e->msg[0] = e->field[0] = e->remedy[0] = '\0';
}
