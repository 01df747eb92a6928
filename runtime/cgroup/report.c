/* What cgroups count of a container, in the JSON of runc's `events`, and the wait for its next lack of memory. Sources: kernel
 * Documentation/admin-guide/cgroup-v1/memory.rst ("OOM Control") and cgroup-v2.rst; runc's types/events.go. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "runtime/cgroup/internal.h"

uint64_t report_counter(const struct hierarchy *h, const char *file, const char *key, uint64_t factor)
{
	int64_t n = cgroup_read_key(h->fd, file, key);

	return n < 0 ? 0 : (uint64_t)n * factor;
}

/* Without a limit: "max" on v2, as runc the largest number. */
static uint64_t limit(const struct hierarchy *h, const char *file)
{
	int64_t n = cgroup_read_key(h->fd, file, NULL);

	return n < 0 ? UINT64_MAX : (uint64_t)n;
}

static int put_percpu(const struct hierarchy *account, struct buf *out, struct err *e)
{
	auto_free char *text = file_read(account->fd, "cpuacct.usage_percpu", REPORT_TEXT_MAX, NULL, NULL);
	char *rest = text, *word;
	const char *comma = "";

	if (buf_puts(out, ",\"percpu\":[", e) < 0)
		return -1;
	while (text && (word = strtok_r(rest, " \n", &rest))) {
		if (buf_printf(out, e, "%s%" PRIu64, comma, (uint64_t)strtoull(word, NULL, 10)) < 0)
			return -1;
		comma = ",";
	}
	return buf_puts(out, "]", e);
}

/* Of lines "cpu user system", below a heading. */
static int put_percpu_of(const struct hierarchy *account, const char *name, bool system, struct buf *out, struct err *e)
{
	auto_free char *text = file_read(account->fd, "cpuacct.usage_all", REPORT_TEXT_MAX, NULL, NULL);
	char *rest = text, *line;
	const char *comma = "";
	uint64_t user, kernel;

	if (!text)
		return 0;
	if (buf_printf(out, e, ",\"%s\":[", name) < 0)
		return -1;
	while ((line = strtok_r(rest, "\n", &rest))) {
		if (sscanf(line, "%*u %" SCNu64 " %" SCNu64, &user, &kernel) != 2)
			continue;
		if (buf_printf(out, e, "%s%" PRIu64, comma, system ? kernel : user) < 0)
			return -1;
		comma = ",";
	}
	return buf_puts(out, "]", e);
}

static int put_cpu(const struct cgroup *c, struct buf *out, struct err *e)
{
	const struct hierarchy *h = cgroup_hierarchy_of(c, CONTROLLER_CPU), *account = cgroup_hierarchy_of(c, CONTROLLER_CPUACCT);
	uint64_t total = 0, kernel = 0, user = 0, periods = 0, throttled = 0, time = 0;

	if (account) {
		total = report_counter(account, "cpuacct.usage", NULL, 1);
		kernel = report_counter(account, "cpuacct.stat", "system", UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK));
		user = report_counter(account, "cpuacct.stat", "user", UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK));
	} else if (h) {
		total = report_counter(h, "cpu.stat", "usage_usec", 1000);
		kernel = report_counter(h, "cpu.stat", "system_usec", 1000);
		user = report_counter(h, "cpu.stat", "user_usec", 1000);
	}
	if (h) {
		periods = report_counter(h, "cpu.stat", "nr_periods", 1);
		throttled = report_counter(h, "cpu.stat", "nr_throttled", 1);
		time = h->unified ? report_counter(h, "cpu.stat", "throttled_usec", 1000) : report_counter(h, "cpu.stat", "throttled_time", 1);
	}
	if (buf_printf(out, e, "\"cpu\":{\"usage\":{\"total\":%" PRIu64, total) < 0)
		return -1;
	if (account && (put_percpu(account, out, e) < 0 || put_percpu_of(account, "percpu_kernel", true, out, e) < 0 ||
			put_percpu_of(account, "percpu_user", false, out, e) < 0))
		return -1;
	if (buf_printf(out, e,
		       ",\"kernel\":%" PRIu64 ",\"user\":%" PRIu64 "},\"throttling\":{\"periods\":%" PRIu64 ",\"throttledPeriods\":%" PRIu64
		       ",\"throttledTime\":%" PRIu64 "}",
		       kernel, user, periods, throttled, time) < 0)
		return -1;
	return report_pressure(h, "cpu.pressure", ",", out, e) < 0 ? -1 : buf_puts(out, "}", e);
}

/* The lines "key number" of memory.stat as members of one object. */
static int put_raw(const struct hierarchy *h, struct buf *out, struct err *e)
{
	auto_free char *text = file_read(h->fd, "memory.stat", REPORT_TEXT_MAX, NULL, NULL);
	char *rest = text, *line, key[64];
	const char *comma = "";
	uint64_t n;

	if (buf_puts(out, ",\"raw\":{", e) < 0)
		return -1;
	while (text && (line = strtok_r(rest, "\n", &rest))) {
		if (sscanf(line, "%63[a-z0-9_] %" SCNu64, key, &n) != 2)
			continue;
		if (buf_printf(out, e, "%s\"%s\":%" PRIu64, comma, key, n) < 0)
			return -1;
		comma = ",";
	}
	return buf_puts(out, "}", e);
}

static int put_usage(struct buf *out, const char *name, uint64_t most, uint64_t usage, uint64_t peak, uint64_t failures, struct err *e)
{
	return buf_printf(out, e, ",\"%s\":{\"limit\":%" PRIu64 ",\"usage\":%" PRIu64 ",\"max\":%" PRIu64 ",\"failcnt\":%" PRIu64 "}", name, most,
			  usage, peak, failures);
}

static int put_usage_v1(const struct hierarchy *h, struct buf *out, const char *name, const char *prefix, struct err *e)
{
	static const char *const suffixes[] = { "limit_in_bytes", "usage_in_bytes", "max_usage_in_bytes", "failcnt" };
	char file[64];
	uint64_t v[4];

	for (int i = 0; i < 4; i++) {
		snprintf(file, sizeof(file), "memory.%s%s", prefix, suffixes[i]);
		v[i] = report_counter(h, file, NULL, 1);
	}
	return put_usage(out, name, v[0], v[1], v[2], v[3], e);
}

/* v2 counts swap alone; runc's figures are of memory and swap together. */
static int put_usage_v2(const struct hierarchy *h, struct buf *out, struct err *e)
{
	uint64_t usage = report_counter(h, "memory.current", NULL, 1), most = limit(h, "memory.max"), swap = limit(h, "memory.swap.max");
	uint64_t both = most == UINT64_MAX || swap == UINT64_MAX ? UINT64_MAX : most + swap;

	if (put_usage(out, "usage", most, usage, report_counter(h, "memory.peak", NULL, 1), report_counter(h, "memory.events", "max", 1), e) < 0)
		return -1;
	return put_usage(out, "swap", both, usage + report_counter(h, "memory.swap.current", NULL, 1), 0, 0, e);
}

static int put_memory(const struct cgroup *c, struct buf *out, struct err *e)
{
	const struct hierarchy *h = cgroup_hierarchy_of(c, CONTROLLER_MEMORY);

	if (!h)
		return buf_puts(out, ",\"memory\":{}", e);
	if (buf_printf(out, e, ",\"memory\":{\"cache\":%" PRIu64, report_counter(h, "memory.stat", h->unified ? "file" : "cache", 1)) < 0)
		return -1;
	if (h->unified ? put_usage_v2(h, out, e) < 0
		       : put_usage_v1(h, out, "usage", "", e) < 0 || put_usage_v1(h, out, "swap", "memsw.", e) < 0 ||
			     put_usage_v1(h, out, "kernel", "kmem.", e) < 0 || put_usage_v1(h, out, "kernelTCP", "kmem.tcp.", e) < 0)
		return -1;
	return put_raw(h, out, e) < 0 || report_pressure(h, "memory.pressure", ",", out, e) < 0 ? -1 : buf_puts(out, "}", e);
}

static int put_pids(const struct cgroup *c, struct buf *out, struct err *e)
{
	const struct hierarchy *h = cgroup_hierarchy_of(c, CONTROLLER_PIDS);
	int64_t most = h ? cgroup_read_key(h->fd, "pids.max", NULL) : -1;

	if (buf_printf(out, e, ",\"pids\":{\"current\":%" PRIu64, h ? report_counter(h, "pids.current", NULL, 1) : 0) < 0)
		return -1;
	return most < 0 ? buf_puts(out, "}", e) : buf_printf(out, e, ",\"limit\":%" PRId64 "}", most);
}

int cgroup_report(const struct cgroup *c, struct buf *out, struct err *e)
{
	if (buf_puts(out, "{", e) < 0 || put_cpu(c, out, e) < 0 || report_cpuset(c, out, e) < 0 || put_memory(c, out, e) < 0 ||
	    put_pids(c, out, e) < 0)
		return -1;
	if (report_blkio(c, out, e) < 0 || report_hugetlb(c, out, e) < 0)
		return -1;
	return buf_puts(out, ",\"intel_rdt\":{},\"network_interfaces\":null}", e);
}

static int watch_v1(const struct hierarchy *h, struct err *e)
{
	auto_close int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	auto_close int control = openat(h->fd, "memory.oom_control", O_RDONLY | O_CLOEXEC);
	auto_close int events = openat(h->fd, "cgroup.event_control", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || control < 0 || events < 0 || dprintf(events, "%d %d", fd, control) < 0)
		return err_sys(e, errno, "watch memory.oom_control");
	return steal_fd(&fd);
}

int cgroup_oom_watch(const struct cgroup *c, struct err *e)
{
	const struct hierarchy *h = cgroup_hierarchy_of(c, CONTROLLER_MEMORY);
	char path[64];

	if (!h)
		return err_set(e, ERR_UNSUPPORTED, 0, "no memory controller");
	if (!h->unified)
		return watch_v1(h, e);
	auto_close int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	snprintf(path, sizeof(path), "/proc/self/fd/%d/memory.events", h->fd);
	if (fd < 0 || inotify_add_watch(fd, path, IN_MODIFY) < 0)
		return err_sys(e, errno, "watch memory.events");
	return steal_fd(&fd);
}
