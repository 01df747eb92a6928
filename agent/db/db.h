/* The agent's database: one SQLite file in write-ahead mode, one connection under a recursive lock.
 *
 * A transaction is durable (synchronous=FULL: on disk when db_commit returns) where a promise to a client or a peer rests on it, else only
 * atomic (synchronous=NORMAL: after a power cut the last ones may be missing, never torn). Messages are kept as protobuf blobs beside the few
 * columns that are searched. Any thread may call; a transaction keeps the others out until it ends. */
#pragma once
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include "proto/pb.h"

struct db;

/* Opens or makes the file and brings its schema up to date. NULL on error (ERR_CORRUPT if the file is no database of ours). */
struct db *db_open(const char *path, struct err *e);
void db_close(struct db *db);

/* Begins a transaction; every begin is followed by db_commit or db_rollback in the same thread. Nested ones join the outer one. 0 or -1. */
int db_begin(struct db *db, bool durable, struct err *e);
/* Ends it. db_commit of a nested transaction whose inner part was rolled back fails (ERR_IO). 0 or -1. */
int db_commit(struct db *db, struct err *e);
void db_rollback(struct db *db);

/* One row. The row's columns are read with db_column_*. Returns 0 to go on, 1 to stop, -1 on error. */
typedef int (*db_row_fn)(sqlite3_stmt *row, void *arg, struct err *e);

/* Runs one statement. `types` has a letter for each '?': s (const char *, may be NULL), i (int64_t), b (const void *, size_t).
 * db_exec returns the number of rows changed, or -1 (ERR_EXISTS for a broken UNIQUE or PRIMARY KEY). */
int db_exec(struct db *db, struct err *e, const char *sql, const char *types, ...);
/* Calls fn for each row. 0 or -1. */
int db_query(struct db *db, struct err *e, db_row_fn fn, void *arg, const char *sql, const char *types, ...);
/* The first column of the first row; `otherwise` if there is none. 0 or -1. */
int db_query_int(struct db *db, struct err *e, int64_t *out, int64_t otherwise, const char *sql, const char *types, ...);
int64_t db_last_id(struct db *db);

/* Column n as an owned string (NULL stays NULL), or as an owned message. NULL with e set on error. */
char *db_column_str(sqlite3_stmt *row, int n, struct err *e);
void *db_column_pb(sqlite3_stmt *row, int n, const ProtobufCMessageDescriptor *d, struct err *e);
