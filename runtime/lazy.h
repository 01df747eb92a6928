/* Libraries that are loaded when they are needed: what few commands use shall not slow the start of all. */
#pragma once
#include <stddef.h>
#include "base/err.h"

struct lazy_function {
	const char *name;
	void *pointer; /* of the function pointer to fill */
};

/* Loads a library of the system (dlopen(3), no search beyond its usual places) and looks up its functions; again is no error. ERR_UNSUPPORTED. */
int lazy_load(const char *soname, const struct lazy_function *f, size_t n, struct err *e);
