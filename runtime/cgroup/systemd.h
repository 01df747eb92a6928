/* A container's cgroup as a scope of systemd, for hosts on which systemd is to be the only one that makes cgroups (--systemd-cgroup).
 *
 * systemd is asked over D-Bus (libsystemd's sd-bus, loaded only here: runtime/lazy.h) to start a transient scope with Delegate=yes; what is in the
 * scope is then ours, and limits are written to its files as anywhere. Those that systemd knows are told to it as well: it writes them again at a
 * daemon-reload. A scope needs a process to begin with, and the container has none yet, so a holder, a child that only sleeps, stands in until
 * init is there. Without root the user's own systemd is asked.
 * Sources: org.freedesktop.systemd1(5), systemd.resource-control(5), "The New Control Group Interfaces" (systemd.io). */
#pragma once
#include "runtime/cgroup/internal.h"
#include "runtime/cgroup/properties.h"

/* The unit of an OCI cgroupsPath "SLICE:PREFIX:NAME" (NULL: ":davit:ID"; a SLICE of "-" is the root one): owned names. ERR_INVALID:
 * linux.cgroupsPath. */
int systemd_names(const char *path, const char *id, bool user, char **slice, char **unit, struct err *e);
/* Starts the scope with a process in it and returns its path below the root of each hierarchy. Owned, or NULL. */
char *systemd_start(const char *slice, const char *unit, bool user, pid_t holder, const struct properties *properties, struct err *e);
/* Tells systemd of changed limits. */
int systemd_set(const char *unit, bool user, const Davit__OciResources *r, struct err *e);
/* Ends the scope, if it is still there, and waits until systemd has done so. */
int systemd_stop(const char *unit, bool user, struct err *e);
