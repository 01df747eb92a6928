/* Listing and removing snapshots. A list reads the small .info files; one that is missing or damaged is made up for from its manifest. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/log.h"
#include "migrate/store_private.h"

Davit__Snapshot *store_get(struct store *s, const char *id, struct err *e)
{
	char manifest[STORE_NAME_MAX];
	if (str_check_name(id, "snapshot", e) < 0)
		return NULL;
	snprintf(manifest, sizeof(manifest), "%s.manifest", id);
	if (!file_exists(s->snapshots, manifest)) { /* an .info alone is of one that is being made or removed */
		err_set(e, ERR_NOT_FOUND, 0, "there is no snapshot %s", id);
		return NULL;
	}
	Davit__Snapshot *info = store_read_message(s, id, ".info", &davit__snapshot__descriptor, NULL);
	if (info)
		return info;
	auto_pb(Davit__SnapshotManifest) *m = store_read_manifest(s, id, e);
	return m ? store_info_of(m, e) : NULL;
}

struct listing {
	struct store *s;
	const char *container;
	Davit__SnapshotList *list;
};

static int list_one(void *arg, const char *name, struct err *e)
{
	struct listing *l = arg;
	char id[STORE_NAME_MAX];
	struct err cause = { 0 };
	if (!str_suffix(name, ".manifest") || strlen(name) >= sizeof(id))
		return 0;
	snprintf(id, sizeof(id), "%.*s", (int)(strlen(name) - strlen(".manifest")), name);
	auto_pb(Davit__Snapshot) *info = store_get(l->s, id, &cause);
	if (!info) {
		if (cause.code != ERR_NOT_FOUND) /* else removed meanwhile */
			log_err(LOG_LEVEL_WARN, "list snapshots", &cause);
		return 0;
	}
	if (l->container && strcmp(info->container, l->container) != 0)
		return 0;
	return pb_push(&l->list->n_snapshots, &l->list->snapshots, steal_ptr(&info), e);
}

/* By time, then by id: the times of equal form compare as text. */
static int by_time(const void *a, const void *b)
{
	const Davit__Snapshot *x = *(Davit__Snapshot *const *)a, *y = *(Davit__Snapshot *const *)b;
	int rc = strcmp(x->created_at ? x->created_at : "", y->created_at ? y->created_at : "");
	return rc ? rc : strcmp(x->id, y->id);
}

Davit__SnapshotList *store_list(struct store *s, const char *container, struct err *e)
{
	auto_pb(Davit__SnapshotList) *list = pb_new(&davit__snapshot_list__descriptor, e);
	struct listing l = { s, container, list };
	if (!list || store_each(s->snapshots, list_one, &l, e) < 0)
		return NULL;
	if (list->n_snapshots)
		qsort(list->snapshots, list->n_snapshots, sizeof(*list->snapshots), by_time);
	return steal_ptr(&list);
}

int store_unlink(struct store *s, const char *id, struct err *e)
{
	char name[STORE_NAME_MAX];
	snprintf(name, sizeof(name), "%s.manifest", id);
	int rc = unlinkat(s->snapshots, name, 0), sys = errno;
	if (rc < 0 && sys != ENOENT)
		return err_sys(e, sys, "remove snapshot %s", id);
	snprintf(name, sizeof(name), "%s.info", id);
	if (unlinkat(s->snapshots, name, 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "remove snapshot %s", id);
	return rc < 0 ? err_set(e, ERR_NOT_FOUND, 0, "there is no snapshot %s", id) : 0;
}

int store_remove(struct store *s, const char *id, uint64_t *freed, struct err *e)
{
	if (freed)
		*freed = 0;
	if (str_check_name(id, "snapshot", e) < 0 || store_unlink(s, id, e) < 0)
		return -1;
	/* Before its chunks go: a manifest that came back after a crash would name what is not there. */
	if (fsync(s->snapshots) < 0)
		return err_sys(e, errno, "remove snapshot %s: fsync", id);
	store_collect_after(s, freed);
	return 0;
}
