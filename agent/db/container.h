/* What the agent promised about containers: their names, ids, ranges of host ids, specs, addresses. The core knows whether they run.
 *
 * Kept as API messages (Davit__Container without the changing parts). A checkpointed container has no core container behind it: its row names
 * the snapshot that holds it. */
#pragma once
#include "agent/db/db.h"
#include "api.pb-c.h"

#define CONTAINER_IDS_SIZE 65536

/* Stores a new one with its addresses and ports (db/address.h). 0 or -1 (ERR_EXISTS: the name, an address or a port is taken). */
int db_container_insert(struct db *db, const Davit__Container *c, struct err *e);
/* Replaces the message under its name and counts its generation up. 0 or -1 (ERR_NOT_FOUND). */
int db_container_update(struct db *db, Davit__Container *c, struct err *e);
/* Owned, or NULL (ERR_NOT_FOUND). snapshot (may be NULL): owned id, or NULL if the container is not checkpointed. */
Davit__Container *db_container_get(struct db *db, const char *name, char **snapshot, struct err *e);
/* All of them in order of their names, into list. */
int db_container_list(struct db *db, Davit__ContainerList *list, struct err *e);
/* Marks it as checkpointed into a snapshot, or (NULL) as live again. */
int db_container_set_snapshot(struct db *db, const char *name, const char *snapshot, struct err *e);
/* Removes it with its addresses and ports. Missing is no error. */
int db_container_delete(struct db *db, const char *name, struct err *e);
/* A range of host ids that no container here has, taken from `count` ranges from `start` on. Where the search starts comes from the container's id,
 * so that hosts that never spoke rarely choose the same range for containers that may move to one another. */
int db_container_choose_ids(struct db *db, uint32_t start, uint32_t count, const char *id, Davit__IdRange *out, struct err *e);
/* Whether a range that came with a container is free here. 0 or -1 (ERR_EXISTS). */
int db_container_check_ids(struct db *db, const Davit__IdRange *ids, struct err *e);
/* The range that a container had elsewhere, if this host gives such ranges and has it free, else another; into *ids. Inside the container its ids are
 * the same either way (CRIU's images are fitted to it). */
int db_container_keep_ids(struct db *db, uint32_t start, uint32_t count, const char *id, Davit__IdRange *ids, struct err *e);
