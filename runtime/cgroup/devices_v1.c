/* Device rules on cgroup v1: devices.list is compared with what shall be, and only the difference is written.
 *
 * devices.list shows "a *:* rwm" while all is allowed (also when single devices are denied, which it does not show), else the exceptions "c 1:3 rwm".
 * Writing "a" to devices.deny or devices.allow changes the default and forgets the exceptions. What is to be allowed is written before what is to be
 * denied, so that a running container never misses a device that it has before and after. Source: kernel
 * Documentation/admin-guide/cgroup-v1/devices.rst. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "runtime/cgroup/internal.h"

#define LIST_MAX (64 << 10)

static void format_number(int64_t n, char out[24])
{
	if (n < 0)
		snprintf(out, 24, "*");
	else
		snprintf(out, 24, "%lld", (long long)n);
}

/* "c 1:3 rwm", in the kernel's own order of letters. */
static void format_rule(const struct device_rule *r, char out[80])
{
	char major[24], minor[24];
	format_number(r->major, major);
	format_number(r->minor, minor);
	snprintf(out, 80, "%c %s:%s %s%s%s", r->type, major, minor, r->access & DEVICE_READ ? "r" : "", r->access & DEVICE_WRITE ? "w" : "",
		 r->access & DEVICE_MKNOD ? "m" : "");
}

static int write_rule(int fd, const char *rule, const struct hierarchy *h, const struct device_rule *from, struct err *e)
{
	if (write(fd, rule, strlen(rule)) >= 0)
		return 0;
	int sys = errno;
	if (from && from->index >= 0)
		err_sys(e, sys, "linux.resources.devices[%d]: \"%s\" for cgroup %s", from->index, rule, h->path);
	else
		err_sys(e, sys, "device rule \"%s\" for cgroup %s", rule, h->path);
	err_prefix_field(e, "linux.resources.devices");
	return sys == EPERM ? err_remedy(e, "the cgroup above must allow the device too") : -1;
}

/* Whether a line of `list` is `rule`. */
static bool list_has(const char *list, const char *rule)
{
	size_t len = strlen(rule);
	for (const char *p = list; (p = strstr(p, rule)); p += len)
		if ((p == list || p[-1] == '\n') && (p[len] == '\n' || p[len] == '\0'))
			return true;
	return false;
}

/* Writes the exceptions that the list does not have; after a change of the default it has none. */
static int add_exceptions(int fd, const char *list, const struct hierarchy *h, const struct device_rules *flat, struct err *e)
{
	for (size_t i = 0; i < flat->n; i++) {
		char rule[80];
		format_rule(&flat->v[i], rule);
		if (!list_has(list, rule) && write_rule(fd, rule, h, &flat->v[i], e) < 0)
			return -1;
	}
	return 0;
}

/* Denies the lines of the list that are not wanted, or the letters of them that are not. */
static int deny_unwanted(int fd, char *list, const struct hierarchy *h, const struct device_rules *flat, struct err *e)
{
	char *save = NULL;
	for (char *line = strtok_r(list, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *letters = strrchr(line, ' ');
		char unwanted[96] = "";
		for (const char *l = letters ? letters + 1 : ""; *l; l++) {
			bool wanted = false;
			for (size_t i = 0; i < flat->n && !wanted; i++) {
				char rule[80];
				format_rule(&flat->v[i], rule);
				wanted = strncmp(rule, line, (size_t)(letters - line) + 1) == 0 && strchr(rule + (letters - line) + 1, *l);
			}
			if (!wanted && strlen(unwanted) < 3)
				strncat(unwanted, l, 1);
		}
		char rule[128];
		if (*unwanted && letters) {
			snprintf(rule, sizeof(rule), "%.*s %s", (int)(letters - line), line, unwanted);
			if (write_rule(fd, rule, h, NULL, e) < 0)
				return -1;
		}
	}
	return 0;
}

int devices_v1_apply(const struct hierarchy *h, const struct device_rules *d, struct err *e)
{
	auto_device_rules struct device_rules flat = { 0 };
	size_t len;
	if (device_rules_flatten(d, &flat, e) < 0)
		return -1;
	auto_free char *list = file_read(h->fd, "devices.list", LIST_MAX, &len, e);
	auto_close int allow = openat(h->fd, "devices.allow", O_WRONLY | O_CLOEXEC);
	auto_close int deny = openat(h->fd, "devices.deny", O_WRONLY | O_CLOEXEC);
	if (!list)
		return -1;
	if (allow < 0 || deny < 0)
		return err_sys(e, errno, "open devices.allow and devices.deny of cgroup %s", h->path);
	bool allows_all = str_prefix(list, "a ");
	if (flat.allow) {
		/* Denied exceptions are not shown, so they are forgotten first. */
		if (write_rule(allow, "a", h, NULL, e) < 0)
			return -1;
		return add_exceptions(deny, "", h, &flat, e);
	}
	if (allows_all && write_rule(deny, "a", h, NULL, e) < 0)
		return -1;
	if (add_exceptions(allow, allows_all ? "" : list, h, &flat, e) < 0)
		return -1;
	return allows_all ? 0 : deny_unwanted(deny, list, h, &flat, e);
}
