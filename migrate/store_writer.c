/* Making a snapshot: cut, hash, compress what is new, and publish in the order that store.h tells.
 *
 * Each channel has its own cutter, compressor and list of chunks, so channels need no lock between them. Two channels with the same new
 * chunk meet at O_EXCL: the first writes it, and if that fails the whole writer has failed. zstd's level 1: memory pages shrink to
 * about a third of their size at a rate above that of the disk; higher levels win a few percent and cost the container's frozen time. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>
#include "base/clock.h"
#include "base/file.h"
#include "migrate/store_private.h"

#define COMPRESSION_LEVEL 1
#define CHANNELS (DAVIT__STREAM_CHANNEL__CHANNEL_LOG + 1)

struct channel {
	struct store_cutter cutter;
	ZSTD_CCtx *zstd;
	uint8_t *packed; /* ZSTD_COMPRESSBOUND(STORE_CHUNK_MAX) */
	uint8_t *sealed; /* as large, and STORE_SEAL_BYTES; of an encrypted store */
	Davit__SnapshotChannel *list;
};

struct store_writer {
	struct store *store;
	int lock, shared; /* of the container; of the store */
	int staging;
	char id[64];
	char created_at[32];
	int64_t began; /* CLOCK_MONOTONIC */
	char container[65];
	struct channel *channels[CHANNELS];
	_Atomic uint64_t stored;
	atomic_bool failed;
	bool published; /* chunks were moved; without a manifest they are garbage */
	bool finished;
};

struct store_chunk_name store_chunk_name(const uint8_t hash[STORE_HASH_BYTES])
{
	struct store_chunk_name n;
	str_hex(hash, STORE_HASH_BYTES, n.s + 3);
	n.s[0] = n.s[3];
	n.s[1] = n.s[4];
	n.s[2] = '/';
	return n;
}

/* "20261124T100000Z-1a2b3c4d": names sort by time. */
static int make_id(struct store_writer *w, struct err *e)
{
	int64_t now = clock_now_ns(CLOCK_REALTIME);
	time_t seconds = now / NSEC_PER_SEC;
	struct tm tm;
	clock_rfc3339(now, w->created_at);
	size_t n = strftime(w->id, sizeof(w->id), "%Y%m%dT%H%M%SZ-", gmtime_r(&seconds, &tm));
	return str_random_hex(w->id + n, 4, e);
}

static int make_staging(struct store_writer *w, struct err *e)
{
	if (mkdirat(w->store->staging, w->id, 0700) < 0)
		return err_sys(e, errno, "make the staging folder of snapshot %s", w->id);
	w->staging = file_open_dir(w->store->staging, w->id, e);
	return w->staging < 0 ? -1 : 0;
}

struct store_writer *store_writer_new(struct store *s, const char *container, struct err *e)
{
	if (str_check_name(container, "container", e) < 0)
		return NULL;
	auto_store_writer struct store_writer *w = mem_new(1, sizeof(*w), e);
	if (!w)
		return NULL;
	w->store = s;
	w->lock = w->shared = w->staging = -1;
	w->began = clock_now_ns(CLOCK_MONOTONIC);
	snprintf(w->container, sizeof(w->container), "%s", container);
	if ((w->lock = file_lock(s->locks, container, 0, e)) < 0) {
		if (e && e->code == ERR_BUSY)
			err_set(e, ERR_BUSY, 0, "another snapshot of %s is being made", container);
		return NULL;
	}
	if ((w->shared = file_lock_shared(s->dir, STORE_LOCK, STORE_LOCK_WAIT_MS, e)) < 0)
		return NULL;
	return make_id(w, e) < 0 || make_staging(w, e) < 0 ? NULL : steal_ptr(&w);
}

static void channel_free(struct channel *c)
{
	if (!c)
		return;
	store_cutter_free(&c->cutter);
	ZSTD_freeCCtx(c->zstd);
	free(c->packed);
	free(c->sealed);
	pb_freep(&c->list);
	free(c);
}

static struct channel *channel_new(Davit__StreamChannel number, struct err *e)
{
	struct channel *c = mem_new(1, sizeof(*c), e);
	if (!c)
		return NULL;
	c->zstd = ZSTD_createCCtx();
	c->packed = mem_new(1, ZSTD_COMPRESSBOUND(STORE_CHUNK_MAX), e);
	c->sealed = mem_new(1, ZSTD_COMPRESSBOUND(STORE_CHUNK_MAX) + STORE_SEAL_BYTES, e);
	c->list = pb_new(&davit__snapshot_channel__descriptor, e);
	if (!c->zstd || !c->packed || !c->sealed || !c->list || store_cutter_init(&c->cutter, e) < 0) {
		channel_free(c);
		err_set(e, ERR_RESOURCE, ENOMEM, "store: a channel's buffers");
		return NULL;
	}
	c->list->channel = number;
	return c;
}

/* Writes a chunk that the store does not have into staging. */
static int put_new(struct store_writer *w, struct channel *c, const char *name, const uint8_t *hash, struct err *e)
{
	const struct store_seal *seal = &w->store->seal;
	const uint8_t *out = c->packed;
	auto_close int fd = openat(w->staging, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EEXIST ? 0 : err_sys(e, errno, "store: create chunk %s", name);
	size_t n = ZSTD_compressCCtx(c->zstd, c->packed, ZSTD_COMPRESSBOUND(STORE_CHUNK_MAX), c->cutter.data, c->cutter.len, COMPRESSION_LEVEL);
	if (ZSTD_isError(n))
		return err_set(e, ERR_INTERNAL, 0, "store: compress: %s", ZSTD_getErrorName(n));
	if (seal->on) {
		n = store_seal(seal, c->packed, n, hash, STORE_HASH_BYTES, c->sealed);
		out = c->sealed;
	}
	if (fd_write_all(fd, out, n, e) < 0)
		return err_prefix(e, "store: chunk %s", name);
	w->stored += n;
	return 0;
}

static int list_chunk(struct channel *c, const uint8_t hash[STORE_HASH_BYTES], struct err *e)
{
	auto_pb(Davit__SnapshotChunk) *k = pb_new(&davit__snapshot_chunk__descriptor, e);
	if (!k || !(k->hash.data = mem_new(1, STORE_HASH_BYTES, e)))
		return -1;
	memcpy(k->hash.data, hash, STORE_HASH_BYTES);
	k->hash.len = STORE_HASH_BYTES;
	k->length = (uint32_t)c->cutter.len;
	c->list->bytes += c->cutter.len;
	return pb_push(&c->list->n_chunks, &c->list->chunks, steal_ptr(&k), e);
}

static int put_chunk(struct store_writer *w, struct channel *c, struct err *e)
{
	uint8_t hash[STORE_HASH_BYTES];
	store_chunk_hash(w->store->seal.on ? &w->store->seal : NULL, c->cutter.data, c->cutter.len, hash);
	struct store_chunk_name name = store_chunk_name(hash);
	if (!file_exists(w->store->chunks, name.s) && put_new(w, c, name.s + 3, hash, e) < 0)
		return -1;
	if (list_chunk(c, hash, e) < 0)
		return -1;
	c->cutter.len = 0;
	return 0;
}

static int feed(struct store_writer *w, Davit__StreamChannel channel, const uint8_t *p, size_t n, struct err *e)
{
	struct channel **c = &w->channels[channel];
	if (!*c && !(*c = channel_new(channel, e)))
		return -1;
	while (n > 0) {
		bool cut;
		size_t took = store_cutter_feed(&(*c)->cutter, p, n, &cut);
		if (cut && put_chunk(w, *c, e) < 0)
			return -1;
		p += took;
		n -= took;
	}
	return 0;
}

int store_writer_write(struct store_writer *w, Davit__StreamChannel channel, const void *p, size_t n, struct err *e)
{
	if (w->failed || w->finished)
		return err_set(e, ERR_STATE, 0, "snapshot %s failed before or is finished", w->id);
	if (channel < 1 || channel >= CHANNELS)
		return err_set(e, ERR_INVALID, 0, "snapshot %s has no channel %d", w->id, (int)channel);
	if (feed(w, channel, p, n, e) == 0)
		return 0;
	w->failed = true;
	return -1;
}

static int publish_one(void *arg, const char *name, struct err *e)
{
	struct store_writer *w = arg;
	char folder[3] = { name[0], name[1], '\0' }, path[3 + STORE_HASH_HEX + 1];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (mkdirat(w->store->chunks, folder, 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "store: make folder %s", folder);
	/* EEXIST: another writer had the same chunk; ours goes with the staging folder. */
	if (renameat2(w->staging, name, w->store->chunks, path, RENAME_NOREPLACE) < 0 && errno != EEXIST)
		return err_sys(e, errno, "store: publish chunk %s", name);
	return 0;
}

/* Chunks durable, then at their names, then those names durable. */
static int publish(struct store_writer *w, struct err *e)
{
	if (syncfs(w->staging) < 0)
		return err_sys(e, errno, "store: write the chunks of snapshot %s to disk", w->id);
	w->published = true;
	if (store_each(w->staging, publish_one, w, e) < 0)
		return -1;
	return syncfs(w->store->chunks) < 0 ? err_sys(e, errno, "store: write the names of chunks to disk") : 0;
}

static int flush(struct store_writer *w, struct err *e)
{
	for (size_t i = 0; i < CHANNELS; i++)
		if (w->channels[i] && w->channels[i]->cutter.len > 0 && put_chunk(w, w->channels[i], e) < 0)
			return -1;
	return 0;
}

static int fill_manifest(struct store_writer *w, Davit__SnapshotManifest *m, struct err *e)
{
	if (m->n_channels)
		return err_set(e, ERR_INTERNAL, 0, "snapshot %s: its manifest has channels already", w->id);
	m->version = 1;
	m->has_sealed = m->sealed = w->store->seal.on;
	m->has_stored_bytes = true;
	m->stored_bytes = w->stored;
	if (pb_set_str(&m->id, w->id, e) < 0 || pb_set_str(&m->container, w->container, e) < 0 || pb_set_str(&m->created_at, w->created_at, e) < 0)
		return -1;
	for (size_t i = 0; i < CHANNELS; i++)
		if (w->channels[i] && pb_push(&m->n_channels, &m->channels, steal_ptr(&w->channels[i]->list), e) < 0)
			return -1;
	return 0;
}

static int write_manifest(struct store_writer *w, const Davit__SnapshotManifest *m, struct err *e)
{
	auto_pb(Davit__Snapshot) *info = store_info_of(m, e);
	if (!info)
		return -1;
	info->has_create_ms = true;
	info->create_ms = (uint64_t)((clock_now_ns(CLOCK_MONOTONIC) - w->began) / NSEC_PER_MSEC);
	if (store_write_message(w->store, w->id, ".info", &info->base, e) < 0)
		return -1;
	return store_write_message(w->store, w->id, ".manifest", &m->base, e);
}

int store_writer_finish(struct store_writer *w, Davit__SnapshotManifest *m, struct err *e)
{
	if (w->failed || w->finished)
		return err_set(e, ERR_STATE, 0, "snapshot %s failed before or is finished", w->id);
	w->failed = true; /* until all is done */
	if (flush(w, e) < 0 || fill_manifest(w, m, e) < 0 || publish(w, e) < 0 || write_manifest(w, m, e) < 0)
		return -1;
	w->failed = false;
	w->finished = true;
	return 0;
}

void store_writer_free(struct store_writer *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < CHANNELS; i++)
		channel_free(w->channels[i]);
	fd_closep(&w->staging);
	if (w->shared >= 0 && w->id[0])
		file_remove_tree(w->store->staging, w->id, NULL); /* what stays is removed by a collection */
	fd_closep(&w->shared);
	if (w->published && !w->finished) {
		store_unlink(w->store, w->id, NULL); /* the manifest too, if only its last fsync failed */
		store_collect_after(w->store, NULL);
	}
	fd_closep(&w->lock);
	free(w);
}
