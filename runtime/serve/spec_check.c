/* The form of a ContainerSpec: what is wrong here is wrong on every host.
 *
 * Each check takes one part of the spec. Lists may hold at most as many items as LISTS says, texts no control characters: nothing that comes later
 * has to think of a newline in a hostname. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "base/path.h"
#include "base/str.h"
#include "proto/json.h"
#include "proto/limits.h"
#include "runtime/landlock.h"
#include "runtime/serve/policy.h"
#include "runtime/supervise/supervise.h"

struct policy_field policy_field_at(const char *list, size_t index, const char *member)
{
	struct policy_field f;
	snprintf(f.s, sizeof(f.s), "%s[%zu]%s%s", list, index, member ? "." : "", member ? member : "");
	return f;
}

static int check_text(const char *s, const char *field, struct err *e)
{
	if (strlen(s) > SPEC_TEXT_MAX)
		return err_field(e, field, "is longer than %d bytes", SPEC_TEXT_MAX);
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			return err_field(e, field, "has a control character");
	return 0;
}

/* A path that is written as the kernel would tell it. */
static int check_path(const char *s, const char *field, struct err *e)
{
	if (check_text(s, field, e) < 0)
		return -1;
	if (s[0] != '/')
		return err_field(e, field, "%s is no absolute path", s);
	auto_free char *plain = path_join(e, "/", s);
	if (!plain || !str_eq(plain, s))
		return err_field(e, field, "%s is no plain path (no '..', '.', '//' or '/' at its end)", s);
	return 0;
}

#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define DIGITS "0123456789"

/* 1 to max letters (if `letters`), digits and characters of `others`. */
static int check_charset(const char *s, bool letters, const char *others, size_t max, const char *field, struct err *e)
{
	size_t n = strlen(s), good = 0;
	while (s[good] && (strchr(letters ? ALNUM : DIGITS, s[good]) || strchr(others, s[good])))
		good++;
	if (n == 0 || n > max || good != n)
		return err_field(e, field, "must have 1 to %zu %sdigits and '%s'", max, letters ? "letters, " : "", others);
	return 0;
}

static int check_names(const Davit__ContainerSpec *s, struct err *e)
{
	if (str_check_name(s->name, "name", e) < 0)
		return -1;
	if (!s->image)
		return err_field(e, "image", "is missing");
	if (str_check_name(s->image, "image", e) < 0)
		return -1;
	if (s->hostname && check_charset(s->hostname, true, "-.", 63, "hostname", e) < 0)
		return -1;
	return s->domainname ? check_charset(s->domainname, true, "-.", 63, "domainname", e) : 0;
}

static int check_env(const Davit__ProcessSpec *p, const char *field, struct err *e)
{
	for (size_t i = 0; i < p->n_env; i++) {
		const char *eq = strchr(p->env[i], '=');
		if (!eq || eq == p->env[i])
			return err_field(e, field, "env[%zu] must be KEY=value", i);
	}
	return 0;
}

int policy_check_process(const Davit__ProcessSpec *p, const char *field, struct err *e)
{
	if (p->n_args == 0 || !*p->args[0])
		return err_field(e, field, "args must name a program");
	if (p->cwd && check_path(p->cwd, field, e) < 0)
		return -1;
	if (p->user && check_charset(p->user, true, "_.-:$", 128, field, e) < 0)
		return -1;
	for (size_t i = 0; i < p->n_additional_gids; i++)
		if (p->additional_gids[i] >= IDS_RANGE)
			return err_field(e, field, "additionalGids[%zu] must be below %d", i, IDS_RANGE);
	if (p->rows > UINT16_MAX || p->columns > UINT16_MAX)
		return err_field(e, field, "rows and columns must be below 65536");
	return check_env(p, field, e);
}

static int check_process(const Davit__ContainerSpec *s, struct err *e)
{
	if (!s->process)
		return err_field(e, "process", "is missing");
	return policy_check_process(s->process, "process", e);
}

static int check_limits(const Davit__ContainerSpec *s, struct err *e)
{
	const Davit__Limits *l = s->limits;
	if (!l)
		return 0;
	if (l->has_memory_bytes && (l->memory_bytes < (1 << 20) || l->memory_bytes > INT64_MAX))
		return err_field(e, "limits.memoryBytes", "must be at least 1 MiB");
	if (l->has_memory_swap_bytes && (!l->has_memory_bytes || l->memory_swap_bytes < l->memory_bytes || l->memory_swap_bytes > INT64_MAX))
		return err_field(e, "limits.memorySwapBytes", "counts memory and swap: it needs memoryBytes and cannot be smaller");
	if (l->has_memory_reservation_bytes && l->memory_reservation_bytes > INT64_MAX)
		return err_field(e, "limits.memoryReservationBytes", "is too large");
	if (l->has_cpu_millis && (l->cpu_millis < 10 || l->cpu_millis > 1000000))
		return err_field(e, "limits.cpuMillis", "must be 10 to 1000000");
	if (l->has_cpu_shares && (l->cpu_shares < 2 || l->cpu_shares > 262144))
		return err_field(e, "limits.cpuShares", "must be 2 to 262144");
	if (l->has_pids && l->pids == 0)
		return err_field(e, "limits.pids", "must be at least 1");
	if (l->has_io_weight && (l->io_weight < 10 || l->io_weight > 1000))
		return err_field(e, "limits.ioWeight", "must be 10 to 1000");
	if (l->cpuset_cpus && check_charset(l->cpuset_cpus, false, ",-", 1024, "limits.cpusetCpus", e) < 0)
		return -1;
	return l->cpuset_mems ? check_charset(l->cpuset_mems, false, ",-", 1024, "limits.cpusetMems", e) : 0;
}

/* Options that take rights away or bound a tmpfs; never one that gives (dev, suid, idmap, shared, …). */
static bool mount_option_known(const char *o, bool tmpfs)
{
	static const char *const plain[] = { "ro", "rw", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime", "sync" };
	static const char *const keyed[] = { "size=", "mode=", "nr_inodes=", "uid=", "gid=" };
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		if (str_eq(o, plain[i]))
			return true;
	for (size_t i = 0; tmpfs && i < ARRAY_LEN(keyed); i++)
		if (str_prefix(o, keyed[i])) {
			const char *v = o + strlen(keyed[i]);
			return *v && strspn(v, "0123456789kmgKMG%") == strlen(v);
		}
	return false;
}

static int check_mount_target(const Davit__SpecMount *m, const char *field, struct err *e)
{
	static const char *const ours[] = { "/proc", "/sys", "/dev" };
	if (check_path(m->target, field, e) < 0)
		return -1;
	if (str_eq(m->target, "/"))
		return err_field(e, field, "cannot be /");
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (str_prefix(m->target, ours[i]) && strchr("/", m->target[strlen(ours[i])]))
			return err_field(e, field, "cannot lie in %s", ours[i]);
	return 0;
}

static int check_mount(const Davit__SpecMount *m, size_t i, struct err *e)
{
	bool tmpfs = str_eq(m->type, "tmpfs");
	if (!tmpfs && !str_eq(m->type, "bind"))
		return err_field(e, policy_field_at("mounts", i, "type").s, "must be bind or tmpfs, not %s", m->type);
	if (check_mount_target(m, policy_field_at("mounts", i, "target").s, e) < 0)
		return -1;
	struct policy_field source = policy_field_at("mounts", i, "source");
	if (tmpfs == (m->source != NULL))
		return err_field(e, source.s, "%s", tmpfs ? "a tmpfs has no source" : "is missing");
	if (!tmpfs && check_path(m->source, source.s, e) < 0)
		return -1;
	for (size_t k = 0; k < m->n_options; k++)
		if (!mount_option_known(m->options[k], tmpfs))
			return err_field(e, policy_field_at("mounts", i, "options").s, "%.64s cannot be given to a %s mount", m->options[k], m->type);
	return 0;
}

static int check_mounts(const Davit__ContainerSpec *s, struct err *e)
{
	for (size_t i = 0; i < s->n_mounts; i++)
		if (check_mount(s->mounts[i], i, e) < 0)
			return -1;
	return 0;
}

/* Those that bound a container; RTPRIO, RTTIME and NICE would give it a claim on the host's CPUs. */
static int check_rlimits(const Davit__ContainerSpec *s, struct err *e)
{
	static const char *const known[] = { "AS",	 "CORE",   "CPU",   "DATA", "FSIZE",	  "LOCKS", "MEMLOCK",
					     "MSGQUEUE", "NOFILE", "NPROC", "RSS",  "SIGPENDING", "STACK" };
	for (size_t i = 0; i < s->n_rlimits; i++) {
		const Davit__SpecRlimit *r = s->rlimits[i];
		bool found = false;
		for (size_t k = 0; k < ARRAY_LEN(known); k++)
			found |= str_prefix(r->type, "RLIMIT_") && str_eq(r->type + 7, known[k]);
		if (!found)
			return err_field(e, policy_field_at("rlimits", i, "type").s, "%.32s cannot be set", r->type);
		if (r->soft > r->hard)
			return err_field(e, policy_field_at("rlimits", i, "soft").s, "is above the hard limit");
	}
	return 0;
}

static int check_devices(const Davit__ContainerSpec *s, struct err *e)
{
	for (size_t i = 0; i < s->n_devices; i++) {
		const Davit__SpecDevice *d = s->devices[i];
		if (check_path(d->path, policy_field_at("devices", i, "path").s, e) < 0)
			return -1;
		if (d->access && strspn(d->access, "rwm") != strlen(d->access))
			return err_field(e, policy_field_at("devices", i, "access").s, "must be made of r, w and m");
	}
	return 0;
}

static int check_sysctls(const Davit__ContainerSpec *s, struct err *e)
{
	for (size_t i = 0; i < s->n_sysctls; i++) {
		const Davit__KeyValue *kv = s->sysctls[i];
		struct policy_field f = policy_field_at("sysctls", i, NULL);
		if (check_charset(kv->key, true, "._-", 128, f.s, e) < 0)
			return -1;
		if (strstr(kv->key, "..") || kv->key[0] == '.')
			return err_field(e, f.s, "%s is no name of a sysctl", kv->key);
		if (!kv->value || check_text(kv->value, f.s, e) < 0)
			return err_field(e, f.s, "%s needs a value", kv->key);
	}
	return 0;
}

int policy_signal(const char *name, const char *field, struct err *e)
{
	uint64_t n = 0;
	if (str_to_u64(name, 1, 64, &n, field, NULL) == 0)
		return (int)n;
	const char *plain = str_prefix(name, "SIG") ? name + 3 : name;
	for (int i = 1; i < NSIG; i++) {
		const char *abbrev = sigabbrev_np(i);
		if (abbrev && str_eq(abbrev, plain))
			return i;
	}
	return err_field(e, field, "%.32s is no signal", name);
}

static int check_rest(const Davit__ContainerSpec *s, struct err *e)
{
	if (s->stop_signal && policy_signal(s->stop_signal, "stopSignal", e) < 0)
		return -1;
	if (s->has_oom_score_adj && (s->oom_score_adj < 0 || s->oom_score_adj > 1000))
		return err_field(e, "oomScoreAdj", "must be 0 to 1000");
	if (s->has_log_max_bytes && (s->log_max_bytes < 4096 || s->log_max_bytes > (1ULL << 30)))
		return err_field(e, "logMaxBytes", "must be 4 KiB to 1 GiB");
	if (s->has_log_max_files && (s->log_max_files < 1 || s->log_max_files > 100))
		return err_field(e, "logMaxFiles", "must be 1 to 100");
	for (size_t i = 0; i < s->n_labels; i++)
		if (!*s->labels[i]->key)
			return err_field(e, policy_field_at("labels", i, NULL).s, "has an empty name");
	return 0;
}

static int check_counts(const Davit__ContainerSpec *s, struct err *e)
{
	const ProtobufCMessageDescriptor *d = s->base.descriptor;
	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];
		char member[64];
		size_t max = f->label == PROTOBUF_C_LABEL_REPEATED ? limits_of_list(d, json_name(f, member)) : 0;
		size_t n = max ? *(const size_t *)((const char *)s + f->quantifier_offset) : 0;
		if (n <= max)
			continue;
		err_set(e, ERR_LIMIT, 0, "%s has %zu items, at most %zu are allowed", member, n, max);
		if (e)
			snprintf(e->field, sizeof(e->field), "%s", member);
		return -1;
	}
	return 0;
}

static int check_guards(const Davit__ContainerSpec *s, struct err *e)
{
	if (s->seccomp_supervisor && supervise_check(s->seccomp_supervisor, "seccompSupervisor", e) < 0)
		return -1;
	return s->landlock ? landlock_check(s->landlock, "landlock", e) : 0;
}

int spec_check(const Davit__ContainerSpec *s, struct err *e)
{
	static int (*const checks[])(const Davit__ContainerSpec *, struct err *) = {
		check_counts,  check_names,   check_process, check_limits, check_mounts,
		check_rlimits, check_devices, check_sysctls, check_rest,   check_guards,
	};
	for (size_t i = 0; i < ARRAY_LEN(checks); i++)
		if (checks[i](s, e) < 0)
			return -1;
	return 0;
}
