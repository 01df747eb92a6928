/* See maps.h. /proc/PID/maps tells all of it but which mappings are locked; those are asked of smaps, which takes the kernel much longer, if the
 * process has locked any. */
#include "runtime/track/maps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"

#define LINE_MAX_BYTES 8192

void maps_free(struct maps *m)
{
	free(m->v);
	*m = (struct maps){ 0 };
}

/* Mappings without a file, of which the kernel owns these. */
static bool is_kernels(const char *name)
{
	return str_prefix(name, "[vdso") || str_prefix(name, "[vvar") || str_prefix(name, "[vsyscall") || str_prefix(name, "[vectors") ||
	       str_prefix(name, "[uprobes");
}

bool maps_take_line(const char *line, struct mapping *out)
{
	char rights[8];
	unsigned long long start, end, inode;
	int at = 0;

	if (sscanf(line, "%llx-%llx %7s %*s %*s %llu %n", &start, &end, rights, &inode, &at) < 4 || at == 0)
		return false;
	const char *name = line + at;
	if (rights[3] != 'p' || inode != 0 || name[0] == '/' || is_kernels(name))
		return false;
	*out = (struct mapping){ .start = start, .end = end };
	return true;
}

static int add(struct maps *m, const struct mapping *one, struct err *e)
{
	if (mem_grow(&m->v, &m->cap, m->n + 1, sizeof(*m->v), e) < 0)
		return -1;
	m->v[m->n++] = *one;
	return 0;
}

static FILE *open_file(pid_t pid, const char *name, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	FILE *f = fopen(path, "re");
	if (!f)
		err_sys(e, errno, "%s", path);
	return f;
}

/* In smaps a mapping's line is followed by those that describe it, the last of which are its flags: "lo" is locked. */
static void take_smaps_line(struct maps *m, const char *line, bool *last_is_ours)
{
	if (str_prefix(line, "VmFlags:") && *last_is_ours && strstr(line, " lo"))
		m->n--;
}

static int read_lines(FILE *f, struct maps *m, struct err *e)
{
	char line[LINE_MAX_BYTES];
	bool ours = false;

	while (fgets(line, sizeof(line), f)) {
		struct mapping one;
		bool head = strchr(line, '-') && strspn(line, "0123456789abcdef") == (size_t)(strchr(line, '-') - line);
		if (!head) {
			take_smaps_line(m, line, &ours);
			continue;
		}
		ours = maps_take_line(line, &one);
		if (ours && add(m, &one, e) < 0)
			return -1;
	}
	return ferror(f) ? err_set(e, ERR_NOT_FOUND, errno, "mappings") : 0;
}

int maps_read(pid_t pid, struct maps *m, struct err *e)
{
	FILE *f = open_file(pid, proc_status_number(pid, "VmLck") > 0 ? "smaps" : "maps", e);

	m->n = 0;
	if (!f)
		return -1;
	int rc = read_lines(f, m, e);
	fclose(f);
	return rc;
}

int maps_gone(const struct maps *old, const struct maps *now, int (*gone)(void *arg, uint64_t start, uint64_t end, struct err *e), void *arg,
	      struct err *e)
{
	size_t k = 0;

	for (size_t i = 0; i < old->n; i++) {
		uint64_t at = old->v[i].start, end = old->v[i].end;
		while (k < now->n && now->v[k].end <= at)
			k++;
		for (size_t j = k; at < end; j++) {
			uint64_t until = j < now->n ? MIN(now->v[j].start, end) : end;
			if (at < until && gone(arg, at, until, e) < 0)
				return -1;
			if (j >= now->n || now->v[j].start >= end)
				break;
			at = MAX(at, now->v[j].end);
		}
	}
	return 0;
}
