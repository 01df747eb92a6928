/* See lazy_archive.h. */
#define LAZY_ARCHIVE_SELF
#include "runtime/layer/lazy_archive.h"

#define DEFINE(name) __typeof__(name) *lazy_##name;
LAZY_ARCHIVE_FUNCTIONS(DEFINE)

#define ENTRY(name) { #name, &lazy_##name },
static const struct lazy_function functions[] = { LAZY_ARCHIVE_FUNCTIONS(ENTRY) };

int lazy_archive(struct err *e)
{
	return lazy_load("libarchive.so.13", functions, sizeof(functions) / sizeof(functions[0]), e);
}
