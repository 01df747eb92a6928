/* The store's folders, and the messages in it. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/log.h"
#include "migrate/store_private.h"

#define STORE_VERSION "1\n"

static void store_init(struct store *s)
{
	*s = (struct store){ .dir = -1, .chunks = -1, .snapshots = -1, .staging = -1, .locks = -1 };
}

static int open_folder(struct store *s, const char *name, int *out, struct err *e)
{
	if (mkdirat(s->dir, name, 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "make folder %s of the store", name);
	*out = file_open_dir(s->dir, name, e);
	return *out < 0 ? -1 : 0;
}

/* A store of another version is left alone. */
static int check_version(struct store *s, const char *dir, struct err *e)
{
	char version[16];
	if (!file_exists(s->dir, "version"))
		return file_write_atomic(s->dir, "version", STORE_VERSION, strlen(STORE_VERSION), 0600, true, e);
	if (file_read_line(s->dir, "version", version, sizeof(version), e) < 0)
		return -1;
	if (strncmp(version, STORE_VERSION, strlen(version)) != 0 || !*version)
		return err_set(e, ERR_UNSUPPORTED, 0, "the snapshot store %s has version \"%s\", this davit knows 1", dir, version);
	return 0;
}

struct store *store_open(const char *dir, struct err *e)
{
	auto_store struct store *s = mem_new(1, sizeof(*s), e);
	if (!s)
		return NULL;
	store_init(s);
	if (sodium_init() < 0) {
		err_set(e, ERR_INTERNAL, 0, "libsodium does not start");
		return NULL;
	}
	if (file_mkdir_p(dir, 0700, e) < 0 || (s->dir = file_open_dir(AT_FDCWD, dir, e)) < 0 || check_version(s, dir, e) < 0)
		return NULL;
	if (open_folder(s, "chunks", &s->chunks, e) < 0 || open_folder(s, "snapshots", &s->snapshots, e) < 0 ||
	    open_folder(s, "staging", &s->staging, e) < 0 || open_folder(s, "locks", &s->locks, e) < 0)
		return NULL;
	return steal_ptr(&s);
}

void store_close(struct store *s)
{
	if (!s)
		return;
	int *folders[] = { &s->dir, &s->chunks, &s->snapshots, &s->staging, &s->locks };
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		fd_closep(folders[i]);
	free(s);
}

int store_each(int folder, int (*each)(void *arg, const char *name, struct err *e), void *arg, struct err *e)
{
	int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	if (!d) {
		err_sys(e, errno, "read a folder of the store");
		fd_closep(&copy);
		return -1;
	}
	int rc = 0;
	for (struct dirent *entry; rc == 0 && (entry = readdir(d));)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = each(arg, entry->d_name, e);
	closedir(d);
	return rc;
}

int store_write_message(struct store *s, const char *id, const char *suffix, const ProtobufCMessage *m, struct err *e)
{
	char name[STORE_NAME_MAX];
	auto_buf struct buf b = { 0 };
	snprintf(name, sizeof(name), "%s%s", id, suffix);
	uint8_t hash[STORE_HASH_BYTES] = { 0 };
	if (buf_append(&b, hash, sizeof(hash), e) < 0 || pb_pack(m, &b, e) < 0)
		return -1;
	store_chunk_hash(NULL, b.data + sizeof(hash), b.len - sizeof(hash), (uint8_t *)b.data);
	auto_buf struct buf sealed = { 0 };
	if (s->seal.on && store_seal_message(s, name, &b, &sealed, e) < 0)
		return -1;
	const struct buf *out = s->seal.on ? &sealed : &b;
	return file_write_atomic(s->snapshots, name, out->data, out->len, 0600, true, e);
}

void *store_read_message(struct store *s, const char *id, const char *suffix, const ProtobufCMessageDescriptor *d, struct err *e)
{
	char name[STORE_NAME_MAX];
	uint8_t hash[STORE_HASH_BYTES];
	size_t n;
	snprintf(name, sizeof(name), "%s%s", id, suffix);
	auto_free char *file = file_read(s->snapshots, name, STORE_MANIFEST_MAX, &n, e);
	const char *data = file;
	if (!data) {
		if (e && e->code == ERR_NOT_FOUND)
			err_set(e, ERR_NOT_FOUND, 0, "there is no snapshot %s", id);
		return NULL;
	}
	if (store_is_sealed(data, n)) {
		ssize_t plain = store_unseal_message(s, name, (uint8_t *)file, n, e);
		if (plain < 0)
			return NULL;
		data += STORE_MAGIC_BYTES;
		n = (size_t)plain;
	}
	if (n >= sizeof(hash))
		store_chunk_hash(NULL, data + sizeof(hash), n - sizeof(hash), hash);
	if (n < sizeof(hash) || memcmp(hash, data, sizeof(hash)) != 0) {
		err_set(e, ERR_CORRUPT, 0, "snapshot %s is damaged: its %s does not have its checksum", id, suffix + 1);
		return NULL;
	}
	return pb_unpack(d, data + sizeof(hash), n - sizeof(hash), name, e);
}

static int check_channel(const char *id, const Davit__SnapshotChannel *c, struct err *e)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < c->n_chunks; i++) {
		const Davit__SnapshotChunk *k = c->chunks[i];
		if (k->hash.len != STORE_HASH_BYTES || k->length == 0 || k->length > STORE_CHUNK_MAX)
			return err_set(e, ERR_CORRUPT, 0, "snapshot %s is damaged: chunk %zu of channel %d makes no sense", id, i, (int)c->channel);
		sum += k->length;
	}
	if (sum != c->bytes)
		return err_set(e, ERR_CORRUPT, 0, "snapshot %s is damaged: the chunks of channel %d are not of its length", id, (int)c->channel);
	return 0;
}

Davit__SnapshotManifest *store_read_manifest(struct store *s, const char *id, struct err *e)
{
	if (str_check_name(id, "snapshot", e) < 0)
		return NULL;
	auto_pb(Davit__SnapshotManifest) *m = store_read_message(s, id, ".manifest", &davit__snapshot_manifest__descriptor, e);
	if (!m)
		return NULL;
	if (m->version != 1 || strcmp(m->id, id) != 0) {
		err_set(e, ERR_CORRUPT, 0, "snapshot %s is of version %u and calls itself %s", id, m->version, m->id);
		return NULL;
	}
	for (size_t i = 0; i < m->n_channels; i++)
		if (check_channel(id, m->channels[i], e) < 0)
			return NULL;
	return steal_ptr(&m);
}

static int copy_labels(const Davit__SnapshotManifest *m, Davit__Snapshot *info, struct err *e)
{
	for (size_t i = 0; i < m->n_labels; i++)
		if (pb_push(&info->n_labels, &info->labels, pb_dup(&m->labels[i]->base, e), e) < 0)
			return -1;
	return 0;
}

Davit__Snapshot *store_info_of(const Davit__SnapshotManifest *m, struct err *e)
{
	if (!m->spec) {
		err_set(e, ERR_INTERNAL, 0, "a snapshot's manifest without a spec");
		return NULL;
	}
	auto_pb(Davit__Snapshot) *info = pb_new(&davit__snapshot__descriptor, e);
	if (!info || pb_set_str(&info->id, m->id, e) < 0 || pb_set_str(&info->container, m->container, e) < 0 ||
	    pb_set_str(&info->created_at, m->created_at, e) < 0 || pb_set_str(&info->reason, m->reason, e) < 0 || copy_labels(m, info, e) < 0 ||
	    pb_set_str(&info->image, m->spec->image, e) < 0)
		return NULL;
	for (size_t i = 0; i < m->n_channels; i++)
		info->bytes += m->channels[i]->bytes;
	info->has_bytes = true;
	info->has_stored_bytes = m->has_stored_bytes;
	info->stored_bytes = m->stored_bytes;
	info->has_frozen_us = m->has_frozen_us;
	info->frozen_us = m->frozen_us;
	return steal_ptr(&info);
}
