/* One JSON line for each call that is done or denied. A container that asks without end fills no disk: beyond a number of lines a second they are
 * counted only. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/str.h"
#include "runtime/supervise/internal.h"

#define LINES_A_SECOND 50

static void add_text(char *out, size_t cap, const char *text)
{
	size_t used = strlen(out);
	while (*text) {
		char one[8];
		str_json_char(&text, one);
		size_t n = strlen(one);
		if (used + n + 1 >= cap)
			return;
		memcpy(out + used, one, n + 1);
		used += n;
	}
}

static void add_plain(char *out, size_t cap, const char *text)
{
	size_t used = strlen(out), n = strlen(text);
	if (used + n < cap)
		memcpy(out + used, text, n + 1);
}

void audit_add(char *members, size_t cap, const char *key, const char *value)
{
	if (strlen(members) + strlen(key) + 8 > cap)
		return;
	if (*members)
		add_plain(members, cap, ",");
	add_plain(members, cap, "\"");
	add_plain(members, cap, key);
	add_plain(members, cap, "\":\"");
	add_text(members, cap - 1, value);
	add_plain(members, cap, "\"");
}

/* How many lines were left out before this one, or -1: leave this one out too. */
static int admit(void)
{
	static int64_t second;
	static int lines, left_out;
	int64_t now = clock_now_ns(CLOCK_MONOTONIC) / NSEC_PER_SEC;
	if (now != second) {
		int before = left_out;
		second = now;
		lines = 1;
		left_out = 0;
		return before;
	}
	if (lines++ < LINES_A_SECOND)
		return 0;
	left_out++;
	return -1;
}

void audit_call(const struct supervisor *s, const struct call *c, const char *name, const char *arguments, int error)
{
	char line[2 * PATH_MAX], now[32], more[48] = "";
	int before = admit();
	if (before < 0)
		return;
	if (before > 0)
		snprintf(more, sizeof(more), ",\"leftOut\":%d", before);
	snprintf(line, sizeof(line),
		 "{\"time\":\"%s\",\"level\":\"info\",\"msg\":\"supervised call\",\"container\":\"%s\",\"pid\":%u,\"call\":\"%s\",\"arguments\":{%s},"
		 "\"decision\":\"%s\",\"errno\":%d%s}\n",
		 clock_rfc3339(clock_now_ns(CLOCK_REALTIME), now), s->id, c->n.pid, name, arguments,
		 error < 0    ? "denied"
		 : error == 0 ? "done"
			      : "failed",
		 error < 0 ? 1 : error, more);
	(void)!write(s->audit, line, strlen(line));
}
