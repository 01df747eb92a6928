/* Giving up what a long-lived process does not need: capabilities, files (landlock(7)), system calls (seccomp(2)).
 *
 * Nothing here fails: what this kernel cannot do is left out, and the rest holds. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All capabilities and any way to gain one. */
void confine_capabilities(void);

struct confine_folder {
	int dirfd;  /* -1: none */
	bool write; /* make, write, remove plain files; else read them */
};
/* Of files nothing but what is below these folders. Descriptors that are open stay open. */
void confine_files(const struct confine_folder *folders, size_t n);
/* No system calls but these; others fail with EPERM rather than end the process: other lives hang on it. Needs confine_capabilities() before. */
void confine_calls(const int *calls, size_t n);
