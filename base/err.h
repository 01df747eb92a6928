/* One error object through all layers.
 *
 * A function that can fail takes `struct err *e` last and returns 0 or -1 (or an fd, a count, a pointer or NULL). The error is set
 * once, where it happened, with the thing's name in it; callers add a prefix only if it helps the reader. Nothing here
 * allocates, so an error can be told when memory is short, and between fork and exec. One table (err.c) maps a code to its
 * stable name, its HTTP status and its exit status; docs/ERRORS.md is printed from the same table. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>

enum err_code {
	ERR_NONE = 0,
	ERR_INTERNAL,	     /* a defect of ours */
	ERR_INVALID,	     /* malformed input; `field` names where */
	ERR_NOT_FOUND,	     /* no such container, file, snapshot, … */
	ERR_EXISTS,	     /* the name is taken */
	ERR_STATE,	     /* not possible in the state the thing is in */
	ERR_BUSY,	     /* another operation holds it */
	ERR_DENIED,	     /* policy or permission */
	ERR_UNAUTHENTICATED, /* who are you? */
	ERR_UNSUPPORTED,     /* this kernel, build or version cannot */
	ERR_RANGE,	     /* a number out of its range */
	ERR_LIMIT,	     /* larger, deeper or more than allowed */
	ERR_RESOURCE,	     /* out of memory, disk, pids, addresses, … */
	ERR_TIMEOUT,
	ERR_CANCELLED,
	ERR_IO,		  /* read, write, connect failed */
	ERR_PROTOCOL,	  /* the other side broke the protocol */
	ERR_CORRUPT,	  /* a checksum or a stored file is wrong */
	ERR_CRIU,	  /* CRIU failed and the cause is not in our table */
	ERR_OBSTACLE,	  /* the container holds something that cannot be checkpointed */
	ERR_INCOMPATIBLE, /* the target host cannot take the container */
	ERR_IN_DOUBT,	  /* a handover's outcome is not known yet */
	ERR_CODE_COUNT
};

#define ERR_MSG_MAX 1024
#define ERR_FIELD_MAX 256
#define ERR_REMEDY_MAX 512

struct err {
	enum err_code code;
	int sys;		     /* errno behind it, or 0 */
	char msg[ERR_MSG_MAX];	     /* one line, no newline; ends with strerror(sys) where sys != 0 */
	char field[ERR_FIELD_MAX];   /* path of the offending input field ("process.args[0]"), or "" */
	char remedy[ERR_REMEDY_MAX]; /* what the reader can do, or "" */
};

/* What a code is called and how it leaves the program. */
struct err_info {
	const char *name; /* stable: "not_found" */
	int http;	  /* status of an API answer */
	int exit;	  /* exit status of the commands */
	const char *help; /* one line for docs/ERRORS.md */
};

/* Sets *e (if e is not NULL). sys: errno or 0. Always returns -1, so that `return err_set(…)` reads well. Keeps errno. */
int err_set(struct err *e, enum err_code code, int sys, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* As err_set, with the code chosen from errno (ENOENT → not_found, ENOSPC/ENOMEM → resource, EPERM/EACCES → denied, …). */
int err_sys(struct err *e, int sys, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* ERR_INVALID with its field named. Returns -1. */
int err_field(struct err *e, const char *field, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Adds a remedy to an error already set. Returns -1. */
int err_remedy(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Puts "fmt: " before the message. Returns -1. */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Puts "outer." (or "outer" before "[…]") before the field path. */
void err_prefix_field(struct err *e, const char *outer);
void err_clear(struct err *e);

#define ERR_LINE_MAX (ERR_MSG_MAX + ERR_FIELD_MAX + ERR_REMEDY_MAX + 8)
struct err_line {
	char s[ERR_LINE_MAX];
};
/* The error as every program shows it to a person: "field: message (remedy)". Without the field where the message names it itself. */
struct err_line err_line(const struct err *e);

const struct err_info *err_info(enum err_code code);
/* The code of a stable name, or ERR_INTERNAL if unknown. */
enum err_code err_code_of(const char *name);
/* ERR_* that err_sys would choose. */
enum err_code err_code_of_errno(int sys);
