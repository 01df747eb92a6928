/* Growing buffers, string vectors, and strings checked into numbers and names. */
#include "base/str.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}

int buf_reserve(struct buf *b, size_t more, struct err *e)
{
	size_t need;
	if (__builtin_add_overflow(b->len, more, &need) || __builtin_add_overflow(need, 1, &need))
		return err_set(e, ERR_RESOURCE, ENOMEM, "buffer of %zu + %zu bytes", b->len, more);
	return mem_grow(&b->data, &b->cap, need, 1, e);
}

int buf_append(struct buf *b, const void *p, size_t n, struct err *e)
{
	if (buf_reserve(b, n, e) < 0)
		return -1;
	if (n)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
	return 0;
}

int buf_puts(struct buf *b, const char *s, struct err *e)
{
	return buf_append(b, s, strlen(s), e);
}

static int __attribute__((format(printf, 3, 0))) buf_vprintf(struct buf *b, struct err *e, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0)
		return err_set(e, ERR_INTERNAL, errno, "format a string");
	if (buf_reserve(b, (size_t)n, e) < 0)
		return -1;
	vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	b->len += (size_t)n;
	return 0;
}

int buf_printf(struct buf *b, struct err *e, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int rc = buf_vprintf(b, e, fmt, ap);
	va_end(ap);
	return rc;
}

void buf_consume(struct buf *b, size_t n)
{
	n = MIN(n, b->len);
	if (n == 0)
		return;
	b->len -= n;
	memmove(b->data, b->data + n, b->len + 1);
}

void strv_free(struct strv *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct strv){ 0 };
}

/* Takes item over, also when it fails. */
static int strv_take(struct strv *s, char *item, struct err *e)
{
	if (!item || mem_grow(&s->v, &s->cap, s->n + 2, sizeof(*s->v), e) < 0) {
		free(item);
		return -1;
	}
	s->v[s->n++] = item;
	s->v[s->n] = NULL;
	return 0;
}

int strv_add(struct strv *s, const char *item, struct err *e)
{
	return strv_take(s, mem_strdup(item, e), e);
}

int strv_addf(struct strv *s, struct err *e, const char *fmt, ...)
{
	auto_buf struct buf b = { 0 };
	va_list ap;
	va_start(ap, fmt);
	int rc = buf_vprintf(&b, e, fmt, ap);
	va_end(ap);
	return rc < 0 ? -1 : strv_take(s, steal_ptr(&b.data), e);
}

bool str_eq(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool str_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_suffix(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);
	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

/* ERR_RANGE for a field. Returns -1. */
static int __attribute__((format(printf, 3, 4))) out_of_range(struct err *e, const char *what, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_field(e, what, "%s: %s", what, text);
	if (e)
		e->code = ERR_RANGE;
	return -1;
}

/* Decimal digits only: no sign, no spaces, no "0x", which strtoull(3) would take. */
static bool only_digits(const char *s)
{
	return *s && strspn(s, "0123456789") == strlen(s);
}

int str_to_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out, const char *what, struct err *e)
{
	if (!only_digits(s))
		return err_field(e, what, "%s: \"%.64s\" is not a whole number", what, s);
	errno = 0;
	unsigned long long v = strtoull(s, NULL, 10);
	if (errno == ERANGE || v < min || v > max)
		return out_of_range(e, what, "%.64s is not in %llu..%llu", s, (unsigned long long)min, (unsigned long long)max);
	*out = v;
	return 0;
}

int str_to_i64(const char *s, int64_t min, int64_t max, int64_t *out, const char *what, struct err *e)
{
	if (!only_digits(*s == '-' ? s + 1 : s))
		return err_field(e, what, "%s: \"%.64s\" is not a whole number", what, s);
	errno = 0;
	long long v = strtoll(s, NULL, 10);
	if (errno == ERANGE || v < min || v > max)
		return out_of_range(e, what, "%.64s is not in %lld..%lld", s, (long long)min, (long long)max);
	*out = v;
	return 0;
}

/* Power of 1024 behind "", "b", "k", "kb", "kib", …; -1 if it is none. */
static int bytes_shift(const char *suffix)
{
	static const char letters[] = "kmgt";
	if (!*suffix || strcasecmp(suffix, "b") == 0)
		return 0;
	const char *letter = strchr(letters, *suffix | 0x20);
	if (!letter || !*letter)
		return -1;
	const char *rest = suffix + 1;
	return !*rest || strcasecmp(rest, "b") == 0 || strcasecmp(rest, "ib") == 0 ? 10 * (int)(letter - letters + 1) : -1;
}

int str_to_bytes(const char *s, uint64_t *out, const char *what, struct err *e)
{
	static const char digits[] = "0123456789";
	size_t whole = strspn(s, digits);
	size_t fraction = s[whole] == '.' ? strspn(s + whole + 1, digits) : 0;
	size_t number = whole + (fraction ? fraction + 1 : 0);
	int shift = bytes_shift(s + number);
	if (whole == 0 || shift < 0) {
		err_field(e, what, "%s: \"%.64s\" is not a number of bytes", what, s);
		return err_remedy(e, "write it as 4096, 64m or 1.5GiB");
	}
	unsigned __int128 value = 0, scale = 1;
	for (size_t i = 0; i < number; i++) {
		if (s[i] == '.')
			continue;
		if (i > whole && scale >= 1000000000000ULL)
			break; /* past what a byte of 1 TiB can tell */
		value = value * 10 + (unsigned)(s[i] - '0');
		scale *= i > whole ? 10 : 1;
		if (value / scale > UINT64_MAX)
			return out_of_range(e, what, "%.64s is larger than 16 EiB", s);
	}
	value = (value << shift) / scale;
	if (value > UINT64_MAX)
		return out_of_range(e, what, "%.64s is larger than 16 EiB", s);
	*out = (uint64_t)value;
	return 0;
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

int str_check_name(const char *s, const char *what, struct err *e)
{
	size_t n = strnlen(s, 65);
	bool good = n >= 1 && n <= 64 && is_alnum(s[0]);
	for (size_t i = 0; good && i < n; i++)
		good = is_alnum(s[i]) || s[i] == '.' || s[i] == '_' || s[i] == '-';
	if (good)
		return 0;
	err_field(e, what, "%s: \"%.64s\" is not a name", what, s);
	return err_remedy(e, "use 1 to 64 of a-z A-Z 0-9 . _ - and begin with a letter or digit");
}

char *str_human_bytes(uint64_t n, char *out, size_t cap)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	size_t unit = 0;
	double v = (double)n;
	while (v >= 1024 && unit + 1 < ARRAY_LEN(units)) {
		v /= 1024;
		unit++;
	}
	snprintf(out, cap, unit == 0 || v >= 100 ? "%.0f %s" : "%.1f %s", v, units[unit]);
	return out;
}

char *str_human_ns(uint64_t ns, char *out, size_t cap)
{
	static const struct {
		double ns;
		const char *name;
	} units[] = { { 1, "ns" }, { 1e3, "µs" }, { 1e6, "ms" }, { 1e9, "s" } };
	if (ns >= 60000000000ULL) {
		unsigned long long s = ns / 1000000000ULL;
		if (s >= 3600)
			snprintf(out, cap, "%llu h %llu min", s / 3600, s / 60 % 60);
		else
			snprintf(out, cap, "%llu min %llu s", s / 60, s % 60);
		return out;
	}
	size_t unit = 0;
	while (unit + 1 < ARRAY_LEN(units) && (double)ns >= units[unit + 1].ns)
		unit++;
	double v = (double)ns / units[unit].ns;
	snprintf(out, cap, unit == 0 || v >= 100 ? "%.0f %s" : "%.1f %s", v, units[unit].name);
	return out;
}

void str_hex(const void *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *bytes = p;
	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * n] = '\0';
}

int str_random_hex(char *out, size_t n, struct err *e)
{
	uint8_t bytes[64];
	if (n > sizeof(bytes))
		return err_set(e, ERR_INTERNAL, 0, "%zu random bytes asked, at most %zu given", n, sizeof(bytes));
	/* getrandom(2): up to 256 bytes come whole and are not interrupted once the pool is ready. */
	if (getrandom(bytes, n, 0) != (ssize_t)n)
		return err_sys(e, errno, "get random bytes");
	str_hex(bytes, n, out);
	return 0;
}
