/* What a supervisor is asked for, and whether it may. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "base/str.h"
#include "proto/json.h"
#include "proto/pb.h"
#include "runtime/annotation.h"
#include "runtime/namespace.h"
#include "runtime/policy_file.h"
#include "runtime/seccomp/seccomp.h"
#include "runtime/supervise/supervise.h"
#include "runtime/validate.h"

#define ENTRIES_MAX 256

/* Filesystems that come from nowhere but memory, or from what the container can read itself. */
static const char *const mountable[] = { "tmpfs", "mqueue", "overlay" };

int supervise_parse_device(const char *text, char *type, unsigned *major, int *minor)
{
	char rest[16], *end;
	int n = 0;
	if (sscanf(text, "%1[cb] %u:%15s%n", type, major, rest, &n) != 3 || text[n] || *major > 4095)
		return -1;
	*minor = -1;
	if (str_eq(rest, "*"))
		return 0;
	unsigned long value = strtoul(rest, &end, 10);
	if (*rest < '0' || *rest > '9' || *end || value > 1048575)
		return -1;
	*minor = (int)value;
	return 0;
}

static int check_device(const char *text, const char *field, struct err *e)
{
	char type[2];
	unsigned major;
	int minor;
	if (supervise_parse_device(text, type, &major, &minor) == 0)
		return 0;
	err_field(e, field, "mknod: \"%.64s\" is no device", text);
	return err_remedy(e, "write c or b and the numbers, like \"c 1:3\", or \"b 7:*\" for every minor number");
}

static int check_mount(const char *type, const char *field, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(mountable); i++)
		if (str_eq(mountable[i], type))
			return 0;
	err_field(e, field, "mount: \"%.64s\" cannot be mounted by a supervisor", type);
	return err_remedy(e, "use tmpfs, mqueue or overlay");
}

static int check_sysctl(const char *name, const char *field, struct err *e)
{
	if (*name && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == strlen(name) && !strstr(name, "..") &&
	    *name != '.')
		return 0;
	err_field(e, field, "sysctl: \"%.64s\" is no name of a kernel setting", name);
	return err_remedy(e, "use a name like net.ipv4.ip_forward, or what names begin with, like net.ipv4.conf.");
}

static int check_all(char *const *list, size_t n, int (*check)(const char *, const char *, struct err *), const char *field, struct err *e)
{
	if (n > ENTRIES_MAX)
		return err_set(e, ERR_LIMIT, 0, "%s: more than %d entries", field, ENTRIES_MAX);
	for (size_t i = 0; i < n; i++)
		if (check(list[i], field, e) < 0)
			return -1;
	return 0;
}

int supervise_check(const Davit__SeccompSupervisor *s, const char *field, struct err *e)
{
	return check_all(s->mknod, s->n_mknod, check_device, field, e) < 0 || check_all(s->mount, s->n_mount, check_mount, field, e) < 0 ||
		       check_all(s->sysctl, s->n_sysctl, check_sysctl, field, e) < 0
		   ? -1
		   : 0;
}

/* A supervisor makes an overlay with the container's own rights over its user namespace, and settings are those of its own namespaces. */
static int check_for(const Davit__OciSpec *spec, const Davit__SeccompSupervisor *s, const char *field, struct err *e)
{
	if (supervise_lists_mount(s, "overlay") && ns_how_of_spec(spec, NS_USER) == NS_HOST)
		return err_field(e, field, "mount: overlay takes a user namespace of the container's own");
	for (size_t i = 0; i < s->n_sysctl; i++)
		if (validate_sysctl(spec, s->sysctl[i], e) < 0) {
			err_prefix_field(e, field);
			return -1;
		}
	return 0;
}

int supervise_of_spec(const Davit__OciSpec *spec, Davit__SeccompSupervisor **out, struct err *e)
{
	const char *field = "annotations." SUPERVISE_ANNOTATION, *text = annotation_of_spec(spec, SUPERVISE_ANNOTATION);
	*out = NULL;
	if (!text)
		return 0;
	auto_pb(Davit__SeccompSupervisor) *s = json_parse(&davit__seccomp_supervisor__descriptor, text, strlen(text), JSON_REFUSE, NULL, e);
	if (!s) {
		err_prefix_field(e, field);
		return err_remedy(e, "write {\"mknod\": [\"c 1:3\"], \"mount\": [\"tmpfs\"], \"sysctl\": [\"net.ipv4.ip_forward\"]}");
	}
	if (supervise_check(s, field, e) < 0 || check_for(spec, s, field, e) < 0)
		return -1;
	if (supervise_calls(s))
		*out = steal_ptr(&s);
	return 0;
}

unsigned supervise_calls(const Davit__SeccompSupervisor *s)
{
	if (!s)
		return 0;
	return (s->n_mknod ? SECCOMP_SUPERVISE_MKNOD : 0U) | (s->n_mount ? SECCOMP_SUPERVISE_MOUNT : 0U) |
	       (s->n_sysctl ? SECCOMP_SUPERVISE_SYSCTL : 0U);
}

static bool is_in(char *const *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(list[i], name) || (str_suffix(list[i], ".") && str_prefix(name, list[i])))
			return true;
	return false;
}

/* The same text, or one for every minor number. */
static bool device_is_in(char *const *list, size_t n, const char *text)
{
	const char *colon = strchr(text, ':');
	for (size_t i = 0; colon && i < n; i++)
		if (str_eq(list[i], text) || (str_suffix(list[i], ":*") && strlen(list[i]) == (size_t)(colon - text) + 2 &&
					      strncmp(list[i], text, (size_t)(colon - text)) == 0))
			return true;
	return false;
}

bool supervise_lists_device(const Davit__SeccompSupervisor *s, unsigned mode, unsigned major, unsigned minor)
{
	char text[32];
	snprintf(text, sizeof(text), "%c %u:%u", S_ISBLK(mode) ? 'b' : 'c', major, minor);
	return device_is_in(s->mknod, s->n_mknod, text);
}

bool supervise_lists_mount(const Davit__SeccompSupervisor *s, const char *type)
{
	return is_in(s->mount, s->n_mount, type);
}

bool supervise_lists_sysctl(const Davit__SeccompSupervisor *s, const char *name)
{
	return is_in(s->sysctl, s->n_sysctl, name);
}

static int deny(const char *call, const char *entry, const char *field, struct err *e)
{
	err_set(e, ERR_DENIED, 0, "%s: the host's policy lets no supervisor do %s of \"%s\"", field, call, entry);
	if (e)
		snprintf(e->field, sizeof(e->field), "%s", field);
	return err_remedy(e, "the host's administrator can allow it with \"seccompSupervisor\" in policy.json");
}

int supervise_allowed(const Davit__SeccompSupervisor *policy, const Davit__SeccompSupervisor *asked, const char *field, struct err *e)
{
	static const Davit__SeccompSupervisor none = DAVIT__SECCOMP_SUPERVISOR__INIT;
	const Davit__SeccompSupervisor *p = policy ? policy : &none;
	for (size_t i = 0; i < asked->n_mknod; i++)
		if (!device_is_in(p->mknod, p->n_mknod, asked->mknod[i]))
			return deny("mknod", asked->mknod[i], field, e);
	for (size_t i = 0; i < asked->n_mount; i++)
		if (!is_in(p->mount, p->n_mount, asked->mount[i]))
			return deny("mount", asked->mount[i], field, e);
	for (size_t i = 0; i < asked->n_sysctl; i++)
		if (!is_in(p->sysctl, p->n_sysctl, asked->sysctl[i]))
			return deny("sysctl", asked->sysctl[i], field, e);
	return 0;
}

int supervise_allowed_by(const char *file, const Davit__SeccompSupervisor *asked, struct err *e)
{
	auto_pb(Davit__HostPolicy) *policy = policy_file_read(file, &davit__host_policy__descriptor, JSON_REFUSE, e);
	return policy ? supervise_allowed(policy->seccomp_supervisor, asked, "annotations." SUPERVISE_ANNOTATION, e) : -1;
}
