/* The word of a group, written once. See group.h.
 *
 * The file is locked, read, and written if it is empty: one byte, so that it is never half a word. Also what was found is synced before it is
 * believed: who wrote it may have been killed before its own sync. */
#include "migrate/group.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"

#define LOCK_MS 5000

enum word { WORD_COMMIT = 'c', WORD_ABORT = 'a' };

int group_check_id(const char *id, struct err *e)
{
	if (strlen(id) == 32 && strspn(id, "0123456789abcdef") == 32)
		return 0;
	return err_field(e, "group.id", "a group's id has 32 hex digits, chosen at random");
}

static int read_or_write(int fd, enum word wanted, enum word *found, struct err *e)
{
	char c;
	ssize_t n = pread(fd, &c, 1, 0);
	if (n < 0)
		return err_sys(e, errno, "read");
	if (n == 0) {
		c = (char)wanted;
		if (pwrite(fd, &c, 1, 0) != 1)
			return err_sys(e, errno, "write");
	}
	if (c != WORD_COMMIT && c != WORD_ABORT)
		return err_set(e, ERR_CORRUPT, 0, "neither commit nor abort");
	*found = (enum word)c;
	return fdatasync(fd) < 0 ? err_sys(e, errno, "sync") : 0;
}

/* What is written after this call: `wanted`, or what was there before. */
static int settle(const char *folder, const char *group, enum word wanted, enum word *found, struct err *e)
{
	char name[64];
	auto_close int dir = group_check_id(group, e) < 0 ? -1 : file_open_dir(AT_FDCWD, folder, e);
	if (dir < 0)
		return -1;
	snprintf(name, sizeof(name), "group-%s", group);
	auto_close int fd = file_lock(dir, name, LOCK_MS, e);
	if (fd < 0 || read_or_write(fd, wanted, found, e) < 0 || (fsync(dir) < 0 && err_sys(e, errno, "sync")))
		return err_prefix(e, "the word of group %s", group);
	return 0;
}

static bool is_forced(enum handover_event ev)
{
	return ev == EVENT_FORCED_SOURCE || ev == EVENT_FORCED_TARGET;
}

/* Its host's reboot may have taken back what the journal said last: committed it is all the same. */
static enum handover_event commit_of(enum handover_state s)
{
	return handover_next(s, EVENT_COMMIT) ? EVENT_COMMIT : EVENT_REBOOTED;
}

static int source_event_of(const char *folder, const char *group, enum handover_state s, enum handover_event ev, enum handover_event *out,
			   struct err *e)
{
	bool commits = ev == EVENT_COMMIT;
	enum word word;
	if (settle(folder, group, commits ? WORD_COMMIT : WORD_ABORT, &word, e) < 0)
		return -1;
	if (word == WORD_COMMIT)
		*out = s == SOURCE_OFFERED ? ev : commit_of(s);
	else if (commits)
		*out = EVENT_FAILED;
	else if (ev == EVENT_REBOOTED)
		*out = EVENT_MEMORY_LOST; /* no copy is taken that the others may lack */
	return 0;
}

static int target_event_of(const char *folder, const char *group, bool thaws, enum handover_event ev, enum handover_event *out, struct err *e)
{
	enum word word;
	if (settle(folder, group, thaws ? WORD_COMMIT : WORD_ABORT, &word, e) < 0)
		return -1;
	*out = thaws == (word == WORD_COMMIT) ? ev : thaws ? EVENT_FAILED : EVENT_COMMITTED;
	return 0;
}

int group_event(const char *folder, const char *group, enum handover_state s, enum handover_event ev, enum handover_event *out, struct err *e)
{
	const struct handover_rule *rule = handover_next(s, ev);
	*out = ev;
	if (!group || !rule || rule->next == s || is_forced(ev))
		return 0;
	if (s < SOURCE_COMMITTED && (rule->next == SOURCE_COMMITTED || rule->next == SOURCE_ABORTING))
		return source_event_of(folder, group, s, ev, out, e);
	if ((s == TARGET_READY || s == TARGET_IN_DOUBT) && (rule->next == TARGET_THAWING || rule->next == TARGET_DROPPING))
		return target_event_of(folder, group, rule->next == TARGET_THAWING, ev, out, e);
	return 0;
}
