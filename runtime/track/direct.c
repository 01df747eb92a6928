/* See direct.h. Source: proc_pid_fdinfo(5). */
#include "runtime/track/direct.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/fd.h"

#define HEAD_BYTES 128 /* position and flags come first */

static bool is_direct(int folder, const char *name)
{
	static const char key[] = "flags:\t";
	char head[HEAD_BYTES + 1];
	auto_close int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, head, HEAD_BYTES);
	if (n <= 0)
		return false;
	head[n] = '\0';
	const char *at = strstr(head, key);
	return at && (strtol(at + sizeof(key) - 1, NULL, 8) & O_DIRECT);
}

bool direct_has_file(pid_t pid)
{
	char path[64];
	bool found = false;
	snprintf(path, sizeof(path), "/proc/%d/fdinfo", pid);
	DIR *d = opendir(path);
	for (struct dirent *x; d && !found && (x = readdir(d));)
		found = x->d_name[0] != '.' && is_direct(dirfd(d), x->d_name);
	if (d)
		closedir(d);
	return found;
}
