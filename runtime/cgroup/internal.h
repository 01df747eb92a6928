/* What the files of runtime/cgroup share: the hierarchies of a container, and the plan of writes that resources turn into.
 *
 * Resources become a plan first (plan_v1.c, plan_v2.c: pure, so that tests read it), then apply.c carries it out. Each step knows the field of
 * config.json it comes from, so that whatever the kernel refuses is told by that name. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/fd.h"
#include "base/str.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/schedule.h"

enum controller {
	CONTROLLER_CPU,
	CONTROLLER_CPUACCT,
	CONTROLLER_CPUSET,
	CONTROLLER_MEMORY,
	CONTROLLER_IO, /* blkio on v1 */
	CONTROLLER_DEVICES,
	CONTROLLER_FREEZER,
	CONTROLLER_PIDS,
	CONTROLLER_HUGETLB,
	CONTROLLER_NET_CLS,
	CONTROLLER_NET_PRIO,
	CONTROLLER_RDMA,
	CONTROLLER_PERF_EVENT,
	CONTROLLER_MISC,
	CONTROLLER_COUNT
};
#define CONTROLLER_BIT(c) (1U << (c))

const char *controller_name(enum controller c, bool unified);
/* The bits of a list split at any of `separators`; names that are not in the table are passed over. */
unsigned controller_parse(const char *list, const char *separators);

#define REMEDY_DELEGATION "run it as root, or in a cgroup that is yours: `systemd-run --user --scope -p Delegate=yes …`, or --systemd-cgroup"

/* One mounted hierarchy and the container's folder in it. */
struct hierarchy {
	bool unified;
	unsigned controllers; /* bits of enum controller; on v2 those of cgroup.controllers, and devices and freezer, which are built in */
	char *name;	      /* as in /proc/self/cgroup: "memory", "cpu,cpuacct", "name=systemd"; "" for v2 */
	char *mount;	      /* mount point; NULL when opened from a state */
	char *own;	      /* the caller's own cgroup below the mount point, "" for the root */
	char *path;	      /* absolute path of the container's folder */
	int fd;		      /* O_PATH of it, or -1 */
	size_t made;	      /* how many folders of path were made by us: 1 is the last only */
};

#define HIERARCHY_MAX 20
struct cgroup {
	struct hierarchy h[HIERARCHY_MAX];
	size_t n;
	char *unit;   /* of systemd (systemd.h), or NULL */
	bool user;    /* of the user's systemd */
	pid_t holder; /* our child that keeps the scope alive, or 0 */
};

/* Every mounted hierarchy, found in one reading of /proc/self/mountinfo and /proc/self/cgroup. */
int host_find(struct cgroup *out, struct err *e);
/* As host_find, from the texts of both files (tests). Does not look into cgroup.controllers. */
int host_parse(const char *mountinfo, const char *self_cgroup, struct cgroup *out, struct err *e);
void cgroup_clear(struct cgroup *c);
struct hierarchy *cgroup_hierarchy_of(const struct cgroup *c, enum controller controller);

enum step_kind {
	STEP_MUST,
	STEP_EITHER,	     /* of the steps of one field those whose file exists are written; one must be */
	STEP_ABSENT_IS_FINE, /* without the file the value holds anyhow */
};

/* One file to write. */
struct step {
	enum step_kind kind;
	enum controller controller;
	bool unified;	/* which of the two versions it is for */
	char field[96]; /* "linux.resources.memory.limit" */
	char file[96];
	char *value; /* owned */
	bool done;
};

/* Steps in the order in which they are tried. The first failure sticks: e is set, further steps are not added. */
struct plan {
	struct step *v;
	size_t n, cap;
	bool unified; /* of the steps that are added */
	bool failed;
	struct err *e;
};
void plan_free(struct plan *p);
#define auto_plan auto_cleanup(plan_free)

/* What the kernel has now, needed where one value is made of two fields. */
struct plan_now {
	int64_t memory_limit; /* -1: none */
	char quota[24];	      /* first word of cpu.max */
};

/* field: below linux.resources. */
void plan_add(struct plan *p, enum step_kind kind, enum controller c, const char *field, const char *file, const char *value_format, ...)
    __attribute__((format(printf, 6, 7)));
/* ERR_UNSUPPORTED with the field. */
void plan_refuse(struct plan *p, const char *field, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Names and numbers that no kernel need be asked about (ERR_INVALID, ERR_RANGE with the field). */
int plan_check(const Davit__OciResources *r, struct err *e);
/* The controllers that r needs. */
unsigned plan_controllers(const Davit__OciResources *r);
/* Add the steps of r for the controllers of `mask`. Errors are in p. */
void plan_same(const Davit__OciResources *r, unsigned mask, struct plan *p); /* what both versions call the same; both call it */
void plan_v1(const Davit__OciResources *r, unsigned mask, struct plan *p);
void plan_v2(const Davit__OciResources *r, unsigned mask, const struct plan_now *now, struct plan *p);
int plan_apply(const struct cgroup *c, struct plan *p, struct err *e);
/* All of r but the devices. */
int resources_apply(const struct cgroup *c, const Davit__OciResources *r, struct err *e);

/* cpu.shares (2..262144, default 1024) to cpu.weight (1..10000, default 100) so that both defaults meet, as runc and crun do since 2025:
 * 10 ^ ((l² + 125 l) / 612 - 7/34) with l = log2(shares), rounded up. */
uint64_t weight_of_shares(uint64_t shares);
/* A list of CPUs or memory nodes as the kernel takes and prints it, "0-2,5\n", up to where it is none: unlike schedule_cpus_parse(), which judges a
 * spec's. Returns the highest number and one. */
unsigned cgroup_list_read(const char *list, struct schedule_cpus *out);
/* blkio weight (10..1000) to io.weight (1..10000). */
uint64_t io_weight_of_blkio(uint64_t weight);

/* Device rules in the order of their weight: the last that matches decides, for each of read, write and mknod. */
enum { DEVICE_MKNOD = 1, DEVICE_READ = 2, DEVICE_WRITE = 4, DEVICE_ALL = 7 }; /* as BPF_DEVCG_ACC_* */
struct device_rule {
	bool allow;
	char type;	      /* 'b' or 'c' */
	int64_t major, minor; /* -1: any */
	unsigned access;      /* DEVICE_* bits */
	int index;	      /* of linux.resources.devices, -1: a default one */
};
struct device_rules {
	bool allow; /* what holds where no rule matches */
	struct device_rule *v;
	size_t n, cap;
};
void device_rules_free(struct device_rules *d);
#define auto_device_rules auto_cleanup(device_rules_free)
int device_rules_build(const Davit__OciDeviceRule *const *rules, size_t n, struct device_rules *out, struct err *e);
/* The same as exceptions from out->allow that do not overlap, which is all that v1 can hold (ERR_UNSUPPORTED where it cannot). */
int device_rules_flatten(const struct device_rules *d, struct device_rules *out, struct err *e);
int devices_v1_apply(const struct hierarchy *h, const struct device_rules *d, struct err *e);
struct bpf_insn;
/* The program for rules; owned array, *n its length. */
struct bpf_insn *devices_v2_program(const struct device_rules *d, size_t *n, struct err *e);
int devices_v2_apply(const struct hierarchy *h, const struct device_rules *d, bool fresh, struct err *e);
int devices_apply(const struct cgroup *c, Davit__OciDeviceRule **rules, size_t n, bool fresh, struct err *e);

/* Fills cpuset.cpus and cpuset.mems of a v1 folder from the folders above where they are empty. */
int cpuset_v1_inherit(const struct hierarchy *h, struct err *e);
/* Makes h->path below h->mount (h->made counts), gives it its controllers, opens it. */
int hierarchy_make(struct hierarchy *h, struct err *e);
int hierarchy_open(struct hierarchy *h, struct err *e);
/* Takes away again what hierarchy_make made. */
void hierarchy_unmake(struct hierarchy *h);
/* Number behind `key ` in a file of lines "key number"; -1 if it is not there. key NULL: the file is the number alone ("max" is -1). */
int64_t cgroup_read_key(int dirfd, const char *file, const char *key);
/* Calls f for a folder and all below it, the deepest first; parent and name are the folder's place (name NULL for the first). Stops at the first
 * non-zero result, which it returns. */
int cgroup_walk(int dirfd, int (*f)(int dirfd, int parent, const char *name, void *arg), void *arg);
/* Whether a folder's own cgroup.procs names a process. */
bool cgroup_has_process(int dirfd);
/* The parts of cgroup_report() (report.c): each appends a member with a comma before it, or nothing. */
#define REPORT_TEXT_MAX (256 << 10)
/* As cgroup_read_key, times `factor`; 0 if it is not there. */
uint64_t report_counter(const struct hierarchy *h, const char *file, const char *key, uint64_t factor);
int report_cpuset(const struct cgroup *c, struct buf *out, struct err *e);
int report_hugetlb(const struct cgroup *c, struct buf *out, struct err *e);
int report_blkio(const struct cgroup *c, struct buf *out, struct err *e);
/* …with `comma` before it. */
int report_pressure(const struct hierarchy *h, const char *file, const char *comma, struct buf *out, struct err *e);
/* The hierarchy in which processes are listed, frozen and signalled. */
const struct hierarchy *cgroup_process_hierarchy(const struct cgroup *c);
/* Sleeps for *us and doubles it up to `max`. False once `deadline` (CLOCK_MONOTONIC, ns) has passed. */
bool cgroup_pause(unsigned *us, unsigned max, int64_t deadline);
