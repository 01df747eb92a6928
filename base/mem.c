/* Checked allocation. */
#include "base/mem.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* No object is larger than PTRDIFF_MAX: such a wish is an overflow somewhere. */
static bool is_possible(size_t n, size_t size)
{
	size_t bytes;
	return !__builtin_mul_overflow(n, size, &bytes) && bytes <= PTRDIFF_MAX;
}

void *mem_new(size_t n, size_t size, struct err *e)
{
	void *p = is_possible(n, size) ? calloc(n ? n : 1, size ? size : 1) : NULL;
	if (!p)
		err_set(e, ERR_RESOURCE, ENOMEM, "allocate %zu items of %zu bytes", n, size);
	return p;
}

int mem_grow(void *p, size_t *cap, size_t need, size_t size, struct err *e)
{
	if (need <= *cap)
		return 0;
	size_t want = MAX(*cap, 8);
	while (want < need) {
		if (want > SIZE_MAX / 2)
			return err_set(e, ERR_RESOURCE, ENOMEM, "grow to %zu items of %zu bytes", need, size);
		want *= 2;
	}
	void *old;
	memcpy(&old, p, sizeof(old));
	void *grown = is_possible(want, size) ? reallocarray(old, want, size) : NULL;
	if (!grown)
		return err_set(e, ERR_RESOURCE, ENOMEM, "grow to %zu items of %zu bytes", want, size);
	memcpy(p, &grown, sizeof(grown));
	*cap = want;
	return 0;
}

char *mem_strdup(const char *s, struct err *e)
{
	char *copy = strdup(s);
	if (!copy)
		err_set(e, ERR_RESOURCE, ENOMEM, "copy a string of %zu bytes", strlen(s));
	return copy;
}

char *mem_printf(struct err *e, const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0) {
		err_set(e, ERR_RESOURCE, ENOMEM, "format a string");
		return NULL;
	}
	return s;
}
