/* OCI hooks: programs that run at six points of a container's life. Source: config.md "POSIX-platform Hooks". */
#pragma once
#include "base/err.h"
#include "oci.pb-c.h"

/* Runs the hooks of one kind in their order in the caller's namespaces, each with the state as JSON on its stdin and its own timeout (0: none, as the
 * spec says). name: "createRuntime" …, for messages. The first that fails ends the list. */
int hooks_run(const char *name, Davit__OciHook *const *hooks, size_t n, const Davit__OciState *state, struct err *e);
