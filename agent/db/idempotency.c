/* A row with status CLAIMED is a request that runs, LEFT one whose agent ended meanwhile, and its type is its unique id; with an HTTP status it holds
 * the answer. */
#include "agent/db/idempotency.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"

#define KEEP_SECONDS 86400
#define CLAIMED 0
#define LEFT (-1)

void idempotency_answer_free(struct idempotency_answer *a)
{
	free(a->type);
	free(a->data);
	memset(a, 0, sizeof(*a));
}

void idempotency_hash(const char *method, const char *url, const void *body, size_t n, uint8_t hash[IDEMPOTENCY_HASH])
{
	crypto_generichash_state s;

	crypto_generichash_init(&s, NULL, 0, IDEMPOTENCY_HASH);
	crypto_generichash_update(&s, (const uint8_t *)method, strlen(method) + 1);
	crypto_generichash_update(&s, (const uint8_t *)url, strlen(url) + 1);
	if (n)
		crypto_generichash_update(&s, body, n);
	crypto_generichash_final(&s, hash, IDEMPOTENCY_HASH);
}

struct found {
	bool any, same;
	struct idempotency_answer *out;
	const uint8_t *hash;
};

static int take(sqlite3_stmt *row, void *arg, struct err *e)
{
	struct found *f = arg;
	size_t n = (size_t)sqlite3_column_bytes(row, 3);

	f->any = true;
	f->same = sqlite3_column_bytes(row, 0) == IDEMPOTENCY_HASH && memcmp(sqlite3_column_blob(row, 0), f->hash, IDEMPOTENCY_HASH) == 0;
	f->out->status = sqlite3_column_int(row, 1);
	f->out->type = db_column_str(row, 2, e);
	f->out->data = mem_new(n + 1, 1, e);
	if (!f->out->data)
		return -1;
	if (n)
		memcpy(f->out->data, sqlite3_column_blob(row, 3), n);
	f->out->n = n;
	return 1;
}

static int check_key(const char *key, struct err *e)
{
	size_t n = strlen(key);

	for (size_t i = 0; i < n; i++)
		if (key[i] < 0x21 || key[i] > 0x7e)
			return err_field(e, "Idempotency-Key", "only printable characters without spaces");
	if (n == 0 || n > IDEMPOTENCY_KEY_MAX)
		return err_field(e, "Idempotency-Key", "1 to %d characters", IDEMPOTENCY_KEY_MAX);
	return 0;
}

/* Inserts the claim, or takes over one that was left. */
static int claim(struct db *db, const char *key, const uint8_t *hash, const struct found *f, char unique[33], struct err *e)
{
	int64_t now = clock_now_ns(CLOCK_REALTIME) / NSEC_PER_SEC;

	if (f->any) {
		snprintf(unique, 33, "%s", f->out->type ? f->out->type : "");
		return db_exec(db, e, "UPDATE idempotency SET status = 0 WHERE key = ?", "s", key);
	}
	if (str_random_hex(unique, 16, e) < 0)
		return -1;
	return db_exec(db, e, "INSERT INTO idempotency VALUES(?, ?, ?, 0, ?, NULL)", "sbis", key, hash, (size_t)IDEMPOTENCY_HASH, now, unique);
}

static enum idempotency refuse(const struct found *f, struct err *e)
{
	if (!f->same)
		err_field(e, "Idempotency-Key", "was used for another request");
	else
		err_set(e, ERR_BUSY, 0, "the first request with this Idempotency-Key still runs");
	return IDEMPOTENCY_REFUSED;
}

enum idempotency idempotency_begin(struct db *db, const char *key, const uint8_t hash[IDEMPOTENCY_HASH], char unique[33],
				   struct idempotency_answer *out, struct err *e)
{
	struct found f = { .out = out, .hash = hash };
	enum idempotency r = IDEMPOTENCY_REFUSED;
	bool ours;

	memset(out, 0, sizeof(*out));
	if (check_key(key, e) < 0 || db_begin(db, true, e) < 0)
		return r;
	if (db_query(db, e, take, &f, "SELECT request, status, type, answer FROM idempotency WHERE key = ?", "s", key) < 0) {
		db_rollback(db);
		goto out;
	}
	ours = !f.any || (f.same && out->status == LEFT);
	if (ours && claim(db, key, hash, &f, unique, e) < 0) {
		db_rollback(db);
		goto out;
	}
	if (db_commit(db, e) < 0)
		goto out;
	if (ours)
		r = f.any ? IDEMPOTENCY_AGAIN : IDEMPOTENCY_FIRST;
	else
		r = f.same && out->status > 0 ? IDEMPOTENCY_ANSWERED : refuse(&f, e);
out:
	if (r != IDEMPOTENCY_ANSWERED)
		idempotency_answer_free(out);
	return r;
}

int idempotency_keep(struct db *db, const char *key, int status, const ProtobufCMessage *answer, struct err *e)
{
	auto_buf struct buf b = { 0 };

	if (answer && pb_pack(answer, &b, e) < 0)
		return -1;
	if (db_begin(db, true, e) < 0)
		return -1;
	if (db_exec(db, e, "UPDATE idempotency SET status = ?, type = ?, answer = ? WHERE key = ?", "isbs", (int64_t)status,
		    answer ? answer->descriptor->name : NULL, b.data, b.len, key) < 0) {
		db_rollback(db);
		return -1;
	}
	return db_commit(db, e);
}

void idempotency_drop(struct db *db, const char *key)
{
	db_exec(db, NULL, "DELETE FROM idempotency WHERE key = ? AND status = 0", "s", key);
}

int idempotency_sweep(struct db *db, struct err *e)
{
	int64_t old = clock_now_ns(CLOCK_REALTIME) / NSEC_PER_SEC - KEEP_SECONDS;

	if (db_exec(db, e, "DELETE FROM idempotency WHERE time < ?", "i", old) < 0)
		return -1;
	return db_exec(db, e, "UPDATE idempotency SET status = -1 WHERE status = 0", "") < 0 ? -1 : 0;
}
