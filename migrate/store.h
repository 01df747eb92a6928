/* The snapshot store: chunks by content under manifests, in one folder.
 *
 *   DIR/chunks/ab/ab12…   zstd of one chunk; the name is the BLAKE2b-256 of its uncompressed bytes
 *   DIR/snapshots/ID.manifest   SnapshotManifest after its own BLAKE2b-256; ID.info: what a list needs of it (Snapshot), derived
 *   DIR/staging/ID/       chunks of a snapshot in the making
 *   DIR/locks/NAME        held (flock) while a snapshot of container NAME is made
 *   DIR/lock              held shared by every writer and reader, exclusively while chunks are collected
 *
 * Chunks are cut by content (16 to 256 KiB, 64 KiB on average), not at fixed offsets: the channels are streams (tar, CRIU's page-server
 * protocol) in which one more header moves everything behind it, and fixed cuts would find nothing twice from there on.
 *
 * Never half: chunks are written to staging, made durable (syncfs(2)), moved to their names, and then the manifest is written and renamed into
 * place. So what stands in chunks/ is whole, and what a manifest names is there, whenever the machine stops. What a stopped writer left behind
 * is removed by the next collection. Collecting waits for nobody: while a writer or reader is at work it is left to the next one.
 *
 * Every read is checked against its hash; a chunk that fails is put aside, so that the next snapshot stores it anew.
 * A struct store may be used by several threads; a writer's channels may each be written by a thread of its own. */
#pragma once
#include "api.pb-c.h"
#include "proto/pb.h"
#include "stream.pb-c.h"

struct store;
struct store_writer;
struct store_reader;

/* Opens the store in dir, which is made if it is missing (mode 0700). Owned, or NULL. */
struct store *store_open(const char *dir, struct err *e);
/* From now on what is stored is encrypted, with this key (32 bytes at least). ERR_INVALID: too short. 0 or -1. */
int store_set_key(struct store *s, const void *key, size_t n, struct err *e);
void store_close(struct store *s); /* NULL is fine */
static inline void store_closep(struct store **s)
{
	store_close(*s);
	*s = NULL;
}
#define auto_store auto_cleanup(store_closep)

/* Begins a snapshot of a container. Owned, or NULL (ERR_BUSY at once: another one of the same container is being made). */
struct store_writer *store_writer_new(struct store *s, const char *container, struct err *e);
/* Appends bytes to a channel. 0 or -1, after which the writer can only be freed. */
int store_writer_write(struct store_writer *w, Davit__StreamChannel channel, const void *p, size_t n, struct err *e);
/* Makes the snapshot durable. m: built by the caller with spec, ids, image_digest, dump and what else it knows (labels, facts, reason,
 * frozen_us); version, id, container, created_at, channels and stored_bytes are filled in here. m stays the caller's. 0 or -1. */
int store_writer_finish(struct store_writer *w, Davit__SnapshotManifest *m, struct err *e);
/* Frees it; a snapshot that was not finished leaves nothing. NULL is fine. */
void store_writer_free(struct store_writer *w);
static inline void store_writer_freep(struct store_writer **w)
{
	store_writer_free(*w);
	*w = NULL;
}
#define auto_store_writer auto_cleanup(store_writer_freep)

/* Opens a snapshot for reading; it cannot lose its chunks meanwhile. Owned, or NULL (ERR_NOT_FOUND, ERR_CORRUPT). */
struct store_reader *store_reader_open(struct store *s, const char *id, struct err *e);
/* Borrowed, valid as long as the reader. */
const Davit__SnapshotManifest *store_reader_manifest(const struct store_reader *r);
/* Hands the bytes of a channel to `sink` in order (nothing if the snapshot has no such channel). 0, or -1: what sink answered, or ERR_CORRUPT
 * with snapshot, channel and chunk named. Channels may be read by several threads at once. */
typedef int (*store_sink)(void *arg, const void *p, size_t n, struct err *e);
int store_reader_channel(struct store_reader *r, Davit__StreamChannel channel, store_sink sink, void *arg, struct err *e);
/* The same, written to a descriptor (borrowed). */
int store_reader_channel_fd(struct store_reader *r, Davit__StreamChannel channel, int fd, struct err *e);
void store_reader_free(struct store_reader *r);
static inline void store_reader_freep(struct store_reader **r)
{
	store_reader_free(*r);
	*r = NULL;
}
#define auto_store_reader auto_cleanup(store_reader_freep)

/* Snapshots of a container (NULL: of all), the oldest first. Owned, or NULL. */
Davit__SnapshotList *store_list(struct store *s, const char *container, struct err *e);
/* Owned, or NULL (ERR_NOT_FOUND, ERR_CORRUPT). */
Davit__Snapshot *store_get(struct store *s, const char *id, struct err *e);
/* Removes a snapshot and collects. *freed (may be NULL): bytes of the chunks removed; 0 if collecting was left to the next one. 0 or -1. */
int store_remove(struct store *s, const char *id, uint64_t *freed, struct err *e);
/* Keeps, of each container, the newest keep_last snapshots and the newest one of each of the last keep_hourly hours, keep_daily days and
 * keep_weekly weeks (ISO, from Monday; all UTC) in which there is one; removes the others and collects. A rule set of zeros is refused
 * (ERR_INVALID): it would remove all. dry_run only tells. Owned, or NULL. */
Davit__PruneResult *store_prune(struct store *s, const Davit__SnapshotPrune *rules, struct err *e);
/* Removes what no snapshot names and what stopped writers left. *freed as above. 0; -1: ERR_BUSY (a writer or reader is at work), ERR_CORRUPT
 * (a manifest cannot be read: nothing is removed then). */
int store_collect(struct store *s, uint64_t *freed, struct err *e);
/* Reads every chunk of a snapshot and checks it. 0 or -1 (ERR_CORRUPT). */
int store_verify(struct store *s, const char *id, struct err *e);
