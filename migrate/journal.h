/* The journal of one side of one move: FOLDER/ID/journal, a file of checksummed JournalEntry messages that only grows.
 *
 * Layout: entries one after the other, each u64 XXH3-64 of all that follows, seeded with the entry's offset | u32 length |
 * bytes (little-endian numbers); zeroes to the end of the file. Zeroes are written ahead, 64 KiB at a time, so that an entry lands on blocks that the
 * file owns already and fdatasync(2) has no metadata to wait for: two of these waits are part of every move's downtime. The first entry that does not
 * hold ends the journal: it is torn (the power went) or was never there. A writer holds flock(2) on the file; readers do not wait for it. */
#pragma once
#include <stdbool.h>
#include "base/str.h"
#include "migrate/handover.h"
#include "stream.pb-c.h"

struct journal {
	int fd; /* owned, locked */
	uint64_t end, size;
};

/* What a journal says. Owned messages. */
struct journal_view {
	Davit__JournalEntry *first, *last;
	Davit__MoveRecord *record; /* the latest that an entry carried */
	size_t entries;
	enum handover_side side;
	enum handover_state state;
};
void journal_view_free(struct journal_view *v);
#define auto_journal_view auto_cleanup(journal_view_free)

/* Makes FOLDER/ID and an empty journal in it, durably. ERR_EXISTS. id: checked, 32 hex digits. */
int journal_create(const char *folder, const char *id, struct journal *out, struct err *e);
/* Opens for writing what is there and reads it. ERR_NOT_FOUND (also: not one entry came to the disk), ERR_BUSY (a writer lives), ERR_CORRUPT. */
int journal_open(const char *folder, const char *id, struct journal *out, struct journal_view *v, struct err *e);
/* Reads without the lock. durable: what was read is on disk before this returns, so it may be told to the other side. */
int journal_read(const char *folder, const char *id, bool durable, struct journal_view *v, struct err *e);
/* Appends an entry for `state`; offer, record and note may be NULL. sync: on disk before this returns. 0 or -1. */
int journal_append(struct journal *j, enum handover_state state, const char *note, const Davit__StreamOffer *offer, const Davit__MoveRecord *record,
		   bool sync, struct err *e);
void journal_close(struct journal *j);
/* Names (32 hex digits) of the journals in a folder, sorted. A missing folder has none. */
int journal_list(const char *folder, struct strv *ids, struct err *e);
/* Removes FOLDER/ID. */
int journal_remove(const char *folder, const char *id, struct err *e);
