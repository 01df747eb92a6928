/* /proc/PID/mountinfo (proc_pid_mountinfo(5)) as a list. */
#pragma once
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

struct mountinfo_entry {
	uint64_t id, parent;
	dev_t dev;
	char *root, *point, *type; /* into the text */
};
struct mountinfo {
	struct mountinfo_entry *v;
	size_t n, cap;
	char *text;
};
void mountinfo_free(struct mountinfo *m);
#define auto_mountinfo __attribute__((cleanup(mountinfo_free)))
int mountinfo_read(pid_t pid, struct mountinfo *out, struct err *e);
/* The entry with that id, or NULL. */
const struct mountinfo_entry *mountinfo_by_id(const struct mountinfo *m, uint64_t id);
