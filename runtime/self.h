/* The runtime's own program file, kept out of a container's reach (CVE-2019-5736).
 *
 * A process of ours that has entered a container can be made to be seen there as /proc/PID/exe, by a program named /proc/self/exe for one, and the
 * file that it leads to is the host's. So before davit-runtime enters anything it starts itself again from a copy that nobody can write: a file of an
 * overlay without an upper layer, read-only by its nature whatever its mount's flags become; where there is no overlayfs, a sealed memory file.
 *
 * A container with a user namespace that maps neither the file's owner nor its group cannot write the file, whatever its capabilities (they count for
 * mapped ids only: user_namespaces(7)); then the file is as safe where it is. */
#pragma once
#include "base/err.h"
#include "oci.pb-c.h"

/* Returns 0 in a process that a container of this spec can do no harm: this one, if it is safe already, else the program starts again from main()
 * with the same arguments and environment, and this function does not return. */
int self_protect(const Davit__OciSpec *spec, struct err *e);
