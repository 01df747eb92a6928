/* Which devices a container may open or make nodes of: the rules, before either version of cgroups sees them.
 *
 * Everything is denied, then the devices that every container has (OCI config-linux.md, "Default Devices") are allowed, then the spec's rules follow
 * in their order. A rule for all devices starts anew: a spec begins with "deny all", which still leaves the default devices. Nodes may
 * be made (mknod) of any device, as with other runtimes: that takes CAP_MKNOD, and a node that may not be opened is a name only.
 *
 * The last rule that matches decides, for each kind of access by itself. A program for v2 can do just that. v1 keeps exceptions from one
 * default, of which none may deny what another allows: device_rules_flatten makes such a list, or says which rule cannot be said so. */
#include <string.h>
#include "runtime/cgroup/internal.h"

static const struct device_rule defaults[] = {
	{ true, 'c', -1, -1, DEVICE_MKNOD, -1 }, { true, 'b', -1, -1, DEVICE_MKNOD, -1 }, { true, 'c', 1, 3, DEVICE_ALL, -1 }, /* /dev/null */
	{ true, 'c', 1, 5, DEVICE_ALL, -1 },										       /* /dev/zero */
	{ true, 'c', 1, 7, DEVICE_ALL, -1 },										       /* /dev/full */
	{ true, 'c', 1, 8, DEVICE_ALL, -1 },										       /* /dev/random */
	{ true, 'c', 1, 9, DEVICE_ALL, -1 },										       /* /dev/urandom */
	{ true, 'c', 5, 0, DEVICE_ALL, -1 },										       /* /dev/tty */
	{ true, 'c', 5, 2, DEVICE_ALL, -1 },										       /* /dev/ptmx */
	{ true, 'c', 136, -1, DEVICE_ALL, -1 }, /* /dev/pts/N, also /dev/console */
};

void device_rules_free(struct device_rules *d)
{
	free(d->v);
	*d = (struct device_rules){ 0 };
}

static int push(struct device_rules *d, struct device_rule rule, struct err *e)
{
	if (mem_grow(&d->v, &d->cap, d->n + 1, sizeof(*d->v), e) < 0)
		return -1;
	d->v[d->n++] = rule;
	return 0;
}

static int start_anew(struct device_rules *d, bool allow, struct err *e)
{
	d->n = 0;
	d->allow = allow;
	for (size_t i = 0; !allow && i < ARRAY_LEN(defaults); i++)
		if (push(d, defaults[i], e) < 0)
			return -1;
	return 0;
}

static int parse_access(const char *s, size_t index, unsigned *out, struct err *e)
{
	*out = s && *s ? 0 : DEVICE_ALL;
	for (const char *p = s ? s : ""; *p; p++) {
		if (!strchr("rwm", *p)) {
			err_field(e, "linux.resources.devices", "linux.resources.devices[%zu].access: \"%s\" is not made of r, w and m", index, s);
			return -1;
		}
		*out |= *p == 'r' ? DEVICE_READ : *p == 'w' ? DEVICE_WRITE : DEVICE_MKNOD;
	}
	return 0;
}

static int parse_number(bool has, int64_t value, size_t index, int64_t *out, struct err *e)
{
	*out = has ? value : -1;
	if (*out < -1 || *out > UINT32_MAX)
		return err_field(e, "linux.resources.devices", "linux.resources.devices[%zu]: %lld is no device number", index, (long long)value);
	return 0;
}

/* A rule of the spec, its type still 'a', 'b' or 'c'. */
static int parse_rule(const Davit__OciDeviceRule *from, size_t index, struct device_rule *rule, struct err *e)
{
	const char *type = from->type && *from->type ? from->type : "a";
	*rule = (struct device_rule){ .allow = from->has_allow && from->allow, .type = *type, .index = (int)index };
	if (!from->has_allow)
		return err_field(e, "linux.resources.devices", "linux.resources.devices[%zu] needs allow", index);
	if (!str_eq(type, "a") && !str_eq(type, "b") && !str_eq(type, "c"))
		return err_field(e, "linux.resources.devices", "linux.resources.devices[%zu].type: \"%s\" is not a, b or c", index, type);
	if (parse_number(from->has_major, from->major, index, &rule->major, e) < 0 ||
	    parse_number(from->has_minor, from->minor, index, &rule->minor, e) < 0)
		return -1;
	return parse_access(from->access, index, &rule->access, e);
}

int device_rules_build(const Davit__OciDeviceRule *const *rules, size_t n, struct device_rules *out, struct err *e)
{
	if (start_anew(out, false, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct device_rule rule;
		if (parse_rule(rules[i], i, &rule, e) < 0)
			return -1;
		bool all = rule.type == 'a' && rule.major < 0 && rule.minor < 0 && rule.access == DEVICE_ALL;
		if (all && start_anew(out, rule.allow, e) < 0)
			return -1;
		for (const char *type = "bc"; !all && *type; type++) {
			struct device_rule one = rule;
			one.type = *type;
			if ((rule.type == 'a' || rule.type == *type) && push(out, one, e) < 0)
				return -1;
		}
	}
	return 0;
}

/* Whether every device of b is one of a. */
static bool covers(const struct device_rule *a, const struct device_rule *b)
{
	return a->type == b->type && (a->major < 0 || a->major == b->major) && (a->minor < 0 || a->minor == b->minor);
}

static bool overlaps(const struct device_rule *a, const struct device_rule *b)
{
	return a->type == b->type && (a->major < 0 || b->major < 0 || a->major == b->major) && (a->minor < 0 || b->minor < 0 || a->minor == b->minor);
}

/* Takes what `rule` names out of the exceptions: whole entries that it covers. */
static int flatten_against(struct device_rules *out, const struct device_rule *rule, struct err *e)
{
	size_t kept = 0;
	for (size_t i = 0; i < out->n; i++) {
		struct device_rule *one = &out->v[i];
		bool touches = overlaps(one, rule) && (one->access & rule->access);
		/* That nodes may be made of any device is told on v1 for all of them or for none. */
		if (touches && !covers(rule, one) && one->index < 0 && one->major < 0)
			touches = false;
		if (touches && !covers(rule, one)) {
			err_set(e, ERR_UNSUPPORTED, 0, "linux.resources.devices[%d]: cgroup v1 cannot except single devices from a rule for many",
				rule->index);
			err_prefix_field(e, "linux.resources.devices");
			return err_remedy(e, "name the devices that are %s one by one", rule->allow ? "denied" : "allowed");
		}
		if (touches)
			one->access &= ~rule->access;
		if (one->access)
			out->v[kept++] = *one;
	}
	out->n = kept;
	return 0;
}

static int flatten_with(struct device_rules *out, const struct device_rule *rule, struct err *e)
{
	for (size_t i = 0; i < out->n; i++) {
		struct device_rule *one = &out->v[i];
		if (one->major == rule->major && one->minor == rule->minor && one->type == rule->type) {
			one->access |= rule->access;
			return 0;
		}
	}
	return push(out, *rule, e);
}

int device_rules_flatten(const struct device_rules *d, struct device_rules *out, struct err *e)
{
	out->allow = d->allow;
	for (size_t i = 0; i < d->n; i++) {
		int result = d->v[i].allow == d->allow ? flatten_against(out, &d->v[i], e) : flatten_with(out, &d->v[i], e);
		if (result < 0)
			return -1;
	}
	return 0;
}

int devices_apply(const struct cgroup *c, Davit__OciDeviceRule **rules, size_t n, bool fresh, struct err *e)
{
	auto_device_rules struct device_rules d = { 0 };
	if (device_rules_build((const Davit__OciDeviceRule *const *)rules, n, &d, e) < 0)
		return -1;
	const struct hierarchy *h = cgroup_hierarchy_of(c, CONTROLLER_DEVICES);
	if (!h) {
		err_set(e, ERR_UNSUPPORTED, 0, "linux.resources.devices: this host has no devices cgroup controller");
		err_prefix_field(e, "linux.resources.devices");
		return err_remedy(e, "mount the devices controller");
	}
	return h->unified ? devices_v2_apply(h, &d, fresh, e) : devices_v1_apply(h, &d, e);
}
