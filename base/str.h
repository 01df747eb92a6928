/* Growing byte buffer, and small string helpers with checked results. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/mem.h"

/* Bytes that grow; always NUL-terminated once it has data != NULL. Zero-initialise. */
struct buf {
	char *data;
	size_t len, cap;
};
void buf_free(struct buf *b);
#define auto_buf auto_cleanup(buf_free)
int buf_reserve(struct buf *b, size_t more, struct err *e);
int buf_append(struct buf *b, const void *p, size_t n, struct err *e);
int buf_puts(struct buf *b, const char *s, struct err *e);
int buf_printf(struct buf *b, struct err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Appends s as a JSON string with its quotes; what is no UTF-8 becomes U+FFFD. */
int buf_json_string(struct buf *b, const char *s, struct err *e);
/* Removes n bytes from the front. */
void buf_consume(struct buf *b, size_t n);

/* NULL-terminated string vector, owned. Zero-initialise. */
struct strv {
	char **v;
	size_t n, cap;
};
void strv_free(struct strv *s);
#define auto_strv auto_cleanup(strv_free)
int strv_add(struct strv *s, const char *item, struct err *e);
int strv_addf(struct strv *s, struct err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

bool str_eq(const char *a, const char *b); /* NULL equals NULL only */
bool str_prefix(const char *s, const char *prefix);
bool str_suffix(const char *s, const char *suffix);
/* The whole of s as a number. 0 or -1 (ERR_INVALID with `what` named, ERR_RANGE). */
int str_to_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out, const char *what, struct err *e);
int str_to_i64(const char *s, int64_t min, int64_t max, int64_t *out, const char *what, struct err *e);
/* "64m", "1.5GiB", "4096": bytes; k/m/g/t are powers of 1024. */
int str_to_bytes(const char *s, uint64_t *out, const char *what, struct err *e);
/* A container, network, image or snapshot name: 1-64 of [a-zA-Z0-9._-], first alphanumeric. 0 or -1 (ERR_INVALID, field = what). */
int str_check_name(const char *s, const char *what, struct err *e);
/* Writes "1.5 GiB", "380 ms" for people. out is filled and returned. */
char *str_human_bytes(uint64_t n, char *out, size_t cap);
char *str_human_ns(uint64_t ns, char *out, size_t cap);
/* n random bytes as 2n lowercase hex digits (getrandom(2)); out has 2n + 1 bytes. */
int str_random_hex(char *out, size_t n, struct err *e);
void str_hex(const void *p, size_t n, char *out);
/* Bytes of the UTF-8 character at p (RFC 3629; NUL is one), 0 if it is none. Reads no byte past the first that is wrong. */
size_t str_utf8_length(const char *p);
/* How the character at *s stands in a JSON string, NUL-terminated into out; *s moves past it. What is no UTF-8 becomes U+FFFD. */
void str_json_char(const char **s, char out[8]);
