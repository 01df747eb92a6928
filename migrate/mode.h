/* How the memory of a container moves.
 *
 *   stop-and-copy  it stands still while all of it is sent; nothing is tracked and nothing follows
 *   pre-copy       copied while it runs, the rest while it stands still; if that never fits, it stays where it is
 *   hybrid         as pre-copy, but what does not fit follows after the thaw
 *   post-copy      all of it follows after the thaw
 *
 * The last three take tracking of writes on the source and a lazy restore on the target; without these, stop-and-copy is what is left, with memory as
 * part of CRIU's dump. Where both can, memory goes apart in all modes: a page store hands it to the container, which need not stand still for that.
 */
#pragma once
#include <stdbool.h>
#include "base/err.h"
#include "core.pb-c.h"

enum mode { MODE_STOP_AND_COPY, MODE_PRE_COPY, MODE_HYBRID, MODE_POST_COPY, MODE_COUNT };

const char *mode_name(enum mode m);
/* 0 or -1 (ERR_INVALID, field "mode"). */
int mode_of(const char *name, enum mode *out, struct err *e);
/* Whether memory is copied before the freeze or after the thaw. */
bool mode_is_live(enum mode m);
/* Whether both hosts can move memory apart from CRIU's dump. */
bool mode_can_be_apart(const Davit__HostFacts *source, const Davit__HostFacts *target);
/* Chooses: the one that is asked for (NULL: the best that both can). *why: for the record, static. 0; -1: it was asked for and cannot be
 * (ERR_INCOMPATIBLE). */
int mode_choose(const char *asked, const Davit__HostFacts *source, const Davit__HostFacts *target, enum mode *out, const char **why, struct err *e);
