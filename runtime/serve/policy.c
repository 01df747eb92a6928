/* The host's policy, asked of a spec.
 *
 * The agent parses what comes from the network and may belong to an attacker; this file is where his reach ends. So it trusts nothing that the agent
 * says: names are checked again, ids must lie in the ranges that serve was started with, host paths are walked from the allowed prefix by openat2(2)
 * with RESOLVE_BENEATH, and a network must be the administrator's own. What is not mentioned in HostPolicy is not given. */
#include "runtime/serve/policy.h"

#include <errno.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "base/file.h"
#include "base/fd.h"
#include "base/path.h"
#include "proto/json.h"
#include "proto/pb.h"
#include "runtime/caps.h"
#include "runtime/supervise/supervise.h"

int policy_deny(struct err *e, const char *field, const char *member, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(e, ERR_DENIED, 0, "%s", text);
	if (e)
		snprintf(e->field, sizeof(e->field), "%s", field);
	return err_remedy(e, "the host's administrator can allow it with \"%s\" in policy.json", member);
}

static bool listed(char *const *list, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(list[i], s))
			return true;
	return false;
}

static int check_namespaces(const struct core *c, const Davit__ContainerSpec *s, struct err *e)
{
	const Davit__HostPolicy *p = c->policy;
	if (s->host_user_namespace && !p->host_user_namespace)
		return policy_deny(e, "hostUserNamespace", "hostUserNamespace", "the host's user namespace is not allowed");
	if (s->host_clocks && !p->host_clocks)
		return policy_deny(e, "hostClocks", "hostClocks", "the host's time namespace is not allowed");
	if (s->allow_new_privileges && !p->allow_new_privileges)
		return policy_deny(e, "allowNewPrivileges", "allowNewPrivileges", "new privileges by exec are not allowed");
	return 0;
}

static bool cap_default(const char *name)
{
	for (size_t i = 0; caps_default[i]; i++)
		if (str_eq(caps_default[i], name))
			return true;
	return false;
}

static int check_caps(const struct core *c, const Davit__ContainerSpec *s, struct err *e)
{
	for (size_t i = 0; i < s->n_cap_add; i++) {
		struct policy_field f = policy_field_at("capAdd", i, NULL);
		if (caps_number(s->cap_add[i]) < 0)
			return err_field(e, f.s, "%.32s is no capability", s->cap_add[i]);
		if (!cap_default(s->cap_add[i]) && !listed(c->policy->capabilities, c->policy->n_capabilities, s->cap_add[i]))
			return policy_deny(e, f.s, "capabilities", "%s is not allowed", s->cap_add[i]);
	}
	for (size_t i = 0; i < s->n_cap_drop; i++)
		if (!str_eq(s->cap_drop[i], "ALL") && caps_number(s->cap_drop[i]) < 0)
			return err_field(e, policy_field_at("capDrop", i, NULL).s, "%.32s is no capability", s->cap_drop[i]);
	return 0;
}

/* A profile of the caller's can allow every call, so it is no less than "unconfined". */
static int check_seccomp(const struct core *c, const Davit__ContainerSpec *s, struct err *e)
{
	if (!s->seccomp || str_eq(s->seccomp, "default"))
		return 0;
	if (!c->policy->seccomp_unconfined)
		return policy_deny(e, "seccomp", "seccompUnconfined", "only the default filter is allowed");
	if (str_eq(s->seccomp, "unconfined"))
		return 0;
	auto_pb(Davit__OciSeccomp) *profile = json_parse(&davit__oci_seccomp__descriptor, s->seccomp, strlen(s->seccomp), JSON_KEEP, NULL, e);
	if (!profile) {
		err_prefix_field(e, "seccomp");
		return -1;
	}
	if (profile->listener_path || profile->listener_metadata)
		return err_field(e, "seccomp.listenerPath", "cannot be given: it is a socket of the host");
	return 0;
}

static int check_labels(const struct core *c, const Davit__ContainerSpec *s, struct err *e)
{
	const Davit__HostPolicy *p = c->policy;
	if (s->apparmor_profile && !str_eq(s->apparmor_profile, "davit-default") &&
	    !listed(p->apparmor_profiles, p->n_apparmor_profiles, s->apparmor_profile))
		return policy_deny(e, "apparmorProfile", "apparmorProfiles", "this AppArmor profile is not allowed");
	if (s->selinux_label && !listed(p->selinux_labels, p->n_selinux_labels, s->selinux_label))
		return policy_deny(e, "selinuxLabel", "selinuxLabels", "this SELinux label is not allowed");
	return 0;
}

static bool is_host_network(const Davit__ContainerSpec *s)
{
	return str_eq(s->network_mode, "host");
}

/* Those that belong to a namespace of the container's own (kernel/ucount.c, ipc/ipc_sysctl.c, ipc/mq_sysctl.c, net/sysctl_net.c). */
static bool sysctl_namespaced(const Davit__ContainerSpec *s, const char *name)
{
	static const char *const ipc[] = { "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
					   "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced" };
	for (size_t i = 0; i < ARRAY_LEN(ipc); i++)
		if (str_eq(name, ipc[i]))
			return true;
	return str_prefix(name, "fs.mqueue.") || (str_prefix(name, "net.") && !is_host_network(s));
}

static int check_sysctls(const struct core *c, const Davit__ContainerSpec *s, struct err *e)
{
	const Davit__HostPolicy *p = c->policy;
	for (size_t i = 0; i < s->n_sysctls; i++) {
		const char *name = s->sysctls[i]->key;
		bool ok = sysctl_namespaced(s, name);
		for (size_t k = 0; !ok && k < p->n_sysctls; k++)
			ok = str_eq(p->sysctls[k], name) || (str_suffix(p->sysctls[k], ".") && str_prefix(name, p->sysctls[k]));
		if (!ok)
			return policy_deny(e, policy_field_at("sysctls", i, NULL).s, "sysctls", "%s is the host's", name);
	}
	return 0;
}

static int check_devices(const struct core *c, const Davit__ContainerSpec *s, struct err *e)
{
	for (size_t i = 0; i < s->n_devices; i++) {
		const char *path = s->devices[i]->path;
		struct policy_field f = policy_field_at("devices", i, "path");
		struct stat st;
		if (!listed(c->policy->devices, c->policy->n_devices, path))
			return policy_deny(e, f.s, "devices", "device %s is not allowed", path);
		if (lstat(path, &st) < 0 || !(S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)))
			return err_field(e, f.s, "%s is no device of this host", path);
	}
	return 0;
}

static int check_memory(const struct core *c, const Davit__ContainerSpec *s, struct err *e)
{
	const Davit__HostPolicy *p = c->policy;
	if (!p->has_max_memory_bytes)
		return 0;
	if (!s->limits || !s->limits->has_memory_bytes)
		return policy_deny(e, "limits.memoryBytes", "maxMemoryBytes", "a memory limit of at most %lu bytes is demanded",
				   (unsigned long)p->max_memory_bytes);
	if (s->limits->memory_bytes > p->max_memory_bytes)
		return policy_deny(e, "limits.memoryBytes", "maxMemoryBytes", "at most %lu bytes are allowed", (unsigned long)p->max_memory_bytes);
	return 0;
}

static int check_ids(const struct core *c, const Davit__IdRange *ids, struct err *e)
{
	uint64_t offset = (uint64_t)ids->host_start - c->ids_start;
	if (ids->size != IDS_RANGE)
		return err_field(e, "ids.size", "must be %d", IDS_RANGE);
	if (ids->host_start < c->ids_start || offset % IDS_RANGE || offset / IDS_RANGE >= c->ids_count) {
		err_set(e, ERR_DENIED, 0, "ids from %u are not among the %u ranges of %d from %u", ids->host_start, c->ids_count, IDS_RANGE,
			c->ids_start);
		if (e)
			snprintf(e->field, sizeof(e->field), "ids.hostStart");
		return -1;
	}
	return 0;
}

/* "/srv" allows /srv and what is below it. Returns what of path comes after the prefix ("" for itself), or NULL. */
static const char *below(const char *prefix, const char *path)
{
	size_t n = strlen(prefix);
	while (n > 0 && prefix[n - 1] == '/')
		n--;
	if (strncmp(path, prefix, n) != 0 || (path[n] != '/' && path[n] != 0))
		return NULL;
	return path[n] == '/' ? path + n + 1 : path + n;
}

static int open_below(const char *prefix, const char *rest, const char *path, const char *field, struct err *e)
{
	auto_close int top = open(prefix, O_PATH | O_CLOEXEC);
	if (top < 0)
		return err_sys(e, errno, "open %s", prefix);
	if (!*rest)
		return steal_fd(&top);
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	int fd = (int)syscall(SYS_openat2, top, rest, &how, sizeof(how));
	if (fd < 0 && (errno == EXDEV || errno == ELOOP))
		return policy_deny(e, field, "bindPaths", "%s leads out of %s", path, prefix);
	return fd < 0 ? err_field(e, field, "%s: %s", path, strerror(errno)) : fd;
}

static int open_listed(char *const *prefixes, size_t n, const char *path, const char *field, bool *found, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		const char *rest = below(prefixes[i], path);
		if (!rest)
			continue;
		*found = true;
		return open_below(prefixes[i], rest, path, field, e);
	}
	return -1;
}

int policy_open_bind(const struct core *c, const Davit__SpecMount *m, size_t index, struct err *e)
{
	const Davit__HostPolicy *p = c->policy;
	struct policy_field f = policy_field_at("mounts", index, "source");
	bool found = false;
	auto_close int fd = open_listed(p->bind_paths, p->n_bind_paths, m->source, f.s, &found, e);
	if (!found && m->read_only)
		fd = open_listed(p->bind_paths_read_only, p->n_bind_paths_read_only, m->source, f.s, &found, e);
	if (!found)
		return policy_deny(e, f.s, m->read_only ? "bindPathsReadOnly" : "bindPaths", "%s may not be mounted", m->source);
	struct stat st;
	if (fd >= 0 && (fstat(fd, &st) < 0 || !(S_ISDIR(st.st_mode) || S_ISREG(st.st_mode) || S_ISSOCK(st.st_mode))))
		return err_field(e, f.s, "%s is no folder, file or socket", m->source);
	return steal_fd(&fd);
}

static int check_binds(const struct core *c, const Davit__ContainerSpec *s, struct err *e)
{
	for (size_t i = 0; i < s->n_mounts; i++) {
		if (!str_eq(s->mounts[i]->type, "bind"))
			continue;
		auto_close int fd = policy_open_bind(c, s->mounts[i], i, e);
		if (fd < 0)
			return -1;
	}
	return 0;
}

static int check_supervisor(const struct core *c, const Davit__ContainerSpec *s, struct err *e)
{
	return s->seccomp_supervisor ? supervise_allowed(c->policy->seccomp_supervisor, s->seccomp_supervisor, "seccompSupervisor", e) : 0;
}

/* Networks come last: policy_vet() leaves them out. */
static int (*const checks[])(const struct core *, const Davit__ContainerSpec *, struct err *) = {
	check_namespaces, check_caps,	 check_seccomp, check_labels, check_sysctls,
	check_supervisor, check_devices, check_memory,	check_binds,  policy_check_networks,
};

static int add_reason(Davit__CoreVetted *out, const struct err *why, struct err *e)
{
	Davit__Error *reason = pb_error(why);
	return reason ? pb_push(&out->n_reasons, &out->reasons, reason, e) : err_set(e, ERR_RESOURCE, 0, "no memory for a reason");
}

int policy_vet(const struct core *c, const Davit__ContainerSpec *s, Davit__CoreVetted *out, struct err *e)
{
	struct err why = { 0 };
	if (spec_check(s, &why) < 0)
		return add_reason(out, &why, e);
	for (size_t i = 0; i + 1 < ARRAY_LEN(checks); i++) {
		err_clear(&why);
		if (checks[i](c, s, &why) < 0 && add_reason(out, &why, e) < 0)
			return -1;
	}
	return 0;
}

int policy_check(const struct core *c, const Davit__ContainerSpec *s, const Davit__IdRange *ids, struct err *e)
{
	if (spec_check(s, e) < 0 || check_ids(c, ids, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(checks); i++)
		if (checks[i](c, s, e) < 0)
			return -1;
	return 0;
}
