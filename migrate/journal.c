/* Journals of moves. See journal.h for the file's layout. */
#include "migrate/journal.h"
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <xxhash.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "proto/pb.h"

#define JOURNAL_HEAD 12
#define JOURNAL_ENTRY_MAX (1 << 20)
#define JOURNAL_STEP (64 << 10)
#define JOURNAL_MAX (64 << 20)

void journal_view_free(struct journal_view *v)
{
	pb_freep(&v->first);
	pb_freep(&v->last);
	pb_freep(&v->record);
	memset(v, 0, sizeof(*v));
}

static int check_id(const char *id, struct err *e)
{
	if (id && strlen(id) == 32 && strspn(id, "0123456789abcdef") == 32)
		return 0;
	return err_field(e, "moveId", "a move's id is 32 hex digits");
}

/* Writes zeroes ahead so that `need` more bytes fit. */
static int grow(struct journal *j, size_t need, struct err *e)
{
	static const char zero[4096];
	uint64_t size = j->size;
	if (j->end + need <= size)
		return 0;
	while (size < j->end + need)
		size += JOURNAL_STEP;
	if (size > JOURNAL_MAX)
		return err_set(e, ERR_LIMIT, 0, "the move's journal is larger than %d bytes", JOURNAL_MAX);
	for (uint64_t at = j->size; at < size; at += sizeof(zero))
		if (pwrite(j->fd, zero, sizeof(zero), (off_t)at) != (ssize_t)sizeof(zero))
			return err_sys(e, errno, "write the move's journal");
	j->size = size;
	return fsync(j->fd) < 0 ? err_sys(e, errno, "fsync the move's journal") : 0;
}

static int fsync_folder(int dirfd, const char *what, struct err *e)
{
	return fsync(dirfd) < 0 ? err_sys(e, errno, "fsync %s", what) : 0;
}

static int lock(int fd, const char *id, struct err *e)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(e, ERR_BUSY, 0, "move %s is still under way", id);
	return err_sys(e, errno, "lock the journal of move %s", id);
}

int journal_create(const char *folder, const char *id, struct journal *out, struct err *e)
{
	auto_close int parent = -1, dir = -1, fd = -1;
	if (check_id(id, e) < 0 || (parent = file_open_dir(AT_FDCWD, folder, e)) < 0)
		return -1;
	if (mkdirat(parent, id, 0700) < 0) {
		if (errno == EEXIST)
			return err_set(e, ERR_EXISTS, 0, "move %s is known already", id);
		return err_sys(e, errno, "make %s/%s", folder, id);
	}
	if ((dir = file_open_dir(parent, id, e)) < 0)
		return -1;
	if ((fd = openat(dir, "journal", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
		return err_sys(e, errno, "make %s/%s/journal", folder, id);
	struct journal j = { .fd = fd };
	if (lock(fd, id, e) < 0 || grow(&j, 1, e) < 0 || fsync_folder(dir, id, e) < 0 || fsync_folder(parent, folder, e) < 0)
		return -1;
	*out = j;
	fd = -1;
	return 0;
}

/* The entry at `at`, or NULL where the journal ends. */
static Davit__JournalEntry *entry_at(const char *p, size_t n, size_t at, size_t *next)
{
	uint32_t len;
	uint64_t hash;
	if (n - at < JOURNAL_HEAD)
		return NULL;
	memcpy(&hash, p + at, 8);
	memcpy(&len, p + at + 8, 4);
	len = le32toh(len);
	if (len == 0 || len > JOURNAL_ENTRY_MAX || len > n - at - JOURNAL_HEAD)
		return NULL;
	if (XXH3_64bits_withSeed(p + at + 8, len + 4, at) != le64toh(hash))
		return NULL;
	*next = at + JOURNAL_HEAD + len;
	return pb_unpack(&davit__journal_entry__descriptor, p + at + JOURNAL_HEAD, len, "journal entry", NULL);
}

static int view_add(struct journal_view *v, Davit__JournalEntry *entry, struct err *e)
{
	if (entry->record) {
		pb_freep(&v->record);
		if (!(v->record = pb_dup(&entry->record->base, e)))
			return -1;
	}
	if (!v->first && !(v->first = pb_dup(&entry->base, e)))
		return -1;
	pb_freep(&v->last);
	v->last = entry;
	v->entries++;
	return 0;
}

/* Nothing but zeroes: the disk was full before its first entry, which precedes anything else of a move. */
static bool never_begun(const char *p, size_t n)
{
	size_t at = 0;
	while (at < n && p[at] == 0)
		at++;
	return at >= n;
}

/* Fills *v from the file; *end: where the next entry goes. */
static int read_entries(int fd, const char *id, struct journal_view *v, uint64_t *end, uint64_t *size, struct err *e)
{
	size_t n, at = 0, next;
	memset(v, 0, sizeof(*v));
	auto_free char *p = fd_read_all(fd, JOURNAL_MAX, &n, e);
	if (!p)
		return -1;
	for (Davit__JournalEntry *entry; at < n && (entry = entry_at(p, n, at, &next)); at = next) {
		if (view_add(v, entry, e) < 0)
			goto fail;
	}
	*end = at;
	*size = n;
	if (!v->first && never_begun(p, n)) {
		err_set(e, ERR_NOT_FOUND, 0, "move %s did not come so far as to have a journal here", id);
		goto fail;
	}
	if (!v->first || !v->record) {
		err_set(e, ERR_CORRUPT, 0, "the journal of move %s has no whole entry", id);
		goto fail;
	}
	v->side = str_eq(v->record->role, "target") ? HANDOVER_TARGET : HANDOVER_SOURCE;
	if (handover_state_of(v->side, v->last->state, &v->state, e) == 0)
		return 0;
fail:
	journal_view_free(v);
	return -1;
}

static int open_file(const char *folder, const char *id, int flags, struct err *e)
{
	auto_close int dir = -1;
	if (check_id(id, e) < 0)
		return -1;
	auto_free char *path = mem_printf(e, "%s/%s/journal", folder, id);
	if (!path)
		return -1;
	int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND, 0, "move %s is not known here", id);
	return fd < 0 ? err_sys(e, errno, "open %s", path) : fd;
}

int journal_open(const char *folder, const char *id, struct journal *out, struct journal_view *v, struct err *e)
{
	auto_close int fd = open_file(folder, id, O_RDWR, e);
	struct journal j = { .fd = fd };
	if (fd < 0 || lock(fd, id, e) < 0 || read_entries(fd, id, v, &j.end, &j.size, e) < 0)
		return -1;
	*out = j;
	fd = -1;
	return 0;
}

int journal_read(const char *folder, const char *id, bool durable, struct journal_view *v, struct err *e)
{
	auto_close int fd = open_file(folder, id, O_RDONLY, e);
	uint64_t end, size;
	if (fd < 0 || read_entries(fd, id, v, &end, &size, e) < 0)
		return -1;
	if (!durable || fdatasync(fd) == 0)
		return 0;
	journal_view_free(v);
	return err_sys(e, errno, "fsync the journal of move %s", id);
}

int journal_append(struct journal *j, enum handover_state state, const char *note, const Davit__StreamOffer *offer, const Davit__MoveRecord *record,
		   bool sync, struct err *e)
{
	Davit__JournalEntry entry = DAVIT__JOURNAL_ENTRY__INIT;
	auto_buf struct buf b = { 0 };
	char now[32];
	static const char head[JOURNAL_HEAD];

	entry.state = (char *)handover_state_name(state);
	entry.time = clock_rfc3339(clock_now_ns(CLOCK_REALTIME), now);
	entry.note = (char *)note;
	entry.offer = (Davit__StreamOffer *)offer;
	entry.record = (Davit__MoveRecord *)record;
	if (buf_append(&b, head, sizeof(head), e) < 0 || pb_pack(&entry.base, &b, e) < 0)
		return -1;
	if (b.len - JOURNAL_HEAD > JOURNAL_ENTRY_MAX)
		return err_set(e, ERR_LIMIT, 0, "an entry of the move's journal is larger than %d bytes", JOURNAL_ENTRY_MAX);
	uint32_t len = htole32((uint32_t)(b.len - JOURNAL_HEAD));
	memcpy(b.data + 8, &len, 4);
	uint64_t hash = htole64(XXH3_64bits_withSeed(b.data + 8, b.len - 8, j->end));
	memcpy(b.data, &hash, 8);
	if (grow(j, b.len, e) < 0)
		return -1;
	if (pwrite(j->fd, b.data, b.len, (off_t)j->end) != (ssize_t)b.len)
		return err_sys(e, errno, "write the move's journal");
	if (sync && fdatasync(j->fd) < 0)
		return err_sys(e, errno, "fsync the move's journal");
	j->end += b.len;
	return 0;
}

void journal_close(struct journal *j)
{
	fd_closep(&j->fd);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int journal_list(const char *folder, struct strv *ids, struct err *e)
{
	DIR *d = opendir(folder);
	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, errno, "open %s", folder);
	for (struct dirent *entry; (entry = readdir(d));) {
		if (check_id(entry->d_name, NULL) == 0 && strv_add(ids, entry->d_name, e) < 0) {
			closedir(d);
			return -1;
		}
	}
	closedir(d);
	if (ids->n)
		qsort(ids->v, ids->n, sizeof(*ids->v), by_name);
	return 0;
}

int journal_remove(const char *folder, const char *id, struct err *e)
{
	auto_close int dir = -1;
	if (check_id(id, e) < 0 || (dir = file_open_dir(AT_FDCWD, folder, e)) < 0)
		return -1;
	return file_remove_tree(dir, id, e);
}
