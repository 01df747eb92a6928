/* Writing a tar of a layer, entry by entry: what layer_export and layer passes share. */
#pragma once
#include <archive.h>
#include "base/err.h"
#include "runtime/layer/tree.h"

/* Extended attributes of entries that are no files but words to who unpacks. No container can set them: it takes CAP_SYS_ADMIN of the host. */
#define EXPORT_REMOVED "trusted.davit.removed" /* what was sent under this name before is no more */
#define EXPORT_PASS "trusted.davit.pass"       /* all that was changed before is told; folders may get their times */

struct export
{
	struct archive *tar, *disk;
	struct archive_entry_linkresolver *links;
	uint8_t *buffer;
	const uint8_t *zero; /* never touched: libarchive only counts what lies in a hole */
	int fd;
	uint64_t bytes, told; /* written so far; and of files' contents and heads, what is still gathered counted in */
	/* A layer in use: a file may be shorter than a moment ago. What is missing is sent as zeros, and `torn` is set. */
	bool running, torn;
	struct err write_error;
};
/* fd is borrowed. 0 or -1; export_close() either way. */
int export_open(struct export *x, int fd, struct err *e);
void export_close(struct export *x);
/* Adds an entry. For tree_walk(). */
int export_entry(void *x, const struct tree_entry *t, struct err *e);
/* Adds a word: EXPORT_REMOVED for a path, EXPORT_PASS for ".". */
int export_word(struct export *x, const char *path, const char *word, struct err *e);
/* From here on hard links are told anew. 0 or -1. */
int export_next_pass(struct export *x, struct err *e);
/* The end of the tar. */
int export_end(struct export *x, struct err *e);
/* The folder of a layer's files. Owned fd or -1. */
int layer_open_upper(const char *layer_dir, struct err *e);
