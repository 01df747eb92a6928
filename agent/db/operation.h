/* Operations and moves on record: what was asked, how it ended. The newest OPERATION_KEEP of each stay. */
#pragma once
#include "agent/db/db.h"
#include "api.pb-c.h"

#define OPERATION_KEEP 1000

/* Inserts or replaces. durable: on disk when it returns. */
int db_operation_put(struct db *db, const Davit__Operation *op, bool durable, struct err *e);
/* Owned, or NULL (ERR_NOT_FOUND). */
Davit__Operation *db_operation_get(struct db *db, const char *id, struct err *e);
/* Newest first; container NULL: of all. */
int db_operation_list(struct db *db, const char *container, Davit__OperationList *list, struct err *e);
/* At start: what was running when the agent died is told as failed ("interrupted"). */
int db_operation_interrupt(struct db *db, struct err *e);

/* Moves, as source and as target (a record's role). */
int db_move_put(struct db *db, const Davit__MoveRecord *m, struct err *e);
Davit__MoveRecord *db_move_get(struct db *db, const char *id, struct err *e);
int db_move_list(struct db *db, const char *container, Davit__MigrationList *list, struct err *e);
