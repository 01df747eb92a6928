/* Unfinished moves after a restart, and the end of old journals. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "agent/db/container.h"
#include "agent/db/operation.h"
#include "agent/job/mover.h"
#include "agent/move.h"
#include "agent/move_host.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

/* A peer that was away asks within this time, or never. */
#define KEEP_DAYS 7

static bool is_settled(const Davit__MoveRecord *m)
{
	return str_eq(m->role, "target") ? str_eq(m->state, "running") || str_eq(m->state, "done") || str_eq(m->state, "dropped")
					 : str_eq(m->state, "done") || str_eq(m->state, "aborted");
}

static bool is_old(const char *folder)
{
	struct stat st;

	return stat(folder, &st) == 0 && clock_now_ns(CLOCK_REALTIME) / NSEC_PER_SEC - st.st_mtime > KEEP_DAYS * 86400;
}

/* Nothing of it came so far as a journal: the reservation alone is left. */
static int forget(struct agent *a, const Davit__MoveRecord *m, struct err *e)
{
	Davit__MoveRecord dropped = *m;
	auto_pb(Davit__ContainerStatus) *status = NULL;

	dropped.state = (char *)(uintptr_t) "dropped";
	hold_drop(&a->holds, m->container);
	if (db_move_put(a->db, &dropped, e) < 0)
		return -1;
	status = core_get(&a->core, m->container, NULL);
	return status ? 0 : db_container_delete(a->db, m->container, e);
}

static int take_up_target(struct agent *a, const Davit__MoveRecord *m, struct err *e)
{
	struct target_host host = move_host(a, m->peer);
	struct err inner = { 0 };
	struct target *target;

	/* One that runs here already is nobody's to hold, though its memory follows: as without the restart. */
	if (!move_host_runs(m) && hold_take(&a->holds, m->container, "migrating", e) < 0)
		return -1;
	target = target_recover(&host, m->id, &inner);
	if (target)
		return move_adopt(a, m->id, m->peer, target, e);
	if (inner.code == ERR_NONE || inner.code == ERR_NOT_FOUND)
		return forget(a, m, e);
	*e = inner;
	return -1;
}

static void take_up(struct agent *a, const Davit__MoveRecord *m)
{
	struct err e = { 0 };
	int r = str_eq(m->role, "target") ? take_up_target(a, m, &e) : mover_job_recover(a, m->id, m->container, &e);

	log_info("move %s of %s (%s, %s) is taken up again", m->id, m->container, m->role, m->state);
	if (r == 0)
		return;
	/* Nobody may thaw a container whose move is in doubt, even if its recovery cannot be begun. */
	log_err(LOG_LEVEL_ERROR, m->id, &e);
	hold_take(&a->holds, m->container, "migrating", NULL);
}

static int remove_old(const struct agent *a, struct err *e)
{
	DIR *d = opendir(a->moves_dir);
	const struct dirent *entry;

	if (!d)
		return err_sys(e, errno, "%s", a->moves_dir);
	while ((entry = readdir(d))) {
		auto_free char *folder = mem_printf(e, "%s/%s", a->moves_dir, entry->d_name);
		auto_pb(Davit__MoveRecord) *m = NULL;

		if (entry->d_name[0] == '.' || !folder)
			continue;
		m = db_move_get(a->db, entry->d_name, &(struct err){ 0 });
		if ((!m || is_settled(m)) && is_old(folder))
			file_remove_tree(dirfd(d), entry->d_name, NULL);
	}
	closedir(d);
	return 0;
}

/* By the records, not the journals: a move may have been promised a name and not have come so far as a journal. */
int move_recover_all(struct agent *a, struct err *e)
{
	auto_pb(Davit__MigrationList) *moves = pb_new(&davit__migration_list__descriptor, e);

	if (!moves || db_move_list(a->db, NULL, moves, e) < 0)
		return -1;
	for (size_t i = 0; i < moves->n_migrations; i++)
		if (!is_settled(moves->migrations[i]))
			take_up(a, moves->migrations[i]);
	return remove_old(a, e);
}
