/* Unfinished moves after a restart, and the end of old journals. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "agent/db/operation.h"
#include "agent/job/mover.h"
#include "agent/move.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "migrate/target.h"

/* A peer that was away asks within this time, or never. */
#define KEEP_DAYS 7

static bool is_settled(const Davit__MoveRecord *m)
{
	return str_eq(m->role, "target") ? str_eq(m->state, "running") || str_eq(m->state, "done") || str_eq(m->state, "dropped") :
					   str_eq(m->state, "done") || str_eq(m->state, "aborted");
}

static bool is_old(const char *folder)
{
	struct stat st;

	return stat(folder, &st) == 0 && clock_now_ns(CLOCK_REALTIME) / NSEC_PER_SEC - st.st_mtime > KEEP_DAYS * 86400;
}

static void take_up(struct agent *a, const Davit__MoveRecord *m)
{
	struct err e = { 0 };
	int r = str_eq(m->role, "target") ? move_take_up(a, m->id, m->container, &e) : mover_job_recover(a, m->id, m->container, &e);

	log_info("move %s of %s (%s, %s) is taken up again", m->id, m->container, m->role, m->state);
	if (r == 0)
		return;
	/* Nobody may thaw a container whose move is in doubt, even if its recovery cannot be begun. */
	log_err(LOG_LEVEL_ERROR, m->id, &e);
	hold_take(&a->holds, m->container, "migrating", NULL);
}

int move_recover_all(struct agent *a, struct err *e)
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
		if (m && !is_settled(m))
			take_up(a, m);
		else if (is_old(folder))
			file_remove_tree(dirfd(d), entry->d_name, NULL);
	}
	closedir(d);
	return 0;
}
