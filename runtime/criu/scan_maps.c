/* Mappings of a process: /proc/PID/maps (proc_pid_maps(5)). */
#include <stdio.h>
#include <string.h>
#include "proto/pb.h"
#include "runtime/criu/scan.h"

/* Which mapped names stand in the way. Prefixes; NULL kind: fine although a later one fits. */
static const struct {
	const char *name, *kind;
} mapped[] = {
	{ "anon_inode:[io_uring]", "io_uring" },
	{ "anon_inode:[perf_event]", "perf_event" },
	{ "anon_inode:", "device_mapping" },
	{ "[uprobes]", "uprobe" },
	{ "/secretmem", "memfd" },
	{ "/dev/zero", NULL },
	{ "/dev/shm/", NULL },
	{ "/dev/mqueue/", NULL },
	{ "/dev/", "device_mapping" },
};

static int look_at(struct scan *s, pid_t pid, const char *name, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(mapped); i++) {
		if (!str_prefix(name, mapped[i].name))
			continue;
		Davit__Obstacle *o = mapped[i].kind ? scan_add(s, pid, mapped[i].kind, NULL, e) : NULL;
		if (!mapped[i].kind)
			return 0;
		return o ? pb_set_str(&o->path, name, e) : -1;
	}
	return 0;
}

int scan_maps(struct scan *s, pid_t pid, struct err *e)
{
	char path[64], line[8192], last[4096] = "";
	int rc = 0;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	FILE *f = fopen(path, "re");
	while (f && rc == 0 && fgets(line, sizeof(line), f)) {
		/* Five fields, then the name; one object is often mapped several times in a row. */
		int at = 0;
		sscanf(line, "%*s %*s %*s %*s %*s %n", &at);
		char *name = line + at;
		name[strcspn(name, "\n")] = '\0';
		if (at && name[0] && !str_eq(name, last)) {
			snprintf(last, sizeof(last), "%s", name);
			rc = look_at(s, pid, name, e);
		}
	}
	if (f)
		fclose(f);
	return rc;
}
