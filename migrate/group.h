/* Moves that are one: a group's members stand still together, and all of them go over or none does.
 *
 * Each member is a move of its own, with its own journals and connection. What binds them are two words that are written once, each in a file that
 * all members of one side share (FOLDER/group-ID), on disk before anybody acts on it: commit or abort.
 *
 *   source   abort  before the first member leaves the move for whatever reason
 *            commit when every member's copy is ready on the target, before the first member is COMMITTED
 *   target   commit before the first member, committed by its source, is THAWING
 *            abort  before the first member, once ready, is dropped (its source's word, or a reboot)
 *
 * On the target also READY is on disk before it is said: a host that comes back from the word "commit" has to know whom it binds.
 *
 * Whoever wants one word and finds the other obeys what is written: a source that fails in the middle of the commit commits, a target that would thaw
 * drops. So the source's members are all committed or none, and of committed ones the target's all thaw or none, which by the handover's own rules
 * (migrate/handover.h) gives all of them back to the source. A reboot of the source before its word is an abort: that one member may have a copy on
 * the target is no reason to run it there without the others. Only an operator's force (EVENT_FORCED_…) decides for one member alone. */
#pragma once
#include "migrate/handover.h"

/* A group has 2 to so many members: as many as a host takes in at once. */
#define GROUP_MAX 16

/* Which event a member has to take for the one that happened. folder: of the journals; group: its id, NULL for a move of its own, which takes every
 * event as it is. 0, or -1: the word could not be read or written, so nothing may be done yet. */
int group_event(const char *folder, const char *group, enum handover_state s, enum handover_event ev, enum handover_event *out, struct err *e);
/* 32 hex digits. 0 or -1 (ERR_INVALID). */
int group_check_id(const char *id, struct err *e);
