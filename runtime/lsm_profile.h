/* Our AppArmor profile for containers. */
#pragma once
#include "base/err.h"

#define LSM_DEFAULT_PROFILE "davit-default"

/* Loads it by apparmor_parser: the kernel takes compiled policy only, and the compiler is that program. ERR_UNSUPPORTED where it is missing. */
int lsm_profile_load(struct err *e);
