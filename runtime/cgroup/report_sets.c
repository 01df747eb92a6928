/* The parts of `events` that are told by name or by list: CPUs and memory nodes, huge pages, devices, and the pressure that a cgroup is under (v2).
 * Sources: kernel Documentation/admin-guide/cgroup-v1/{cpusets,hugetlb,blkio-controller}.rst, cgroup-v2.rst and accounting/psi.rst; runc's
 * types/events.go. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "runtime/cgroup/internal.h"

/* "0-2,5" as [0,1,2,5]. */
static int put_list(struct buf *out, const char *name, const char *text, struct err *e)
{
	struct schedule_cpus set;
	unsigned end = cgroup_list_read(text, &set);
	const char *comma = "";

	if (buf_printf(out, e, "\"%s\":[", name) < 0)
		return -1;
	for (unsigned i = 0; i < end; i++) {
		if (!schedule_cpus_has(&set, i))
			continue;
		if (buf_printf(out, e, "%s%u", comma, i) < 0)
			return -1;
		comma = ",";
	}
	return buf_puts(out, "]", e);
}

static int put_list_of(const struct hierarchy *h, struct buf *out, const char *name, const char *file, struct err *e)
{
	auto_free char *text = file_read(h->fd, file, REPORT_TEXT_MAX, NULL, NULL);

	return put_list(out, name, text ? text : "", e);
}

int report_cpuset(const struct cgroup *c, struct buf *out, struct err *e)
{
	static const struct {
		const char *name, *file;
	} flags[] = {
		{ "cpu_exclusive", "cpuset.cpu_exclusive" },	       { "mem_hardwall", "cpuset.mem_hardwall" },
		{ "mem_exclusive", "cpuset.mem_exclusive" },	       { "memory_migrate", "cpuset.memory_migrate" },
		{ "memory_spread_page", "cpuset.memory_spread_page" }, { "memory_spread_slab", "cpuset.memory_spread_slab" },
		{ "memory_pressure", "cpuset.memory_pressure" },       { "sched_load_balance", "cpuset.sched_load_balance" },
	};
	const struct hierarchy *h = cgroup_hierarchy_of(c, CONTROLLER_CPUSET);

	if (!h)
		return 0;
	if (buf_puts(out, ",\"cpuset\":{", e) < 0 || put_list_of(h, out, "cpus", h->unified ? "cpuset.cpus.effective" : "cpuset.cpus", e) < 0 ||
	    buf_puts(out, ",", e) < 0 || put_list_of(h, out, "mems", h->unified ? "cpuset.mems.effective" : "cpuset.mems", e) < 0)
		return -1;
	for (size_t i = 0; !h->unified && i < ARRAY_LEN(flags); i++)
		if (buf_printf(out, e, ",\"%s\":%" PRIu64, flags[i].name, report_counter(h, flags[i].file, NULL, 1)) < 0)
			return -1;
	/* Its -1 is a value of its own: the kernel's choice. */
	if (!h->unified &&
	    buf_printf(out, e, ",\"sched_relax_domain_level\":%" PRId64, cgroup_read_key(h->fd, "cpuset.sched_relax_domain_level", NULL)) < 0)
		return -1;
	return buf_puts(out, "}", e);
}

/* Page size of a file's name "hugetlb.2MB.current", or false. Those of reservations are asked for by name. */
static bool page_size_of(const char *file, const char *suffix, char *size, size_t max)
{
	size_t len;

	if (!str_prefix(file, "hugetlb.") || !str_suffix(file, suffix))
		return false;
	len = strlen(file) - strlen("hugetlb.") - strlen(suffix);
	if (len == 0 || len >= max || memchr(file + strlen("hugetlb."), '.', len))
		return false;
	memcpy(size, file + strlen("hugetlb."), len);
	size[len] = 0;
	return true;
}

/* Of reservations where the kernel counts them, as runc. */
static int put_page_size(const struct hierarchy *h, const char *size, const char *comma, struct buf *out, struct err *e)
{
	static const char *const suffixes[2][3] = { { "usage_in_bytes", "max_usage_in_bytes", "failcnt" }, { "current", "", "events" } };
	const char *const *suffix = suffixes[h->unified];
	char probe[80], file[80];
	uint64_t v[3] = { 0 };

	snprintf(probe, sizeof(probe), "hugetlb.%s.rsvd.%s", size, suffix[0]);
	const char *reserved = faccessat(h->fd, probe, F_OK, 0) == 0 ? "rsvd." : "";
	for (int i = 0; i < 3; i++) {
		bool events = h->unified && i == 2;
		snprintf(file, sizeof(file), "hugetlb.%s.%s%s", size, events ? "" : reserved, suffix[i]);
		v[i] = *suffix[i] ? report_counter(h, file, events ? "max" : NULL, 1) : 0;
	}
	return buf_printf(out, e, "%s\"%s\":{\"usage\":%" PRIu64 ",\"max\":%" PRIu64 ",\"failcnt\":%" PRIu64 "}", comma, size, v[0], v[1], v[2]);
}

static int put_page_sizes(const struct hierarchy *h, DIR *dir, struct buf *out, struct err *e)
{
	const char *comma = "", *suffix = h->unified ? ".current" : ".usage_in_bytes";
	char size[32];

	for (struct dirent *entry; (entry = readdir(dir));) {
		if (!page_size_of(entry->d_name, suffix, size, sizeof(size)))
			continue;
		if (put_page_size(h, size, comma, out, e) < 0)
			return -1;
		comma = ",";
	}
	return 0;
}

int report_hugetlb(const struct cgroup *c, struct buf *out, struct err *e)
{
	const struct hierarchy *h = cgroup_hierarchy_of(c, CONTROLLER_HUGETLB);
	int fd = h ? openat(h->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int rc = buf_puts(out, ",\"hugetlb\":{", e);

	if (dir && rc == 0)
		rc = put_page_sizes(h, dir, out, e);
	if (dir)
		closedir(dir);
	else
		fd_closep(&fd);
	return rc < 0 ? -1 : buf_puts(out, "}", e);
}

/* Lines "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" and "full …". A kernel without PSI has no file, or cannot read it. */
int report_pressure(const struct hierarchy *h, const char *file, const char *comma, struct buf *out, struct err *e)
{
	auto_free char *text = h && h->unified ? file_read(h->fd, file, REPORT_TEXT_MAX, NULL, NULL) : NULL;
	char *rest = text, *line, kind[8];
	const char *next = "";
	double avg[3];
	uint64_t total;

	if (!text || !*text)
		return 0;
	if (buf_printf(out, e, "%s\"psi\":{", comma) < 0)
		return -1;
	while ((line = strtok_r(rest, "\n", &rest))) {
		if (sscanf(line, "%7[a-z] avg10=%lf avg60=%lf avg300=%lf total=%" SCNu64, kind, &avg[0], &avg[1], &avg[2], &total) != 5)
			continue;
		if (buf_printf(out, e, "%s\"%s\":{\"avg10\":%.2f,\"avg60\":%.2f,\"avg300\":%.2f,\"total\":%" PRIu64 "}", next, kind, avg[0], avg[1],
			       avg[2], total) < 0)
			return -1;
		next = ",";
	}
	return buf_puts(out, "}", e);
}
