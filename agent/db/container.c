/* Containers in the database. */
#include "agent/db/container.h"
#include <string.h>
#include "agent/db/address.h"

int db_container_insert(struct db *db, const Davit__Container *c, struct err *e)
{
	auto_buf struct buf b = { 0 };
	struct err inner = { 0 };

	if (pb_pack(&c->base, &b, e) < 0 || db_begin(db, true, e) < 0)
		return -1;
	if (db_exec(db, &inner, "INSERT INTO container VALUES(?, ?, ?, ?, NULL, ?)", "ssiib", c->name, c->id,
		    (int64_t)(c->ids ? c->ids->host_start : 0), (int64_t)(c->ids ? c->ids->size : 0), b.data, b.len) < 0) {
		if (inner.code == ERR_EXISTS)
			err_set(e, ERR_EXISTS, 0, "container %s already exists", c->name);
		else if (e)
			*e = inner;
		goto undo;
	}
	if (db_address_claim(db, c->spec, e) < 0)
		goto undo;
	return db_commit(db, e);
undo:
	db_rollback(db);
	return -1;
}

int db_container_update(struct db *db, Davit__Container *c, struct err *e)
{
	auto_buf struct buf b = { 0 };
	int n;

	c->has_generation = 1;
	c->generation++;
	if (pb_pack(&c->base, &b, e) < 0 || db_begin(db, true, e) < 0)
		return -1;
	n = db_exec(db, e, "UPDATE container SET message = ? WHERE name = ?", "bs", b.data, b.len, c->name);
	if (n <= 0) {
		db_rollback(db);
		return n < 0 ? -1 : err_set(e, ERR_NOT_FOUND, 0, "no container %s", c->name);
	}
	return db_commit(db, e);
}

struct one {
	Davit__Container *c;
	char *snapshot;
};

static int take_one(sqlite3_stmt *row, void *arg, struct err *e)
{
	struct one *o = arg;

	o->c = db_column_pb(row, 0, &davit__container__descriptor, e);
	o->snapshot = db_column_str(row, 1, e);
	return o->c ? 1 : -1;
}

Davit__Container *db_container_get(struct db *db, const char *name, char **snapshot, struct err *e)
{
	struct one o = { 0 };

	if (db_query(db, e, take_one, &o, "SELECT message, snapshot FROM container WHERE name = ?", "s", name) < 0)
		goto fail;
	if (!o.c) {
		err_set(e, ERR_NOT_FOUND, 0, "no container %s", name);
		goto fail;
	}
	if (snapshot)
		*snapshot = o.snapshot;
	else
		free(o.snapshot);
	return o.c;
fail:
	pb_freep(&o.c);
	free(o.snapshot);
	return NULL;
}

static int take_all(sqlite3_stmt *row, void *arg, struct err *e)
{
	Davit__ContainerList *list = arg;
	Davit__Container *c = db_column_pb(row, 0, &davit__container__descriptor, e);

	if (!c)
		return -1;
	if (sqlite3_column_type(row, 1) != SQLITE_NULL && pb_set_str(&c->state, "checkpointed", e) < 0) {
		pb_freep(&c);
		return -1;
	}
	return pb_push(&list->n_containers, &list->containers, c, e);
}

int db_container_list(struct db *db, Davit__ContainerList *list, struct err *e)
{
	return db_query(db, e, take_all, list, "SELECT message, snapshot FROM container ORDER BY name", "");
}

int db_container_set_snapshot(struct db *db, const char *name, const char *snapshot, struct err *e)
{
	if (db_begin(db, true, e) < 0)
		return -1;
	if (db_exec(db, e, "UPDATE container SET snapshot = ? WHERE name = ?", "ss", snapshot, name) < 0) {
		db_rollback(db);
		return -1;
	}
	return db_commit(db, e);
}

int db_container_delete(struct db *db, const char *name, struct err *e)
{
	if (db_begin(db, true, e) < 0)
		return -1;
	if (db_address_release(db, name, e) < 0 || db_exec(db, e, "DELETE FROM container WHERE name = ?", "s", name) < 0) {
		db_rollback(db);
		return -1;
	}
	return db_commit(db, e);
}

static int is_taken(struct db *db, int64_t start, int64_t size, bool *taken, struct err *e)
{
	int64_t found = 0;

	if (db_query_int(db, e, &found, 0, "SELECT 1 FROM container WHERE ids_start < ? AND ids_start + ids_size > ?", "ii", start + size, start) < 0)
		return -1;
	*taken = found != 0;
	return 0;
}

int db_container_check_ids(struct db *db, const Davit__IdRange *ids, struct err *e)
{
	bool taken;

	if (is_taken(db, ids->host_start, ids->size, &taken, e) < 0)
		return -1;
	return taken ? err_set(e, ERR_EXISTS, 0, "host ids %u and following are in use by another container", ids->host_start) : 0;
}

/* FNV-1a: spreads ids over the ranges; nothing depends on its quality. */
static uint32_t spread(const char *s)
{
	uint32_t h = 2166136261u;

	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	return h;
}

int db_container_choose_ids(struct db *db, uint32_t start, uint32_t count, const char *id, Davit__IdRange *out, struct err *e)
{
	uint32_t first = spread(id) % count;

	for (uint32_t i = 0; i < count; i++) {
		int64_t at = start + (int64_t)((first + i) % count) * CONTAINER_IDS_SIZE;
		bool taken;

		if (is_taken(db, at, CONTAINER_IDS_SIZE, &taken, e) < 0)
			return -1;
		if (!taken) {
			out->host_start = (uint32_t)at;
			out->size = CONTAINER_IDS_SIZE;
			return 0;
		}
	}
	err_set(e, ERR_RESOURCE, 0, "all %u ranges of ids are in use", count);
	return err_remedy(e, "raise idsCount in the agent's configuration");
}

int db_container_keep_ids(struct db *db, uint32_t start, uint32_t count, const char *id, Davit__IdRange *ids, struct err *e)
{
	uint64_t offset = (uint64_t)ids->host_start - start;

	if (ids->size == CONTAINER_IDS_SIZE && ids->host_start >= start && offset % CONTAINER_IDS_SIZE == 0 && offset / CONTAINER_IDS_SIZE < count &&
	    db_container_check_ids(db, ids, NULL) == 0)
		return 0;
	return db_container_choose_ids(db, start, count, id, ids, e);
}
