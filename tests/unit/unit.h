/* What every unit test includes: cmocka with what it needs, and a private folder. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/file.h"

/* A folder for this test's files, removed by unit_folder_remove; for cmocka_unit_test_setup_teardown: *state is its path, owned. */
static inline int unit_folder_make(void **state)
{
	char *path = strdup("/tmp/davit-unit-XXXXXX");
	*state = path;
	return path && mkdtemp(path) ? 0 : -1;
}

static inline int unit_folder_remove(void **state)
{
	struct err e = { 0 };
	int rc = file_remove_tree(AT_FDCWD, *state, &e);
	free(*state);
	return rc;
}
#define unit_in_folder(f) cmocka_unit_test_setup_teardown(f, unit_folder_make, unit_folder_remove)

/* The message contains this text. */
static inline void unit_assert_message(const struct err *e, const char *part)
{
	if (!strstr(e->msg, part))
		fail_msg("\"%s\" is not in \"%s\"", part, e->msg);
}
