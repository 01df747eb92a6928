/* The kernel's part of the facts: uname(2), /proc/cpuinfo, /proc/meminfo, /proc/self/ns, statvfs(3), and two interfaces that only a try can tell of.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "proto/pb.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/landlock.h"
#include "runtime/lsm.h"
#include "runtime/serve/facts.h"

#define PROC_FILE_MAX (4 << 20)
/* Newer than the headers of Debian 12: include/uapi/linux/userfaultfd.h, fs.h (Linux 6.7). */
#define WP_ASYNC (1ULL << 15)
#define PAGEMAP_SCAN_CALL _IOC(_IOC_READ | _IOC_WRITE, 'f', 16, 96)

static int add_strings(size_t *n, char ***list, const struct strv *from, struct err *e)
{
	for (size_t i = 0; i < from->n; i++)
		if (pb_push_str(n, list, from->v[i], e) < 0)
			return -1;
	return 0;
}

static int add_names(Davit__HostFacts *f, struct err *e)
{
	auto_strv struct strv controllers = { 0 }, lsms = { 0 }, details = { 0 };
	int version = cgroup_host_version(NULL);
	f->has_cgroup_version = version > 0;
	f->cgroup_version = version > 0 ? (uint32_t)version : 0;
	if (cgroup_host_controllers(&controllers, e) < 0 || lsm_list(&lsms, e) < 0 || lsm_details(&details, e) < 0)
		return -1;
	if (add_strings(&f->n_cgroup_controllers, &f->cgroup_controllers, &controllers, e) < 0)
		return -1;
	f->has_landlock_abi = true;
	f->landlock_abi = (uint32_t)landlock_abi();
	return add_strings(&f->n_lsms, &f->lsms, &lsms, e) < 0 ? -1 : add_strings(&f->n_lsm_details, &f->lsm_details, &details, e);
}

static int add_namespaces(Davit__HostFacts *f, struct err *e)
{
	static const char *const names[] = { "cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char path[64];
		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		if (access(path, F_OK) == 0 && pb_push_str(&f->n_namespaces, &f->namespaces, names[i], e) < 0)
			return -1;
	}
	return 0;
}

static int add_uname(Davit__HostFacts *f, struct err *e)
{
	struct utsname u;
	if (uname(&u) < 0)
		return err_sys(e, errno, "uname");
	if (pb_set_str(&f->hostname, u.nodename, e) < 0 || pb_set_str(&f->kernel, u.release, e) < 0 || pb_set_str(&f->machine, u.machine, e) < 0)
		return -1;
	return pb_set_str(&f->davit_version, DAVIT_VERSION, e);
}

/* Of the first CPU: "flags" on x86, "Features" on arm64. */
static int add_cpu_flags(Davit__HostFacts *f, struct err *e)
{
	size_t n = 0;
	auto_free char *text = file_read(AT_FDCWD, "/proc/cpuinfo", PROC_FILE_MAX, &n, e);
	if (!text)
		return -1;
	char *line = strstr(text, "\nflags");
	if (!line)
		line = strstr(text, "\nFeatures");
	char *end = line ? strchr(line + 1, '\n') : NULL, *colon = line ? strchr(line, ':') : NULL;
	if (!colon || !end)
		return 0;
	*end = 0;
	for (char *save = NULL, *w = strtok_r(colon + 1, " ", &save); w; w = strtok_r(NULL, " ", &save))
		if (pb_push_str(&f->n_cpu_flags, &f->cpu_flags, w, e) < 0)
			return -1;
	return 0;
}

static uint64_t meminfo(const char *text, const char *key)
{
	const char *line = strstr(text, key);
	return line ? strtoull(line + strlen(key), NULL, 10) * 1024 : 0;
}

uint64_t facts_memory_available(void)
{
	size_t n = 0;
	auto_free char *text = file_read(AT_FDCWD, "/proc/meminfo", PROC_FILE_MAX, &n, NULL);
	return text ? meminfo(text, "MemAvailable:") : 0;
}

static int add_sizes(const struct core *c, Davit__HostFacts *f, struct err *e)
{
	struct statvfs v;
	size_t n = 0;
	auto_free char *text = file_read(AT_FDCWD, "/proc/meminfo", PROC_FILE_MAX, &n, e);
	if (!text)
		return -1;
	if (statvfs(c->state_dir, &v) < 0)
		return err_sys(e, errno, "statvfs %s", c->state_dir);
	f->has_memory_total = f->has_memory_available = f->has_disk_available = f->has_cpus = true;
	f->memory_total = meminfo(text, "MemTotal:");
	f->memory_available = meminfo(text, "MemAvailable:");
	f->disk_available = (uint64_t)v.f_bavail * v.f_frsize;
	f->cpus = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	return 0;
}

/* An empty request: a kernel that knows the call finds fault with it otherwise than by ENOTTY. */
static bool has_pagemap_scan(void)
{
	uint64_t none[12] = { 0 };
	auto_close int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	return fd >= 0 && (ioctl(fd, PAGEMAP_SCAN_CALL, none) == 0 || errno != ENOTTY);
}

static bool has_wp_async(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = WP_ASYNC };
	auto_close int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	return fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0;
}

int facts_kernel(const struct core *c, Davit__HostFacts *f, struct err *e)
{
	f->has_memory_tracking = true;
	f->memory_tracking = has_wp_async() && has_pagemap_scan();
	if (add_uname(f, e) < 0 || add_names(f, e) < 0 || add_namespaces(f, e) < 0)
		return -1;
	return add_cpu_flags(f, e) < 0 ? -1 : add_sizes(c, f, e);
}
