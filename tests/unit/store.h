/* What the tests of the snapshot store share. */
#pragma once
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include "migrate/store_private.h"
#include "tests/unit/unit.h"

static inline struct store *open_store(void **state)
{
	struct err e = { 0 };
	struct store *s = store_open(*state, &e);
	if (!s)
		fail_msg("%s", e.msg);
	return s;
}

static inline Davit__SnapshotManifest *manifest_of(const char *container)
{
	Davit__SnapshotManifest *m = pb_new(&davit__snapshot_manifest__descriptor, NULL);
	m->spec = pb_new(&davit__container_spec__descriptor, NULL);
	m->ids = pb_new(&davit__id_range__descriptor, NULL);
	m->dump = pb_new(&davit__dump_done__descriptor, NULL);
	m->dump->clock = pb_new(&davit__clock_sample__descriptor, NULL);
	pb_set_str(&m->spec->name, container, NULL);
	pb_set_str(&m->image_digest, "blake2b:00", NULL);
	return m;
}

struct count {
	const char *suffix;
	size_t files;
	off_t size; /* of the largest */
	char largest[512];
};

static inline void count_file(const char *path, const struct stat *st, struct count *c)
{
	if (!S_ISDIR(st->st_mode) && str_suffix(path, c->suffix)) {
		c->files++;
		if (st->st_size >= c->size)
			snprintf(c->largest, sizeof(c->largest), "%s", path);
		c->size = MAX(c->size, st->st_size);
	}
}

static inline void count_below(const char *folder, struct count *c)
{
	DIR *d = opendir(folder);
	for (struct dirent *entry; d && (entry = readdir(d));) {
		char path[512];
		struct stat st;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (entry->d_name[0] == '.' && strspn(entry->d_name, ".") == strlen(entry->d_name))
			continue;
		if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
			count_below(path, c);
		else
			count_file(path, &st, c);
	}
	if (d)
		closedir(d);
}

/* Files below a folder of the store. */
static inline struct count files(void **state, const char *folder, const char *suffix)
{
	struct count c = { .suffix = suffix };
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", (char *)*state, folder);
	count_below(path, &c);
	return c;
}

#define IMAGES DAVIT__STREAM_CHANNEL__CHANNEL_IMAGES
#define LAYER DAVIT__STREAM_CHANNEL__CHANNEL_LAYER
#define PAGES DAVIT__STREAM_CHANNEL__CHANNEL_PAGES

/* Bytes that do not repeat. */
static inline uint8_t *noise(size_t n, uint64_t seed)
{
	uint8_t *p = malloc(n);
	unsigned char key[randombytes_SEEDBYTES] = { 0 };
	memcpy(key, &seed, sizeof(seed));
	randombytes_buf_deterministic(p, n, key);
	return p;
}

/* Makes a snapshot with these bytes of pages. Returns its id, owned. */
static inline char *snapshot(struct store *s, const char *container, const void *p, size_t n, uint64_t *stored)
{
	struct err e = { 0 };
	auto_store_writer struct store_writer *w = store_writer_new(s, container, &e);
	auto_pb(Davit__SnapshotManifest) *m = manifest_of(container);
	if (!w || store_writer_write(w, IMAGES, "images", 6, &e) < 0 || store_writer_write(w, PAGES, p, n, &e) < 0 ||
	    store_writer_finish(w, m, &e) < 0)
		fail_msg("%s", e.msg);
	if (stored)
		*stored = m->stored_bytes;
	return strdup(m->id);
}

static inline int append(void *arg, const void *p, size_t n, struct err *e)
{
	return buf_append(arg, p, n, e);
}

static inline int read_pages(struct store *s, const char *id, struct buf *out, struct err *e)
{
	auto_store_reader struct store_reader *r = store_reader_open(s, id, e);
	return r ? store_reader_channel(r, PAGES, append, out, e) : -1;
}

#define RULES(...) ((Davit__SnapshotPrune){ .base = PROTOBUF_C_MESSAGE_INIT(&davit__snapshot_prune__descriptor), __VA_ARGS__ })
