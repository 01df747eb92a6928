/* Leave to open a userfaultfd that sees the kernel's own faults too, for the root of a user namespace.
 *
 * CRIU's lazy restore does that in each task it makes, as the container's root, which the kernel allows only while vm.unprivileged_userfaultfd is 1.
 * So it is 1 for the milliseconds between two notifications of CRIU, under a lock that all davits of a machine share, and then what it was before.
 *
 * A guard, a process that does nothing else, waits meanwhile: it puts the switch back when who has leave is gone, or has not given it back in time
 * (a restore that hangs in between). If the guard is killed as well, a note tells the next core (userfault_put_back()). */
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"

struct userfault_leave {
	int held;    /* the guard sees its end; -1: no leave is taken */
	pid_t guard; /* a child; 0: none */
};
/* Takes leave, waiting for others that have it. folder: where the note is kept meanwhile. Nothing is done where the kernel has no such switch. 0 or
 * -1. */
int userfault_take(struct userfault_leave *l, const char *folder, struct err *e);
/* Gives it back: the switch is what it was when this returns. Idempotent; also of USERFAULT_NONE. */
void userfault_give_back(struct userfault_leave *l);
#define USERFAULT_NONE                                                                                                                               \
	{                                                                                                                                            \
		.held = -1                                                                                                                           \
	}
/* After a fall of who had it and of its guard: what a note in the folder tells is put back, once nobody has leave. */
int userfault_put_back(const char *folder, struct err *e);
