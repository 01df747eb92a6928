/* A seccomp filter that notifies needs somebody outside: its listener goes to our own supervisor, or to the socket of the spec. Source:
 * config-linux.md "seccomp.listenerPath". */
#pragma once
#include "base/err.h"
#include "oci.pb-c.h"
#include "runtime/init/init.h"
#include "runtime/supervise/supervise.h"
#include "state.pb-c.h"

/* ERR_INVALID: a filter that notifies without a socket to tell. */
int seccomp_listener_check(const Davit__OciSeccomp *s, const struct seccomp_filter *f, const Davit__SeccompSupervisor *supervised, struct err *e);
/* Waits for the child's listener, takes it (pidfd_getfd(2)), gives it away, and lets the child go on. supervised: who gets it is a supervisor for
 * these, else (NULL) the socket at s->listener_path, with the container process state. root: the runtime's state folder. */
int seccomp_listener_pass(struct init_child *child, const Davit__OciSeccomp *s, const Davit__SeccompSupervisor *supervised,
			  const Davit__RuntimeState *state, const char *root, struct err *e);
