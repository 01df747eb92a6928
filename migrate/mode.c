/* The modes of a move. See mode.h. */
#include "migrate/mode.h"
#include "base/mem.h"
#include "base/str.h"

static const char *const names[MODE_COUNT] = {
	[MODE_STOP_AND_COPY] = "stop-and-copy",
	[MODE_PRE_COPY] = "pre-copy",
	[MODE_HYBRID] = "hybrid",
	[MODE_POST_COPY] = "post-copy",
};

const char *mode_name(enum mode m)
{
	return names[m];
}

int mode_of(const char *name, enum mode *out, struct err *e)
{
	for (size_t i = 0; i < MODE_COUNT; i++) {
		if (str_eq(names[i], name)) {
			*out = (enum mode)i;
			return 0;
		}
	}
	return err_field(e, "mode", "stop-and-copy, pre-copy, hybrid or post-copy, not \"%.32s\"", name ? name : "");
}

bool mode_is_live(enum mode m)
{
	return m != MODE_STOP_AND_COPY;
}

static bool tracks(const Davit__HostFacts *f)
{
	return f && f->has_memory_tracking && f->memory_tracking;
}

bool mode_can_be_apart(const Davit__HostFacts *source, const Davit__HostFacts *target)
{
	return tracks(source) && tracks(target);
}

int mode_choose(const char *asked, const Davit__HostFacts *source, const Davit__HostFacts *target, enum mode *out, const char **why, struct err *e)
{
	const char *lacks = !tracks(source)   ? "the source's kernel cannot track writes (userfaultfd write protection and PAGEMAP_SCAN, Linux 6.7)"
			    : !tracks(target) ? "the target's kernel cannot restore memory that follows (userfaultfd, Linux 6.7)"
					      : NULL;
	if (asked && mode_of(asked, out, e) < 0)
		return -1;
	if (asked && mode_is_live(*out) && lacks) {
		err_set(e, ERR_INCOMPATIBLE, 0, "mode %s cannot be: %s", asked, lacks);
		return err_remedy(e, "leave the mode to davit, or ask for stop-and-copy");
	}
	if (!asked)
		*out = lacks ? MODE_STOP_AND_COPY : MODE_HYBRID;
	*why = asked ? "asked for" : lacks ? lacks : "both hosts can";
	return 0;
}
