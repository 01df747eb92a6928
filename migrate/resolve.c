/* The consequences of a forced decision, as a table over what waits and what is decided. */
#include "migrate/resolve.h"
#include "base/mem.h"
#include "base/str.h"

static const struct {
	enum handover_state state;
	enum handover_event forced;
	const char *texts[RESOLVE_TEXTS];
} table[] = {
	{ SOURCE_COMMITTED,
	  EVENT_FORCED_SOURCE,
	  { "The container goes on here, as it was at the freeze.",
	    "The target was allowed to run it: if it does, two copies run from now on, each serving some clients with what the other does not know.",
	    "Be sure first that the target is off for good, or that its copy was dropped there (resolve --force source on the target)." } },
	{ SOURCE_COMMITTED,
	  EVENT_FORCED_TARGET,
	  { "The frozen copy here is deleted.", "If the target does not hold one that runs, no copy is left anywhere.",
	    "Be sure first that the container runs on the target (davit ps there)." } },
	{ SOURCE_SERVING,
	  EVENT_FORCED_SOURCE,
	  { "The container goes on here, as it was at the freeze: everything that it did on the target since then is lost, and its connections "
	    "break.",
	    "Until the target hears of it, two copies run; then it drops its own." } },
	{ SOURCE_SERVING,
	  EVENT_FORCED_TARGET,
	  { "The frozen copy here is deleted, and with it memory that the target still lacks and that is nowhere else.",
	    "The container on the target stands still for ever where it touches that memory; there it can only be ended and started anew." } },
	{ SOURCE_GONE,
	  EVENT_FORCED_SOURCE,
	  { "The container, which ended here with the reboot, stays here, stopped, with its files as they were at the freeze.",
	    "What it did on the target since then is lost; the target drops its copy when it hears of it." } },
	{ SOURCE_GONE,
	  EVENT_FORCED_TARGET,
	  { "The files of the container here are deleted.", "The target's copy, which may never become whole, is then the only one." } },
	{ TARGET_IN_DOUBT,
	  EVENT_FORCED_SOURCE,
	  { "The frozen copy here, which never ran, is removed.", "The source takes the container back when it hears of it.",
	    "If the source is lost for good, the container is lost with it." } },
	{ TARGET_IN_DOUBT,
	  EVENT_FORCED_TARGET,
	  { "The copy here runs from now on.",
	    "If the source took the move back, two copies run, each serving some clients with what the other does not know.",
	    "Be sure first that the source is off for good, or that its copy is frozen or gone (davit ps there)." } },
	{ TARGET_FILLING,
	  EVENT_FORCED_SOURCE,
	  { "The container here, which runs, is removed: everything that it did since its thaw is lost, and its connections break.",
	    "The source takes its copy back, as it was at the freeze, when it hears of it; if it was rebooted, that one is stopped." } },
	{ TARGET_FILLING,
	  EVENT_FORCED_TARGET,
	  { "Memory that is not here yet is given up: the container is killed, and stays here, stopped, with its files.",
	    "The source deletes its copy when it hears of it.", "As long as the source may come back, waiting for it loses nothing." } },
	{ TARGET_STRANDED,
	  EVENT_FORCED_SOURCE,
	  { "The container here is removed: everything that it did since its thaw is lost, and its connections break.",
	    "At the source it stays, stopped, with its files as they were at the freeze." } },
	{ TARGET_STRANDED,
	  EVENT_FORCED_TARGET,
	  { "Memory that went with the source's reboot is given up: the container is killed, and stays here, stopped, with its files.",
	    "The source deletes what it has of it when it hears of it." } },
};

const char *const *resolve_consequences(enum handover_state s, enum handover_event forced)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (table[i].state == s && table[i].forced == forced)
			return table[i].texts;
	return NULL;
}

int resolve_event_of(const char *side, enum handover_event *out, struct err *e)
{
	if (str_eq(side, "source"))
		*out = EVENT_FORCED_SOURCE;
	else if (str_eq(side, "target"))
		*out = EVENT_FORCED_TARGET;
	else
		return err_field(e, "side", "source or target, not \"%s\"", side ? side : "");
	return 0;
}

const struct handover_rule *resolve_rule(const char *id, enum handover_state s, enum handover_event forced, struct err *e)
{
	const struct handover_rule *rule = handover_next(s, forced);
	if (!rule)
		err_set(e, ERR_STATE, 0, "move %s is %s here: there is nothing to decide", id, handover_state_name(s));
	return rule;
}
