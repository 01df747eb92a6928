/* Removing chunks that no manifest names.
 *
 * The store's lock is taken exclusively, so no writer relies on a chunk that has no manifest yet, and no reader on one whose manifest is
 * gone. All manifests are read first; if one cannot be, nothing is removed, for its chunks are not known. Marks are the first 64
 * bits of the hashes: two that share them only keep a chunk too many. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/log.h"
#include "migrate/store_private.h"

struct collection {
	struct store *s;
	uint64_t *marks; /* owned, sorted after marking */
	size_t n, cap;
	int folder; /* of chunks, being swept */
	uint64_t freed;
};

static int mark_channel(struct collection *c, const Davit__SnapshotChannel *channel, struct err *e)
{
	if (mem_grow(&c->marks, &c->cap, c->n + channel->n_chunks, sizeof(*c->marks), e) < 0)
		return -1;
	for (size_t i = 0; i < channel->n_chunks; i++) {
		uint64_t mark = 0;
		for (size_t k = 0; k < sizeof(mark); k++)
			mark = mark << 8 | channel->chunks[i]->hash.data[k];
		c->marks[c->n++] = mark;
	}
	return 0;
}

static int mark_snapshot(void *arg, const char *name, struct err *e)
{
	struct collection *c = arg;
	if (!str_suffix(name, ".manifest"))
		return 0;
	char id[STORE_NAME_MAX];
	snprintf(id, sizeof(id), "%.*s", (int)(strlen(name) - strlen(".manifest")), name);
	auto_pb(Davit__SnapshotManifest) *m = store_read_manifest(c->s, id, e);
	for (size_t i = 0; m && i < m->n_channels; i++)
		if (mark_channel(c, m->channels[i], e) < 0)
			return -1;
	return m ? 0 : -1;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static bool is_marked(const struct collection *c, const char *name)
{
	char digits[17];
	snprintf(digits, sizeof(digits), "%.16s", name);
	uint64_t mark = strtoull(digits, NULL, 16);
	return c->n && bsearch(&mark, c->marks, c->n, sizeof(mark), by_number);
}

static int sweep_chunk(void *arg, const char *name, struct err *e)
{
	struct collection *c = arg;
	size_t digits = strspn(name, "0123456789abcdef");
	bool bad = digits == STORE_HASH_HEX && strcmp(name + digits, ".bad") == 0;
	if (digits != STORE_HASH_HEX || (name[digits] && !bad) || (!bad && is_marked(c, name)))
		return 0;
	struct stat st;
	if (fstatat(c->folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || unlinkat(c->folder, name, 0) < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "store: remove chunk %s", name);
	c->freed += (uint64_t)st.st_size;
	return 0;
}

static int sweep_folder(void *arg, const char *name, struct err *e)
{
	struct collection *c = arg;
	if (strlen(name) != 2)
		return 0;
	c->folder = file_open_dir(c->s->chunks, name, e);
	int rc = c->folder < 0 ? -1 : store_each(c->folder, sweep_chunk, c, e);
	fd_closep(&c->folder);
	return rc;
}

static int drop_staging(void *arg, const char *name, struct err *e)
{
	return file_remove_tree(((struct collection *)arg)->s->staging, name, e);
}

/* Files that a stopped writer or removal left: temporary ones, and infos without their manifest. */
static int drop_leftover(void *arg, const char *name, struct err *e)
{
	struct collection *c = arg;
	char manifest[STORE_NAME_MAX + 16];
	bool info = str_suffix(name, ".info");
	snprintf(manifest, sizeof(manifest), "%.*s.manifest", info ? (int)(strlen(name) - strlen(".info")) : 0, name);
	if (!str_prefix(name, ".tmp-") && (!info || file_exists(c->s->snapshots, manifest)))
		return 0;
	if (unlinkat(c->s->snapshots, name, 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "store: remove %s", name);
	return 0;
}

int store_collect(struct store *s, uint64_t *freed, struct err *e)
{
	struct collection c = { .s = s, .folder = -1 };
	if (freed)
		*freed = 0;
	auto_close int lock = file_lock(s->dir, STORE_LOCK, 0, e);
	if (lock < 0)
		return -1;
	int rc = store_each(s->snapshots, mark_snapshot, &c, e);
	if (c.n)
		qsort(c.marks, c.n, sizeof(*c.marks), by_number);
	if (rc == 0)
		rc = store_each(s->chunks, sweep_folder, &c, e);
	if (rc == 0)
		rc = store_each(s->staging, drop_staging, &c, e);
	if (rc == 0)
		rc = store_each(s->snapshots, drop_leftover, &c, e);
	free(c.marks);
	if (freed)
		*freed = c.freed;
	return rc;
}

void store_collect_after(struct store *s, uint64_t *freed)
{
	struct err e = { 0 };
	if (store_collect(s, freed, &e) < 0 && e.code != ERR_BUSY)
		log_err(LOG_LEVEL_WARN, "free what removed snapshots held", &e);
}
