/* Reading cgroup files, and going through a cgroup and those below it. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "base/file.h"
#include "runtime/cgroup/internal.h"

#define STAT_FILE_MAX (64 << 10)

int64_t cgroup_read_key(int dirfd, const char *file, const char *key)
{
	size_t len;
	auto_free char *text = file_read(dirfd, file, STAT_FILE_MAX, &len, NULL);
	size_t key_len = key ? strlen(key) : 0;
	for (char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		char *number = line + key_len + (key != NULL), *end;
		if (key && (strncmp(line, key, key_len) != 0 || line[key_len] != ' '))
			continue;
		long long value = strtoll(number, &end, 10);
		return end == number ? -1 : value;
	}
	return -1;
}

static int walk_below(int dirfd, int (*f)(int dirfd, int parent, const char *name, void *arg), void *arg)
{
	int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	int result = 0;
	if (!dir) {
		fd_closep(&copy);
		return 0;
	}
	for (struct dirent *entry; result == 0 && (entry = readdir(dir));) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		auto_close int child = openat(dirfd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (child < 0)
			continue;
		result = walk_below(child, f, arg);
		if (result == 0)
			result = f(child, dirfd, entry->d_name, arg);
	}
	closedir(dir);
	return result;
}

int cgroup_walk(int dirfd, int (*f)(int dirfd, int parent, const char *name, void *arg), void *arg)
{
	int result = walk_below(dirfd, f, arg);
	return result ? result : f(dirfd, -1, NULL, arg);
}

bool cgroup_has_process(int dirfd)
{
	char first;
	auto_close int fd = openat(dirfd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, &first, 1) == 1;
}

bool cgroup_pause(unsigned *us, unsigned max, int64_t deadline)
{
	if (clock_now_ns(CLOCK_MONOTONIC) >= deadline)
		return false;
	struct timespec t = { .tv_nsec = *us * NSEC_PER_USEC };
	nanosleep(&t, NULL);
	*us = MIN(*us * 2, max);
	return true;
}
