/* Reads past the page cache.
 *
 * Such a read pins the pages that it goes to when it begins, which counts as a write at that time; the device writes later, and nothing tells
 * (mm/gup.c; PAGEMAP_SCAN takes the mark of a pinned page like any other's). A page that was taken in between would go out with its old content. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>

/* Whether the process has a file open with O_DIRECT now. A process that cannot be looked at has none. */
bool direct_has_file(pid_t pid);
