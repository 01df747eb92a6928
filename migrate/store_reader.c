/* Reading a snapshot: every chunk is decompressed into a buffer of its known length and checked against its hash before it is handed on. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zstd.h>
#include "base/file.h"
#include "base/log.h"
#include "migrate/store_private.h"

struct store_reader {
	struct store *store;
	int shared; /* the store's lock */
	Davit__SnapshotManifest *manifest;
};

struct store_reader *store_reader_open(struct store *s, const char *id, struct err *e)
{
	auto_store_reader struct store_reader *r = mem_new(1, sizeof(*r), e);
	if (!r)
		return NULL;
	r->store = s;
	r->shared = file_lock_shared(s->dir, STORE_LOCK, STORE_LOCK_WAIT_MS, e);
	if (r->shared < 0 || !(r->manifest = store_read_manifest(s, id, e)))
		return NULL;
	return steal_ptr(&r);
}

const Davit__SnapshotManifest *store_reader_manifest(const struct store_reader *r)
{
	return r->manifest;
}

void store_reader_free(struct store_reader *r)
{
	if (!r)
		return;
	fd_closep(&r->shared);
	pb_freep(&r->manifest);
	free(r);
}

/* Where a chunk is used, for errors. */
struct place {
	struct store_reader *r;
	int channel;
	uint64_t offset;
};

static int damaged(const struct place *at, const char *name, const char *how, struct err *e)
{
	return err_set(e, ERR_CORRUPT, 0, "snapshot %s is damaged: chunk %s (channel %d, byte %llu) %s", at->r->manifest->id, name + 3, at->channel,
		       (unsigned long long)at->offset, how);
}

/* Puts a bad chunk out of the way, so that the next snapshot with these bytes stores them anew, which mends this one too. */
static void put_aside(struct store *s, const char *name)
{
	char aside[3 + STORE_HASH_HEX + 5];
	snprintf(aside, sizeof(aside), "%s.bad", name);
	if (renameat(s->chunks, name, s->chunks, aside) < 0)
		log_warn("store: cannot put damaged chunk %s aside", name + 3);
}

/* Reads one chunk into out, which has room for its length. */
static int read_chunk(const struct place *at, const Davit__SnapshotChunk *k, ZSTD_DCtx *zstd, void *out, struct err *e)
{
	struct store *s = at->r->store;
	struct store_chunk_name name = store_chunk_name(k->hash.data);
	struct err cause = { 0 };
	size_t n;
	const struct store_seal *seal = at->r->manifest->sealed ? &s->seal : NULL;
	auto_free char *packed = file_read(s->chunks, name.s, ZSTD_COMPRESSBOUND(STORE_CHUNK_MAX) + STORE_SEAL_BYTES, &n, &cause);
	if (!packed && cause.code == ERR_NOT_FOUND)
		return damaged(at, name.s, "is missing", e);
	if (!packed && cause.code != ERR_LIMIT)
		return err_set(e, cause.code, 0, "snapshot %s: chunk %s", at->r->manifest->id, cause.msg);
	uint8_t hash[STORE_HASH_BYTES] = { 0 };
	ssize_t plain = packed && seal ? store_unseal(seal, (uint8_t *)packed, n, k->hash.data, STORE_HASH_BYTES) : (ssize_t)n;
	n = plain < 0 ? 0 : (size_t)plain;
	size_t got = packed ? ZSTD_decompressDCtx(zstd, out, k->length, packed, n) : 0;
	if (got == k->length) /* an error of zstd is no such number */
		store_chunk_hash(seal, out, k->length, hash);
	if (memcmp(hash, k->hash.data, sizeof(hash)) == 0)
		return 0;
	put_aside(s, name.s);
	return damaged(at, name.s, "does not have its checksum", e);
}

static int read_chunks(struct store_reader *r, const Davit__SnapshotChannel *c, ZSTD_DCtx *zstd, void *buffer, store_sink sink, void *arg,
		       struct err *e)
{
	struct place at = { r, (int)c->channel, 0 };
	for (size_t i = 0; i < c->n_chunks; i++) {
		const Davit__SnapshotChunk *k = c->chunks[i];
		if (read_chunk(&at, k, zstd, buffer, e) < 0 || sink(arg, buffer, k->length, e) < 0)
			return -1;
		at.offset += k->length;
	}
	return 0;
}

int store_reader_channel(struct store_reader *r, Davit__StreamChannel channel, store_sink sink, void *arg, struct err *e)
{
	auto_free void *buffer = mem_new(1, STORE_CHUNK_MAX, e);
	ZSTD_DCtx *zstd = ZSTD_createDCtx();
	int rc = buffer && zstd ? 0 : err_set(e, ERR_RESOURCE, ENOMEM, "store: buffers of a reader");
	for (size_t i = 0; i < r->manifest->n_channels && rc == 0; i++)
		if (r->manifest->channels[i]->channel == channel)
			rc = read_chunks(r, r->manifest->channels[i], zstd, buffer, sink, arg, e);
	ZSTD_freeDCtx(zstd);
	return rc;
}

static int sink_to_fd(void *arg, const void *p, size_t n, struct err *e)
{
	return fd_write_all(*(int *)arg, p, n, e);
}

int store_reader_channel_fd(struct store_reader *r, Davit__StreamChannel channel, int fd, struct err *e)
{
	return store_reader_channel(r, channel, sink_to_fd, &fd, e);
}

static int sink_nowhere(void *arg, const void *p, size_t n, struct err *e)
{
	(void)arg, (void)p, (void)n, (void)e;
	return 0;
}

int store_verify(struct store *s, const char *id, struct err *e)
{
	auto_store_reader struct store_reader *r = store_reader_open(s, id, e);
	if (!r)
		return -1;
	for (size_t i = 0; i < r->manifest->n_channels; i++)
		if (store_reader_channel(r, r->manifest->channels[i]->channel, sink_nowhere, NULL, e) < 0)
			return -1;
	return 0;
}
