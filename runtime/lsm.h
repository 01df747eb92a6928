/* AppArmor and SELinux: labels of processes and mounts. Sources: kernel Documentation/admin-guide/LSM/, /proc/PID/attr(5). */
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/str.h"
#include "oci.pb-c.h"

bool lsm_has_apparmor(void);
bool lsm_has_selinux(void);
/* Names of the active LSMs (/sys/kernel/security/lsm, or what can be told without it). */
int lsm_list(struct strv *out, struct err *e);
/* What they can do here, a line for each that is active: "apparmor: stacking yes, namespace root, nested no", "selinux: enforcing". Nested: this
 * kernel's AppArmor is already a container's part of it, so that profiles are the namespace's; without stacking there is none of its own in it. */
int lsm_details(struct strv *out, struct err *e);
/* Refuses a profile or label that this kernel cannot give (ERR_UNSUPPORTED, field named), or an AppArmor profile that is not loaded. */
int lsm_check(const Davit__OciProcess *p, struct err *e);
/* Sets the label for the next exec of the calling task (procfd: an fd of /proc). 0 or -1 with errno. */
int lsm_apply_on_exec(int procfd, const char *apparmor_profile, const char *selinux_label);
/* Loads our default AppArmor profile "davit-default" if it is not there. ERR_UNSUPPORTED without AppArmor. */
int lsm_load_default_profile(struct err *e);
