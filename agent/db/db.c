/* SQLite behind a small interface: https://sqlite.org/wal.html, https://sqlite.org/pragma.html#pragma_synchronous.
 *
 * Statements are prepared for each call: the agent makes some tens of them a second at most, and a cache would cost more memory than time. */
#include "agent/db/db.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include "base/fd.h"

#define DB_VERSION 1

struct db {
	sqlite3 *sql;
	int lock_fd;	      /* one davitd a database; SQLite's own locks leave others free to read, a backup for one */
	pthread_mutex_t lock; /* recursive: held from begin to end */
	int depth;
	bool failed; /* an inner transaction was rolled back */
};

static const char schema[] =
    "CREATE TABLE container(name TEXT PRIMARY KEY, id TEXT UNIQUE NOT NULL, ids_start INTEGER NOT NULL, ids_size INTEGER NOT NULL,"
    " snapshot TEXT, message BLOB NOT NULL);"
    "CREATE TABLE address(network TEXT NOT NULL, address TEXT NOT NULL, container TEXT NOT NULL, PRIMARY KEY(network, address));"
    "CREATE TABLE port(protocol TEXT NOT NULL, host_ip TEXT NOT NULL, host_port INTEGER NOT NULL, container TEXT NOT NULL,"
    " PRIMARY KEY(protocol, host_ip, host_port));"
    "CREATE TABLE operation(id TEXT PRIMARY KEY, seq INTEGER NOT NULL, container TEXT, state TEXT NOT NULL, message BLOB NOT NULL);"
    "CREATE TABLE move(id TEXT NOT NULL, role TEXT NOT NULL, seq INTEGER NOT NULL, container TEXT NOT NULL, message BLOB NOT NULL,"
    " PRIMARY KEY(id, role));"
    "CREATE TABLE event(id INTEGER PRIMARY KEY AUTOINCREMENT, message BLOB NOT NULL);"
    "CREATE TABLE idempotency(key TEXT PRIMARY KEY, request BLOB NOT NULL, time INTEGER NOT NULL, status INTEGER NOT NULL, type TEXT,"
    " answer BLOB);";

static int failed(struct db *db, struct err *e, const char *what)
{
	int code = sqlite3_errcode(db->sql), extended = sqlite3_extended_errcode(db->sql);
	enum err_code c = ERR_IO;

	if (extended == SQLITE_CONSTRAINT_PRIMARYKEY || extended == SQLITE_CONSTRAINT_UNIQUE)
		c = ERR_EXISTS;
	else if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
		c = ERR_CORRUPT;
	else if (code == SQLITE_FULL || code == SQLITE_NOMEM)
		c = ERR_RESOURCE;
	return err_set(e, c, 0, "database: %.60s: %s", what, sqlite3_errmsg(db->sql));
}

static int script(struct db *db, const char *sql, struct err *e)
{
	if (sqlite3_exec(db->sql, sql, NULL, NULL, NULL) != SQLITE_OK)
		return failed(db, e, sql);
	return 0;
}

/* A new file gets the schema and its version in one transaction; a file of a later davit is refused. */
static int upgrade(struct db *db, struct err *e)
{
	int64_t version = 0;

	if (db_query_int(db, e, &version, 0, "PRAGMA user_version", "") < 0)
		return -1;
	if (version > DB_VERSION)
		return err_set(e, ERR_UNSUPPORTED, 0, "database: made by a newer davit (version %lld, known %d)", (long long)version, DB_VERSION);
	if (version == DB_VERSION)
		return 0;
	if (db_begin(db, true, e) < 0)
		return -1;
	if (script(db, schema, e) < 0 || script(db, "PRAGMA user_version=1", e) < 0) {
		db_rollback(db);
		return -1;
	}
	return db_commit(db, e);
}

static int take_lock(struct db *db, const char *path, struct err *e)
{
	auto_free char *lock = mem_printf(e, "%s.lock", path);

	if (str_eq(path, ":memory:"))
		return 0;
	db->lock_fd = lock ? open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
	if (db->lock_fd < 0)
		return lock ? err_sys(e, errno, "%s", lock) : -1;
	if (flock(db->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	err_set(e, ERR_BUSY, 0, "%s is in use", path);
	return err_remedy(e, "another davitd uses this state folder");
}

struct db *db_open(const char *path, struct err *e)
{
	struct db *db = mem_new(1, sizeof(*db), e);
	pthread_mutexattr_t attr;

	if (!db)
		return NULL;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&db->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	db->lock_fd = -1;
	if (take_lock(db, path, e) < 0) {
		db_close(db);
		return NULL;
	}
	if (sqlite3_open_v2(path, &db->sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		err_set(e, ERR_IO, 0, "open %s: %s", path, db->sql ? sqlite3_errmsg(db->sql) : "out of memory");
		db_close(db);
		return NULL;
	}
	sqlite3_extended_result_codes(db->sql, 1);
	sqlite3_busy_timeout(db->sql, 5000);
	/* 256 KiB of cache: idle memory counts. */
	if (script(db, "PRAGMA journal_mode=WAL; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-256", e) < 0 || upgrade(db, e) < 0) {
		err_prefix(e, "%s", path);
		db_close(db);
		return NULL;
	}
	return db;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	sqlite3_close_v2(db->sql);
	fd_closep(&db->lock_fd);
	pthread_mutex_destroy(&db->lock);
	free(db);
}

int db_begin(struct db *db, bool durable, struct err *e)
{
	pthread_mutex_lock(&db->lock);
	if (db->depth == 0) {
		db->failed = false;
		if (script(db, durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL", e) < 0 || script(db, "BEGIN IMMEDIATE", e) < 0) {
			pthread_mutex_unlock(&db->lock);
			return -1;
		}
	}
	db->depth++;
	return 0;
}

void db_rollback(struct db *db)
{
	db->failed = true;
	if (--db->depth == 0)
		sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
	pthread_mutex_unlock(&db->lock);
}

int db_commit(struct db *db, struct err *e)
{
	int r = 0;

	if (db->failed) {
		db_rollback(db);
		return err_set(e, ERR_IO, 0, "database: a part of the transaction was taken back");
	}
	if (--db->depth == 0 && script(db, "COMMIT", e) < 0) {
		sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
		r = -1;
	}
	pthread_mutex_unlock(&db->lock);
	return r;
}

static void bind(sqlite3_stmt *st, const char *types, va_list ap)
{
	for (int i = 0; types[i]; i++) {
		if (types[i] == 's') {
			sqlite3_bind_text(st, i + 1, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
		} else if (types[i] == 'i') {
			sqlite3_bind_int64(st, i + 1, va_arg(ap, int64_t));
		} else {
			const void *p = va_arg(ap, const void *);
			sqlite3_bind_blob64(st, i + 1, p ? p : "", va_arg(ap, size_t), SQLITE_TRANSIENT);
		}
	}
}

/* Prepares, binds and steps through a statement. */
static int run(struct db *db, struct err *e, db_row_fn fn, void *arg, const char *sql, const char *types, va_list ap)
{
	sqlite3_stmt *st = NULL;
	int step, r = 0;

	if (sqlite3_prepare_v2(db->sql, sql, -1, &st, NULL) != SQLITE_OK)
		return failed(db, e, sql);
	bind(st, types, ap);
	while ((step = sqlite3_step(st)) == SQLITE_ROW && r == 0)
		r = fn ? fn(st, arg, e) : 0;
	if (step != SQLITE_ROW && step != SQLITE_DONE)
		r = failed(db, e, sql);
	sqlite3_finalize(st);
	return r < 0 ? -1 : 0;
}

int db_exec(struct db *db, struct err *e, const char *sql, const char *types, ...)
{
	va_list ap;
	int r;

	pthread_mutex_lock(&db->lock);
	va_start(ap, types);
	r = run(db, e, NULL, NULL, sql, types, ap);
	va_end(ap);
	if (r == 0)
		r = sqlite3_changes(db->sql);
	pthread_mutex_unlock(&db->lock);
	return r;
}

int db_query(struct db *db, struct err *e, db_row_fn fn, void *arg, const char *sql, const char *types, ...)
{
	va_list ap;
	int r;

	pthread_mutex_lock(&db->lock);
	va_start(ap, types);
	r = run(db, e, fn, arg, sql, types, ap);
	va_end(ap);
	pthread_mutex_unlock(&db->lock);
	return r;
}

static int take_int(sqlite3_stmt *row, void *arg, struct err *e)
{
	(void)e;
	*(int64_t *)arg = sqlite3_column_int64(row, 0);
	return 1;
}

int db_query_int(struct db *db, struct err *e, int64_t *out, int64_t otherwise, const char *sql, const char *types, ...)
{
	va_list ap;
	int r;

	*out = otherwise;
	pthread_mutex_lock(&db->lock);
	va_start(ap, types);
	r = run(db, e, take_int, out, sql, types, ap);
	va_end(ap);
	pthread_mutex_unlock(&db->lock);
	return r;
}

int64_t db_last_id(struct db *db)
{
	return sqlite3_last_insert_rowid(db->sql);
}

char *db_column_str(sqlite3_stmt *row, int n, struct err *e)
{
	const char *s = (const char *)sqlite3_column_text(row, n);

	return s ? mem_strdup(s, e) : NULL;
}

void *db_column_pb(sqlite3_stmt *row, int n, const ProtobufCMessageDescriptor *d, struct err *e)
{
	return pb_unpack(d, sqlite3_column_blob(row, n), (size_t)sqlite3_column_bytes(row, n), "database", e);
}
