/* What cgroups count of a container. Fields that no controller at hand knows stay absent. */
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "proto/pb.h"
#include "core.pb-c.h"
#include "runtime/cgroup/internal.h"

#define IO_FILE_MAX (256 << 10)
#define V1_NO_LIMIT (INT64_MAX / 4096 * 4096) /* memory.limit_in_bytes without one: LONG_MAX rounded down to pages */

#define FILL(field, read)                                                                                                                            \
	do {                                                                                                                                         \
		int64_t value_ = (read);                                                                                                             \
		out->has_##field = value_ >= 0;                                                                                                      \
		out->field = value_ >= 0 ? (uint64_t)value_ : 0;                                                                                     \
	} while (0)

static int64_t scaled(int64_t value, int64_t factor)
{
	return value < 0 ? -1 : value * factor;
}

static void cpu(const struct cgroup *c, Davit__ContainerStats *out)
{
	const struct hierarchy *h = cgroup_hierarchy_of(c, CONTROLLER_CPU);
	const struct hierarchy *account = cgroup_hierarchy_of(c, CONTROLLER_CPUACCT);
	if (account)
		FILL(cpu_ns, cgroup_read_key(account->fd, "cpuacct.usage", NULL));
	else if (h && h->unified)
		FILL(cpu_ns, scaled(cgroup_read_key(h->fd, "cpu.stat", "usage_usec"), 1000));
	if (h && h->unified)
		FILL(cpu_throttled_ns, scaled(cgroup_read_key(h->fd, "cpu.stat", "throttled_usec"), 1000));
	else if (h)
		FILL(cpu_throttled_ns, cgroup_read_key(h->fd, "cpu.stat", "throttled_time"));
}

static void memory(const struct cgroup *c, Davit__ContainerStats *out)
{
	const struct hierarchy *h = cgroup_hierarchy_of(c, CONTROLLER_MEMORY);
	if (!h)
		return;
	FILL(memory_bytes, cgroup_read_key(h->fd, h->unified ? "memory.current" : "memory.usage_in_bytes", NULL));
	int64_t limit = cgroup_read_key(h->fd, h->unified ? "memory.max" : "memory.limit_in_bytes", NULL);
	FILL(memory_limit_bytes, limit >= V1_NO_LIMIT ? -1 : limit);
	FILL(oom_kills, cgroup_oom_kills(c));
	FILL(memory_shared_bytes, cgroup_read_key(h->fd, "memory.stat", h->unified ? "shmem" : "total_shmem"));
	FILL(memory_locked_bytes, cgroup_read_key(h->fd, "memory.stat", h->unified ? "unevictable" : "total_unevictable"));
}

/* Adds up the numbers behind `key` in lines like "8:0 Read 4096" (v1) or "8:0 rbytes=4096 wbytes=0" (v2). */
static int64_t sum_of(const char *text, const char *key)
{
	int64_t sum = 0;
	size_t len = strlen(key);
	for (const char *p = text; (p = strstr(p, key)); p += len)
		sum += strtoll(p + len, NULL, 10);
	return sum;
}

static void io(const struct cgroup *c, Davit__ContainerStats *out)
{
	const struct hierarchy *h = cgroup_hierarchy_of(c, CONTROLLER_IO);
	size_t len;
	if (!h)
		return;
	const char *file = h->unified ? "io.stat" : "blkio.throttle.io_service_bytes_recursive";
	auto_free char *text = file_read(h->fd, file, IO_FILE_MAX, &len, NULL);
	if (!text)
		return;
	FILL(io_read_bytes, sum_of(text, h->unified ? " rbytes=" : " Read "));
	FILL(io_write_bytes, sum_of(text, h->unified ? " wbytes=" : " Write "));
}

int cgroup_stats(const struct cgroup *c, Davit__ContainerStats *out, struct err *e)
{
	const struct hierarchy *tasks = cgroup_hierarchy_of(c, CONTROLLER_PIDS);
	(void)e;
	cpu(c, out);
	memory(c, out);
	io(c, out);
	if (tasks) {
		FILL(pids, cgroup_read_key(tasks->fd, "pids.current", NULL));
		FILL(pids_limit, cgroup_read_key(tasks->fd, "pids.max", NULL));
	}
	return 0;
}

int64_t cgroup_oom_kills(const struct cgroup *c)
{
	const struct hierarchy *h = cgroup_hierarchy_of(c, CONTROLLER_MEMORY);
	int64_t n = h ? cgroup_read_key(h->fd, h->unified ? "memory.events" : "memory.oom_control", "oom_kill") : -1;
	return n < 0 ? 0 : n;
}
