/* Landlock as a further layer: of the paths that a container has, its processes reach only those that are named, read or written, whatever their
 * owners, modes and mounts say. It is put on as the last thing before the program and cannot be taken off. Sources: landlock(7), kernel
 * Documentation/userspace-api/landlock.rst. */
#pragma once
#include "base/err.h"
#include "oci.pb-c.h"
#include "spec.pb-c.h"

/* A Landlock message as JSON. */
#define LANDLOCK_ANNOTATION "org.davit.landlock"

/* What this kernel knows; 0: it has no Landlock. */
int landlock_abi(void);
/* The form of each entry; field: what the message is called. */
int landlock_check(const Davit__Landlock *l, const char *field, struct err *e);
/* What a spec asks for, checked; *out NULL: nothing. Owned. ERR_UNSUPPORTED on a kernel without. */
int landlock_of_spec(const Davit__OciSpec *s, Davit__Landlock **out, struct err *e);
/* Holds the calling thread, its further programs and children. Takes no_new_privs. Paths are those of the caller's root. */
int landlock_enter(const Davit__Landlock *l, struct err *e);
