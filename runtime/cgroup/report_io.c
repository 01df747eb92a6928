/* What `events` tells of devices: see report.c. Sources: kernel Documentation/admin-guide/cgroup-v1/blkio-controller.rst and cgroup-v2.rst. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "runtime/cgroup/internal.h"

struct entry {
	unsigned major, minor;
	char op[16];
	uint64_t n;
};

/* "8:0 Read 4096", or "8:0 4096" where there is nothing to tell apart. */
static bool parse_v1(const char *line, struct entry *entry)
{
	entry->op[0] = 0;
	return sscanf(line, "%u:%u %15[A-Za-z] %" SCNu64, &entry->major, &entry->minor, entry->op, &entry->n) == 4 ||
	       sscanf(line, "%u:%u %" SCNu64, &entry->major, &entry->minor, &entry->n) == 3;
}

/* "8:0 rbytes=4096 wbytes=0 rios=1 …". */
static bool parse_v2(const char *line, const char *key, const char *op, struct entry *entry)
{
	const char *at = strstr(line, key);

	snprintf(entry->op, sizeof(entry->op), "%s", op);
	return at && sscanf(line, "%u:%u", &entry->major, &entry->minor) == 2 && sscanf(at + strlen(key), "%" SCNu64, &entry->n) == 1;
}

static int put_entry(struct buf *list, const struct entry *entry, struct err *e)
{
	if (buf_printf(list, e, "%s{\"major\":%u,\"minor\":%u,", list->len ? "," : "", entry->major, entry->minor) < 0)
		return -1;
	if (*entry->op && buf_printf(list, e, "\"op\":\"%s\",", entry->op) < 0)
		return -1;
	return buf_printf(list, e, "\"value\":%" PRIu64 "}", entry->n);
}

/* A list with nothing in it is left out, as runc does. */
static int put_list(struct buf *out, const char **comma, const char *name, const struct buf *list, struct err *e)
{
	if (list->len == 0)
		return 0;
	if (buf_printf(out, e, "%s\"%s\":[%.*s]", *comma, name, (int)list->len, (const char *)list->data) < 0)
		return -1;
	*comma = ",";
	return 0;
}

static int put_v1(const struct hierarchy *h, const char **comma, struct buf *out, struct err *e)
{
	static const struct {
		const char *name, *file;
	} lists[] = {
		{ "ioServiceBytesRecursive", "io_service_bytes_recursive" },
		{ "ioServicedRecursive", "io_serviced_recursive" },
		{ "ioQueueRecursive", "io_queued_recursive" },
		{ "ioServiceTimeRecursive", "io_service_time_recursive" },
		{ "ioWaitTimeRecursive", "io_wait_time_recursive" },
		{ "ioMergedRecursive", "io_merged_recursive" },
		{ "ioTimeRecursive", "time_recursive" },
		{ "sectorsRecursive", "sectors_recursive" },
	};
	/* BFQ counts what goes through it, CFQ was before Linux 5.0, throttling counts everything and is always there. */
	const char *prefix = faccessat(h->fd, "blkio.bfq.io_serviced_recursive", F_OK, 0) == 0 ? "blkio.bfq."
			     : faccessat(h->fd, "blkio.io_serviced_recursive", F_OK, 0) == 0   ? "blkio."
											       : "blkio.throttle.";
	char file[64];

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		auto_buf struct buf list = { 0 };
		snprintf(file, sizeof(file), "%s%s", prefix, lists[i].file);
		auto_free char *text = file_read(h->fd, file, REPORT_TEXT_MAX, NULL, NULL);
		char *rest = text, *line;
		struct entry entry;

		while (text && (line = strtok_r(rest, "\n", &rest)))
			if (parse_v1(line, &entry) && put_entry(&list, &entry, e) < 0)
				return -1;
		if (put_list(out, comma, lists[i].name, &list, e) < 0)
			return -1;
	}
	return 0;
}

static int put_v2(const struct hierarchy *h, const char **comma, struct buf *out, struct err *e)
{
	static const struct {
		const char *key, *op;
		bool bytes;
	} keys[] = { { " rbytes=", "Read", true }, { " wbytes=", "Write", true }, { " rios=", "Read", false }, { " wios=", "Write", false } };
	auto_buf struct buf bytes = { 0 }, ios = { 0 };
	auto_free char *text = file_read(h->fd, "io.stat", REPORT_TEXT_MAX, NULL, NULL);
	char *rest = text, *line;
	struct entry entry;

	while (text && (line = strtok_r(rest, "\n", &rest)))
		for (size_t i = 0; i < ARRAY_LEN(keys); i++)
			if (parse_v2(line, keys[i].key, keys[i].op, &entry) && put_entry(keys[i].bytes ? &bytes : &ios, &entry, e) < 0)
				return -1;
	if (put_list(out, comma, "ioServiceBytesRecursive", &bytes, e) < 0 || put_list(out, comma, "ioServicedRecursive", &ios, e) < 0)
		return -1;
	return report_pressure(h, "io.pressure", *comma, out, e);
}

int report_blkio(const struct cgroup *c, struct buf *out, struct err *e)
{
	const struct hierarchy *h = cgroup_hierarchy_of(c, CONTROLLER_IO);
	const char *comma = "";

	if (buf_puts(out, ",\"blkio\":{", e) < 0)
		return -1;
	if (h && (h->unified ? put_v2 : put_v1)(h, &comma, out, e) < 0)
		return -1;
	return buf_puts(out, "}", e);
}
