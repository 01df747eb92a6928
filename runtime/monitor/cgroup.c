/* How many of the container's processes the kernel killed for lack of memory.
 *
 * The cgroup is found from /proc/PID/cgroup and our own mountinfo, so it takes no word of the caller and works for any runtime. v1:
 * memory.oom_control, v2: memory.events; both have a line "oom_kill N" (kernel Documentation/admin-guide/cgroup-v1/memory.rst, cgroup-v2.rst). */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"
#include "runtime/monitor/monitor.h"

#define PROC_FILE_MAX (1 << 20)

/* Takes the next line off *text. NULL at the end. */
static char *next_line(char **text)
{
	char *line = strsep(text, "\n");
	return line && *line ? line : NULL;
}

static bool list_has(const char *list, const char *word)
{
	size_t n = strlen(word);
	for (const char *p = list; (p = strstr(p, word)); p += n)
		if ((p == list || p[-1] == ',') && (p[n] == ',' || !p[n]))
			return true;
	return false;
}

/* The path of pid's memory cgroup in its hierarchy, owned; *v2 says which kind. */
static char *memory_path(pid_t pid, bool *v2)
{
	char name[40];
	snprintf(name, sizeof(name), "/proc/%d/cgroup", (int)pid);
	auto_free char *text = file_read(AT_FDCWD, name, PROC_FILE_MAX, NULL, NULL);
	char *rest = text, *line, *unified = NULL;
	while (rest && (line = next_line(&rest))) {
		strsep(&line, ":");
		char *controllers = strsep(&line, ":");
		if (!line)
			continue;
		if (list_has(controllers, "memory")) {
			*v2 = false;
			return strdup(line);
		}
		if (!*controllers)
			unified = line;
	}
	*v2 = true;
	return unified ? strdup(unified) : NULL;
}

/* mountinfo's fields (proc(5)): id parent dev root mountpoint options [optional…] - type source super_options */
static bool parse_mount(char *line, char *field[5], char *tail[3])
{
	char *sep = strstr(line, " - ");
	if (!sep)
		return false;
	*sep = '\0';
	char *after = sep + 3;
	for (int i = 0; i < 5; i++)
		if (!(field[i] = strsep(&line, " ")))
			return false;
	for (int i = 0; i < 3; i++)
		if (!(tail[i] = strsep(&after, " ")))
			return false;
	return true;
}

static int open_below(const char *mount_root, const char *mount_point, const char *path, bool v2)
{
	char full[4096];
	size_t skip = str_eq(mount_root, "/") ? 0 : strlen(mount_root);
	if (strncmp(path, mount_root, skip) != 0)
		return -1;
	snprintf(full, sizeof(full), "%s%s/%s", mount_point, path + skip, v2 ? "memory.events" : "memory.oom_control");
	return open(full, O_RDONLY | O_CLOEXEC);
}

int cgroup_open_oom(pid_t pid)
{
	bool v2 = false;
	auto_free char *path = memory_path(pid, &v2);
	auto_free char *text = path ? file_read(AT_FDCWD, "/proc/self/mountinfo", PROC_FILE_MAX, NULL, NULL) : NULL;
	char *rest = text, *line, *field[5], *tail[3];
	while (rest && (line = next_line(&rest))) {
		if (!parse_mount(line, field, tail) || !str_eq(tail[0], v2 ? "cgroup2" : "cgroup") || (!v2 && !list_has(tail[2], "memory")))
			continue;
		int fd = open_below(field[3], field[4], path, v2);
		if (fd >= 0)
			return fd;
	}
	return -1;
}

uint64_t cgroup_oom_count(int fd)
{
	char text[1024];
	ssize_t n = fd < 0 ? 0 : pread(fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	char *rest = text, *line;
	while (rest && (line = next_line(&rest)))
		if (str_prefix(line, "oom_kill "))
			return strtoull(line + strlen("oom_kill "), NULL, 10);
	return 0;
}
