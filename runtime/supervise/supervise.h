/* The built-in supervisor: does chosen calls for a container that has not the privilege for them.
 *
 * A seccomp filter sees the registers of a call and nothing that they point to. So where a container's spec asks for it and the host's policy allows
 * it, the filter hands these calls to a process outside (seccomp_unotify(2)), which reads what they point to once, decides, and does the call itself:
 *
 *   mknod     of listed devices. A node, or where none could be opened in a container with a user namespace (all but its root filesystem, and that
 *             too where it is mounted nodev) the device bound over an empty file, as the runtime makes those of /dev
 *   mount     of listed filesystem types, new and empty, always nosuid and nodev, with the container's own rights
 *   sysctl    opening listed settings of the container's own namespaces for writing: the descriptor is made outside and put into the caller
 *
 * Who runs it: davit-runtime (create, run, exec) forks it when the process loads its filter: one for the container and one for each exec, outside the
 * container's namespaces and cgroup. It needs nobody: it lives through restarts of the agent and the core, and ends when the last process under
 * the filter has. If it dies the kernel closes the listener, and the calls answer ENOSYS; nothing waits.
 *
 * What it trusts: nothing of the container. Arguments are copied once and what is decided is what is done with the copy. After everything that it
 * opens or reads by the caller's pid it asks whether that call still waits (SECCOMP_IOCTL_NOTIF_ID_VALID), so the pid was the caller's. Paths are
 * walked in the caller's root by a process that has it for its own, and with the file permissions of the caller. Only the container's root, in
 * the container's own namespaces, is served; everything else that is not listed is EPERM, or for an open goes on as if nobody had asked: it then can
 * no more than without a supervisor.
 *
 * Sources: seccomp_unotify(2), user_namespaces(7), mount_setattr(2), kernel Documentation/userspace-api/seccomp_filter.rst. */
#pragma once
#include "base/err.h"
#include "config.pb-c.h"
#include "oci.pb-c.h"

/* A SeccompSupervisor as JSON. */
#define SUPERVISE_ANNOTATION "org.davit.supervise"
#define SUPERVISE_POLICY "/etc/davit/policy.json"

/* What a spec asks for, its form checked; *out NULL: nothing. Owned. */
int supervise_of_spec(const Davit__OciSpec *s, Davit__SeccompSupervisor **out, struct err *e);
/* The form of each entry; field: what the message is called. */
int supervise_check(const Davit__SeccompSupervisor *s, const char *field, struct err *e);
/* Whether a policy (NULL: an empty one) allows all that is asked: ERR_DENIED with the entry. */
int supervise_allowed(const Davit__SeccompSupervisor *policy, const Davit__SeccompSupervisor *asked, const char *field, struct err *e);
/* The same with the policy in a file; one that is missing is empty. */
int supervise_allowed_by(const char *file, const Davit__SeccompSupervisor *asked, struct err *e);
/* SECCOMP_SUPERVISE_* of it; NULL: 0. */
unsigned supervise_calls(const Davit__SeccompSupervisor *s);

bool supervise_lists_device(const Davit__SeccompSupervisor *s, unsigned mode, unsigned major, unsigned minor);
bool supervise_lists_mount(const Davit__SeccompSupervisor *s, const char *type);
/* name with dots. */
bool supervise_lists_sysctl(const Davit__SeccompSupervisor *s, const char *name);
/* "c 1:3", "b 7:*" (*minor -1) into its parts. */
int supervise_parse_device(const char *text, char *type, unsigned *major, int *minor);

/* Forks the supervisor for a process of a container that waits with its filter loaded. listener: borrowed. root: the runtime's state folder, for
 * compiled filters. audit: where its lines go. Returns when it listens. */
int supervise_start(const char *id, const Davit__SeccompSupervisor *what, int pid, int listener, const char *root, int audit, struct err *e);
