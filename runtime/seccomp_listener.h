/* A seccomp filter that notifies needs an agent outside: its listener goes to the socket of the spec. Source: config-linux.md "seccomp.listenerPath".
 */
#pragma once
#include "base/err.h"
#include "oci.pb-c.h"
#include "runtime/init/init.h"
#include "state.pb-c.h"

/* Waits for the child's listener, takes it (pidfd_getfd(2)), sends it with the container process state to s->listener_path, and lets the child go on.
 */
int seccomp_listener_pass(struct init_child *child, const Davit__OciSeccomp *s, const Davit__RuntimeState *state, struct err *e);
