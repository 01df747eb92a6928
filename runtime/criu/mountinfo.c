/* See mountinfo.h. A line: id parent major:minor root point options optional… - type source super-options; blanks in names are octal escapes. */
#include "runtime/criu/mountinfo.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#define TEXT_MAX (8 << 20)

void mountinfo_free(struct mountinfo *m)
{
	free(m->v);
	free(m->text);
	*m = (struct mountinfo){ 0 };
}

static void unescape(char *s)
{
	char *to = s;
	for (; *s; to++) {
		if (s[0] == '\\' && strspn(s + 1, "01234567") >= 3) {
			*to = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + s[3] - '0');
			s += 4;
		} else {
			*to = *s++;
		}
	}
	*to = '\0';
}

static bool parse_line(char *line, struct mountinfo_entry *out)
{
	char *save = NULL, *fields[5], *dash = strstr(line, " - ");
	unsigned major, minor;

	if (!dash)
		return false;
	*dash = '\0';
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (!(fields[i] = strtok_r(i ? NULL : line, " ", &save)))
			return false;
	out->id = strtoull(fields[0], NULL, 10);
	out->parent = strtoull(fields[1], NULL, 10);
	if (sscanf(fields[2], "%u:%u", &major, &minor) != 2)
		return false;
	out->dev = makedev(major, minor);
	out->root = fields[3];
	out->point = fields[4];
	out->type = strtok_r(dash + 3, " ", &save);
	unescape(out->root);
	unescape(out->point);
	return out->type != NULL;
}

int mountinfo_read(pid_t pid, struct mountinfo *out, struct err *e)
{
	char name[64], *save = NULL;

	*out = (struct mountinfo){ 0 };
	snprintf(name, sizeof(name), "/proc/%d/mountinfo", pid);
	if (!(out->text = file_read(AT_FDCWD, name, TEXT_MAX, NULL, e)))
		return -1;
	for (char *line = strtok_r(out->text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (mem_grow(&out->v, &out->cap, out->n + 1, sizeof(*out->v), e) < 0 || !parse_line(line, &out->v[out->n])) {
			mountinfo_free(out);
			return err_set(e, ERR_INTERNAL, 0, "%s has an unknown form", name);
		}
		out->n++;
	}
	return 0;
}

const struct mountinfo_entry *mountinfo_by_id(const struct mountinfo *m, uint64_t id)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].id == id)
			return &m->v[i];
	return NULL;
}
