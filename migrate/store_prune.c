/* Which snapshots to keep.
 *
 * Each rule walks a container's snapshots from the newest to the oldest and keeps the first of every period it meets, until it has kept its
 * number. A snapshot stays if any rule keeps it. Periods are those of UTC, so that no summer time makes an hour twice or never. */
#include <errno.h>
#include <string.h>
#include "base/clock.h"
#include "migrate/store_private.h"

struct rule {
	uint32_t keep;
	int64_t period; /* seconds; 0: every snapshot is a period of its own */
	int64_t shift;	/* of the first period's begin against 1970-01-01T00:00:00Z */
};

static bool is_kept(const Davit__Snapshot *s, struct rule *r, int64_t *last)
{
	int64_t ns;
	if (r->keep == 0)
		return false;
	if (clock_rfc3339_parse(s->created_at ? s->created_at : "", &ns, "created_at", NULL) < 0)
		return true; /* of no known age: not ours to remove */
	int64_t number = r->period ? (ns / NSEC_PER_SEC + r->shift) / r->period : *last + 1;
	if (number == *last)
		return false;
	*last = number;
	r->keep--;
	return true;
}

/* Applies a rule to one container's snapshots of the list (oldest first): kept[i] becomes true. */
static void apply(const Davit__SnapshotList *list, const char *container, struct rule r, bool *kept)
{
	int64_t last = INT64_MIN;
	for (size_t i = list->n_snapshots; i-- > 0;)
		if (strcmp(list->snapshots[i]->container, container) == 0 && is_kept(list->snapshots[i], &r, &last))
			kept[i] = true;
}

/* Applies all rules to all containers of the list: each at its first snapshot. */
static void choose(const Davit__SnapshotList *list, const Davit__SnapshotPrune *p, bool *kept)
{
	const struct rule rules[] = {
		{ p->keep_last, 0, 0 },
		{ p->keep_hourly, 3600, 0 },
		{ p->keep_daily, 86400, 0 },
		{ p->keep_weekly, 7 * 86400, 3 * 86400 }, /* 1970-01-01 was a Thursday */
	};
	for (size_t i = 0; i < list->n_snapshots; i++) {
		const char *container = list->snapshots[i]->container;
		bool first = true;
		for (size_t k = 0; k < i && first; k++)
			first = strcmp(list->snapshots[k]->container, container) != 0;
		for (size_t k = 0; first && k < ARRAY_LEN(rules); k++)
			apply(list, container, rules[k], kept);
	}
}

static int report(const Davit__SnapshotList *list, const bool *kept, Davit__PruneResult *out, struct err *e)
{
	for (size_t i = 0; i < list->n_snapshots; i++) {
		const char *id = list->snapshots[i]->id;
		if ((kept[i] ? pb_push_str(&out->n_kept, &out->kept, id, e) : pb_push_str(&out->n_removed, &out->removed, id, e)) < 0)
			return -1;
	}
	return 0;
}

static int remove_all(struct store *s, Davit__PruneResult *out, struct err *e)
{
	for (size_t i = 0; i < out->n_removed; i++) {
		struct err cause = { 0 };
		if (store_unlink(s, out->removed[i], &cause) < 0 && cause.code != ERR_NOT_FOUND) { /* another prune was faster */
			if (e)
				*e = cause;
			return -1;
		}
	}
	if (out->n_removed && fsync(s->snapshots) < 0) /* before the chunks go, see store_remove */
		return err_sys(e, errno, "remove snapshots: fsync");
	out->has_bytes_freed = true;
	store_collect_after(s, &out->bytes_freed);
	return 0;
}

Davit__PruneResult *store_prune(struct store *s, const Davit__SnapshotPrune *rules, struct err *e)
{
	if (!rules->keep_last && !rules->keep_hourly && !rules->keep_daily && !rules->keep_weekly) {
		err_field(e, "keepLast", "nothing would be kept");
		err_remedy(e, "give at least one of keepLast, keepHourly, keepDaily and keepWeekly");
		return NULL;
	}
	if (rules->container && str_check_name(rules->container, "container", e) < 0)
		return NULL;
	auto_pb(Davit__SnapshotList) *list = store_list(s, rules->container, e);
	auto_pb(Davit__PruneResult) *out = pb_new(&davit__prune_result__descriptor, e);
	auto_free bool *kept = list ? mem_new(list->n_snapshots, sizeof(*kept), e) : NULL;
	if (!list || !out || !kept)
		return NULL;
	choose(list, rules, kept);
	if (report(list, kept, out, e) < 0 || (!rules->dry_run && remove_all(s, out, e) < 0))
		return NULL;
	return steal_ptr(&out);
}
