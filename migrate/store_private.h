/* What the parts of the snapshot store share; not for others. */
#pragma once
#include "migrate/store.h"
#include <sodium.h>

#define STORE_HASH_BYTES 32
#define STORE_HASH_HEX (2 * STORE_HASH_BYTES)
#define STORE_CHUNK_MAX (256 << 10)
#define STORE_MANIFEST_MAX (256 << 20)
#define STORE_NAME_MAX 96 /* of a file in snapshots/: an id and its suffix */
#define STORE_LOCK "lock"
#define STORE_LOCK_WAIT_MS 60000 /* for a collection that is running */

#define STORE_KEY_MIN 32
#define STORE_MAGIC_BYTES 8
#define STORE_NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define STORE_SEAL_BYTES (STORE_NONCE_BYTES + crypto_aead_xchacha20poly1305_ietf_ABYTES)

/* Keys, if the store is encrypted (store_seal.c). */
struct store_seal {
	bool on;
	uint8_t content[crypto_aead_xchacha20poly1305_ietf_KEYBYTES];
	uint8_t names[crypto_generichash_KEYBYTES];
};

struct store {
	int dir, chunks, snapshots, staging, locks; /* owned folders */
	struct store_seal seal;
};

/* p[0..n) sealed into out, which has room for STORE_SEAL_BYTES more; bound: what it belongs to. Returns its length. */
size_t store_seal(const struct store_seal *k, const void *p, size_t n, const void *bound, size_t bound_n, uint8_t *out);
/* In place: the text is at p then. Its length, or -1: another key, another place, or damaged. */
ssize_t store_unseal(const struct store_seal *k, uint8_t *p, size_t n, const void *bound, size_t bound_n);
/* A message of the file `name`, with a mark in front. Unsealed, the text is where the sealed text was: STORE_MAGIC_BYTES into p. */
int store_seal_message(const struct store *s, const char *name, const struct buf *plain, struct buf *out, struct err *e);
bool store_is_sealed(const void *p, size_t n);
ssize_t store_unseal_message(const struct store *s, const char *name, uint8_t *p, size_t n, struct err *e);

/* Cutting by content. */
struct store_cutter {
	uint64_t gear[256];
	uint8_t *data; /* owned: STORE_CHUNK_MAX bytes; the chunk so far */
	size_t len;
	uint64_t hash;
};
int store_cutter_init(struct store_cutter *c, struct err *e);
void store_cutter_free(struct store_cutter *c);
/* Takes bytes from p up to the end of a chunk. Returns how many; *cut: the chunk in data[0..len) is complete, and the caller sets len to 0. */
size_t store_cutter_feed(struct store_cutter *c, const uint8_t *p, size_t n, bool *cut);

/* "ab/ab12…" of a hash. */
struct store_chunk_name {
	char s[3 + STORE_HASH_HEX + 1];
};
struct store_chunk_name store_chunk_name(const uint8_t hash[STORE_HASH_BYTES]);
/* seal NULL: not keyed. */
void store_chunk_hash(const struct store_seal *seal, const void *p, size_t n, uint8_t hash[STORE_HASH_BYTES]);

/* Manifests and infos: packed messages after their own hash. */
int store_write_message(struct store *s, const char *id, const char *suffix, const ProtobufCMessage *m, struct err *e);
void *store_read_message(struct store *s, const char *id, const char *suffix, const ProtobufCMessageDescriptor *d, struct err *e);
/* Owned; checked for sense beyond its hash. */
Davit__SnapshotManifest *store_read_manifest(struct store *s, const char *id, struct err *e);
/* What a list tells of a manifest. Owned. */
Davit__Snapshot *store_info_of(const Davit__SnapshotManifest *m, struct err *e);

/* Calls `each` for every entry of a folder but "." and "..". Stops at the first that is not 0. */
int store_each(int folder, int (*each)(void *arg, const char *name, struct err *e), void *arg, struct err *e);
/* Unlinks a snapshot's files; the manifest first. Not durable until snapshots/ is fsynced. */
int store_unlink(struct store *s, const char *id, struct err *e);
/* Collects after something was removed. What stands in its way is no error then; it is told in the log. */
void store_collect_after(struct store *s, uint64_t *freed);
