/* Operations and moves in the database: a blob each, with a sequence number for their order. */
#include "agent/db/operation.h"
#include <string.h>
#include "base/clock.h"

static int put(struct db *db, bool durable, const char *sql, const char *trim, const char *id, const char *second, const char *container,
	       const ProtobufCMessage *m, struct err *e)
{
	auto_buf struct buf b = { 0 };

	if (pb_pack(m, &b, e) < 0 || db_begin(db, durable, e) < 0)
		return -1;
	if (db_exec(db, e, sql, "sssb", id, second, container, b.data, b.len) < 0 || db_exec(db, e, trim, "i", (int64_t)OPERATION_KEEP) < 0) {
		db_rollback(db);
		return -1;
	}
	return db_commit(db, e);
}

int db_operation_put(struct db *db, const Davit__Operation *op, bool durable, struct err *e)
{
	return put(db, durable,
		   "INSERT INTO operation(id, state, container, message, seq) VALUES(?, ?, ?, ?, (SELECT coalesce(max(seq), 0) + 1 FROM operation))"
		   " ON CONFLICT(id) DO UPDATE SET state = excluded.state, container = excluded.container, message = excluded.message",
		   "DELETE FROM operation WHERE state <> 'running' AND seq <= (SELECT max(seq) FROM operation) - ?", op->id, op->state, op->container,
		   &op->base, e);
}

static int take_operation(sqlite3_stmt *row, void *arg, struct err *e)
{
	*(Davit__Operation **)arg = db_column_pb(row, 0, &davit__operation__descriptor, e);
	return *(Davit__Operation **)arg ? 1 : -1;
}

Davit__Operation *db_operation_get(struct db *db, const char *id, struct err *e)
{
	Davit__Operation *op = NULL;

	if (db_query(db, e, take_operation, &op, "SELECT message FROM operation WHERE id = ?", "s", id) < 0)
		return NULL;
	if (!op)
		err_set(e, ERR_NOT_FOUND, 0, "no operation %s", id);
	return op;
}

static int add_operation(sqlite3_stmt *row, void *arg, struct err *e)
{
	Davit__OperationList *list = arg;
	Davit__Operation *op = db_column_pb(row, 0, &davit__operation__descriptor, e);

	return op ? pb_push(&list->n_operations, &list->operations, op, e) : -1;
}

int db_operation_list(struct db *db, const char *container, Davit__OperationList *list, struct err *e)
{
	return db_query(db, e, add_operation, list, "SELECT message FROM operation WHERE ?1 IS NULL OR container = ?1 ORDER BY seq DESC LIMIT 1000",
			"s", container);
}

static int interrupt_one(struct db *db, Davit__Operation *op, struct err *e)
{
	struct err why = { 0 };
	char now[32];

	err_set(&why, ERR_CANCELLED, 0, "interrupted: davitd ended while this ran");
	op->error = pb_error(&why);
	if (!op->error || pb_set_str(&op->state, "failed", e) < 0 ||
	    pb_set_str(&op->finished_at, clock_rfc3339(clock_now_ns(CLOCK_REALTIME), now), e) < 0)
		return -1;
	return db_operation_put(db, op, true, e);
}

int db_operation_interrupt(struct db *db, struct err *e)
{
	Davit__OperationList *list = pb_new(&davit__operation_list__descriptor, e);
	int r = list ? 0 : -1;

	if (r == 0)
		r = db_query(db, e, add_operation, list, "SELECT message FROM operation WHERE state = 'running'", "");
	for (size_t i = 0; r == 0 && i < list->n_operations; i++)
		r = interrupt_one(db, list->operations[i], e);
	pb_freep(&list);
	return r;
}

int db_move_put(struct db *db, const Davit__MoveRecord *m, struct err *e)
{
	return put(db, true,
		   "INSERT INTO move(id, role, container, message, seq) VALUES(?, ?, ?, ?, (SELECT coalesce(max(seq), 0) + 1 FROM move))"
		   " ON CONFLICT(id, role) DO UPDATE SET message = excluded.message",
		   "DELETE FROM move WHERE seq <= (SELECT max(seq) FROM move) - ?", m->id, m->role ? m->role : "source", m->container, &m->base, e);
}

static int take_move(sqlite3_stmt *row, void *arg, struct err *e)
{
	*(Davit__MoveRecord **)arg = db_column_pb(row, 0, &davit__move_record__descriptor, e);
	return *(Davit__MoveRecord **)arg ? 1 : -1;
}

Davit__MoveRecord *db_move_get(struct db *db, const char *id, struct err *e)
{
	Davit__MoveRecord *m = NULL;

	if (db_query(db, e, take_move, &m, "SELECT message FROM move WHERE id = ? ORDER BY role LIMIT 1", "s", id) < 0)
		return NULL;
	if (!m)
		err_set(e, ERR_NOT_FOUND, 0, "no migration %s", id);
	return m;
}

static int add_move(sqlite3_stmt *row, void *arg, struct err *e)
{
	Davit__MigrationList *list = arg;
	Davit__MoveRecord *m = db_column_pb(row, 0, &davit__move_record__descriptor, e);

	return m ? pb_push(&list->n_migrations, &list->migrations, m, e) : -1;
}

int db_move_list(struct db *db, const char *container, Davit__MigrationList *list, struct err *e)
{
	return db_query(db, e, add_move, list, "SELECT message FROM move WHERE ?1 IS NULL OR container = ?1 ORDER BY seq DESC LIMIT 1000", "s",
			container);
}
