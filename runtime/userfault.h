/* Leave to open a userfaultfd that sees the kernel's own faults too, for the root of a user namespace.
 *
 * CRIU's lazy restore does that in each task it makes, as the container's root, which the kernel allows only while vm.unprivileged_userfaultfd is 1.
 * So it is 1 for the milliseconds between two notifications of CRIU, under a lock that all davits of a machine share, and then what it was before. */
#pragma once
#include <stdbool.h>
#include "base/err.h"

struct userfault_leave {
	int lock;     /* -1: none is taken */
	int folder;   /* of the note */
	bool changed; /* it has to be put back */
};
/* Takes leave, waiting for others that have it. folder: where a note is kept meanwhile, for userfault_put_back(). Nothing is done where the kernel
 * has no such switch, or it is 1 anyway. 0 or -1. */
int userfault_take(struct userfault_leave *l, const char *folder, struct err *e);
/* Gives it back. Idempotent; also of USERFAULT_NONE. */
void userfault_give_back(struct userfault_leave *l);
#define USERFAULT_NONE                                                                                                                               \
	{                                                                                                                                            \
		.lock = -1, .folder = -1                                                                                                             \
	}
/* After a fall of who had it: what a note in the folder tells is put back, unless somebody has leave now. */
int userfault_put_back(const char *folder, struct err *e);
