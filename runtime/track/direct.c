/* See direct.h. Source: proc_pid_fdinfo(5). */
#include "runtime/track/direct.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/proc.h"

bool direct_has_file(pid_t pid)
{
	char path[64];
	uint64_t flags;
	bool found = false;
	snprintf(path, sizeof(path), "/proc/%d/fdinfo", pid);
	DIR *d = opendir(path);
	for (struct dirent *x; d && !found && (x = readdir(d));)
		found = x->d_name[0] != '.' && proc_fd_number(pid, atoi(x->d_name), "flags", 8, &flags, NULL) == 0 && flags & O_DIRECT;
	if (d)
		closedir(d);
	return found;
}
